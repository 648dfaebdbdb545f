import { useEffect, useState } from "preact/hooks";
import { count, plural, reward } from "../../../lib/format";
import type { Resource } from "../../../lib/resource";
import { Badge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { NumberField } from "../../../ui/field";
import { Icon } from "../../../ui/icon";
import { Panel, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { Curve } from "./curve";
import type { RolloutSteps, ShownStep } from "./data";

interface StepBarProps {
  steps: Resource<RolloutSteps>;
  shown: ShownStep | null;
  /** The newest step is shown, and the next one will be. */
  isFollowing: boolean;
  isLive: boolean;
  onStep: (step: number | null) => void;
}

/** Which step is looked at: a slider over all of them, the rewards beneath, and what this one was like. */
export function StepBar({ steps, shown, isFollowing, isLive, onStep }: StepBarProps) {
  const known = steps.data?.data ?? [];
  const first = known[0]?.step ?? 0;
  const last = Math.max(known[known.length - 1]?.step ?? 0, shown?.step ?? 0);
  const [slid, setSlid] = useState<number | null>(null);
  useEffect(() => {
    if (slid === null) return;
    const timer = setTimeout(() => {
      setSlid(null);
      onStep(nearest(slid));
    }, 150);
    return () => clearTimeout(timer);
  }, [slid]);

  /** Steps of long runs are thinned here, so one between two known ones is asked for as it is. */
  function nearest(step: number): number {
    if (!steps.data || steps.data.count > known.length) return step;
    return known.reduce((best, one) => (Math.abs(one.step - step) < Math.abs(best - step) ? one.step : best), first);
  }

  const at = slid ?? shown?.step ?? last;
  return (
    <Panel>
      <div class="stack tight">
        <div class="rollouts-steps">
          <div class="row rollouts-step-turn">
            <Button
              size="small"
              class="icon-only"
              aria-label="Previous step"
              disabled={shown?.previous == null}
              onClick={() => onStep(shown!.previous)}
            >
              <Icon name="left" />
            </Button>
            <div class="rollouts-step-field">
              <NumberField
                label="Step"
                hideLabel
                min={first}
                max={last}
                step={1}
                value={at}
                onValue={(value) => value !== null && Number.isInteger(value) && value >= 0 && setSlid(value)}
              />
            </div>
            <Button
              size="small"
              class="icon-only"
              aria-label="Next step"
              disabled={shown?.next == null}
              onClick={() => onStep(shown!.next)}
            >
              <Icon name="right" />
            </Button>
            <span class="muted num nowrap">of {count(last)}</span>
          </div>
          <Facts shown={shown} />
          <Button size="small" kind="quiet" disabled={isFollowing} onClick={() => onStep(null)}>
            {isLive && isFollowing ? "Following" : "Newest"}
          </Button>
        </div>
        <div class="rollouts-slider">
          <input
            type="range"
            aria-label="Step"
            min={first}
            max={last}
            step={1}
            value={at}
            onInput={(event) => setSlid(event.currentTarget.valueAsNumber)}
          />
        </div>
        {steps.error && <ErrorNote error={steps.error} onRetry={steps.reload} />}
        {steps.isLoading ? (
          <Skeleton lines={2} label="Loading the steps" />
        ) : (
          <Curve points={known} marked={[at]} label="Mean training reward" onStep={(step) => onStep(step)} />
        )}
      </div>
    </Panel>
  );
}

function Facts({ shown }: { shown: ShownStep | null }) {
  return (
    <div class="row rollouts-step-facts" aria-live="polite">
      {shown && (
        <>
          {shown.step === 0 && <Badge tone="accent">base model, before training</Badge>}
          <span>
            Mean reward <strong class="num">{reward(shown.reward_mean)}</strong>
          </span>
          <span class="muted">
            {plural(shown.groups, "prompt")}, {plural(shown.samples, "completion")}
          </span>
          <span class="muted">{shown.mixed} with differing rewards</span>
          {shown.truncated > 0 && <Badge tone="warn">{plural(shown.truncated, "group")} with truncation</Badge>}
          {shown.failed > 0 && <Badge tone="bad">{plural(shown.failed, "group")} with grader failures</Badge>}
        </>
      )}
    </div>
  );
}
