import { count, percent } from "../../../lib/format";
import { Field } from "../../../ui/field";
import { numberSetting, type StepProps, withSetting } from "../draft";
import { DEFAULT_SHARE, inspection } from "../inspection";

const MOST_PERCENT = 50;
const MOST_ROWS = 200;

/** How many of the training rows are held out. */
export function SplitSlider({ draft, update }: StepProps) {
  const { data, isBusy } = inspection.value;
  const share = numberSetting(draft.config, "data", "holdout_share") ?? DEFAULT_SHARE;
  const split = data?.split;
  const whole = split ? split.train + split.validation : 0;

  function set(percentage: number): void {
    const next = percentage / 100;
    update({ config: withSetting(draft.config, "data", "holdout_share", next === DEFAULT_SHARE ? undefined : next) });
  }

  return (
    <div class="stack tight">
      <Field label={`Held out: ${percent(share, 0)}`} hint={`At most ${MOST_ROWS} rows are held out.`}>
        {(wiring) => (
          <input
            type="range"
            min={1}
            max={MOST_PERCENT}
            step={1}
            value={Math.round(share * 100)}
            aria-valuetext={percent(share, 0)}
            onInput={(event) => set(event.currentTarget.valueAsNumber)}
            {...wiring}
          />
        )}
      </Field>
      {data?.split_problem && <p class="field-problem">{data.split_problem}</p>}
      {split && whole > 0 && (
        <div class={isBusy ? "stack tight new-job-stale" : "stack tight"}>
          <svg
            class="split-bar"
            viewBox="0 0 100 8"
            preserveAspectRatio="none"
            role="img"
            aria-label={`${count(split.train)} rows to train, ${count(split.validation)} to validate`}
          >
            <rect width={(split.train / whole) * 100} height="8" fill="var(--series-1)" />
            <rect
              x={(split.train / whole) * 100}
              width={(split.validation / whole) * 100}
              height="8"
              fill="var(--series-2)"
            />
          </svg>
          <div class="row spread num">
            <span>
              <span class="split-mark train" /> {count(split.train)} to train
            </span>
            <span>
              <span class="split-mark validation" /> {count(split.validation)} to validate
            </span>
          </div>
        </div>
      )}
    </div>
  );
}
