import { useMemo } from "preact/hooks";
import type { TabProps } from "../tab";
import { Rollouts } from "./data";
import { usePlace } from "./navigation";
import "./rollouts.css";
import { TrainingView } from "./training";
import { ValidationView } from "./validation";

/** What the job sampled: training rollouts step by step, and validation answers beside the base model's. */
export default function RolloutsTab({ job, metrics }: TabProps) {
  const source = useMemo(() => new Rollouts(job.id), [job.id]);
  const place = usePlace();
  const now = metrics.now.value;
  const base = `/jobs/${encodeURIComponent(job.id)}/rollouts`;
  return (
    <div class="stack">
      <nav class="rollouts-switch" aria-label="Rollouts">
        <a href={base} aria-current={place.view === "training" ? "page" : undefined}>
          Training rollouts
        </a>
        <a href={`${base}?view=validation`} aria-current={place.view === "validation" ? "page" : undefined}>
          Validation answers
        </a>
      </nav>
      {place.view === "training" ? (
        <TrainingView job={job} source={source} place={place} pulse={now.step.steps.length} />
      ) : (
        <ValidationView source={source} place={place} pulse={now.evaluation.steps.length} />
      )}
    </div>
  );
}
