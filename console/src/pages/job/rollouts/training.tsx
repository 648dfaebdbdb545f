import { useEffect, useRef, useState } from "preact/hooks";
import { isOver } from "../../../lib/jobs";
import { usePaged } from "../../../lib/paged";
import { useResource } from "../../../lib/resource";
import { Empty } from "../../../ui/layout";
import type { JobDetail } from "../detail";
import type { GroupCard, Rollouts, ShownStep } from "./data";
import { GroupView } from "./group-view";
import { goToStep } from "./navigation";
import type { Place } from "./place";
import { Prompts } from "./prompts";
import { StepBar } from "./step-bar";

interface TrainingProps {
  job: JobDetail;
  source: Rollouts;
  place: Place;
  /** Grows with every step. */
  pulse: number;
}

/** What was sampled in training: steps, their prompts, and a prompt's completions. */
export function TrainingView({ job, source, place, pulse }: TrainingProps) {
  const [shown, setShown] = useState<ShownStep | null>();
  const isFollowing = place.step === null;
  const steps = useResource("steps", (signal) => source.steps(signal));
  const filter = { sort: place.sort || "line", only: place.only, search: place.text };
  const key = JSON.stringify([place.step, filter]);
  const groups = usePaged<GroupCard, number>(key, async (after, signal) => {
    // A page further down belongs to the step that the first one was of, though a newer one may have come.
    const step = after === null ? place.step : (shown?.step ?? place.step);
    const page = await source.page(step, filter, after ?? 0, signal);
    setShown(page.step);
    return page;
  });

  // What is new is fetched as it comes, but never while a prompt is looked at closely.
  const isReading = place.row !== null;
  useEffect(() => {
    if (!pulse) return;
    const timer = setTimeout(() => {
      steps.reload();
      if (isFollowing && !isReading) groups.reload();
    }, 400);
    return () => clearTimeout(timer);
  }, [pulse]);

  const neighbours = useRef(shown);
  neighbours.current = shown;
  useEffect(() => {
    function turn(event: KeyboardEvent): void {
      const target = event.target as HTMLElement;
      if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (target.closest("input, select, textarea, [contenteditable], .table-region, pre, dialog")) return;
      const beside = neighbours.current;
      const to = event.key === "ArrowLeft" ? beside?.previous : event.key === "ArrowRight" ? beside?.next : null;
      if (to === undefined || to === null) return;
      event.preventDefault();
      goToStep(to);
    }
    document.addEventListener("keydown", turn);
    return () => document.removeEventListener("keydown", turn);
  }, []);

  const kept = useRef<GroupCard[]>([]);
  if (!groups.isLoading) kept.current = groups.items;
  const items = kept.current;

  if (shown === null && !groups.isLoading) {
    return (
      <Empty title={isOver(job.state) ? "No rollouts were kept" : "No rollouts yet"}>
        <p>
          {job.method === "supervised"
            ? "Supervised fine-tuning learns from given answers and samples none."
            : isOver(job.state)
              ? "The job ended before its first step, or run.keep_rollouts was false."
              : "The first completions appear here once the base model has been checked for signal."}
        </p>
      </Empty>
    );
  }
  // Until another step has come, the one before it stays as a whole.
  const selected = place.row ?? items[0]?.row ?? null;
  const step = place.row === null ? (items[0]?.step ?? null) : (place.step ?? shown?.step ?? null);
  return (
    <div class="stack">
      <StepBar
        steps={steps}
        shown={shown ?? null}
        isFollowing={isFollowing}
        isLive={!isOver(job.state)}
        onStep={goToStep}
      />
      <div class="rollouts-columns">
        <Prompts groups={groups} items={items} step={shown ?? null} place={place} selected={selected} />
        <div class="rollouts-detail">
          {selected !== null && step !== null && <GroupView source={source} step={step} row={selected} />}
        </div>
      </div>
    </div>
  );
}
