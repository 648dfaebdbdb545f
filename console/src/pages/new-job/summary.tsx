import { bytes, count, duration, percent, plural } from "../../lib/format";
import { Badge } from "../../ui/badge";
import { Panel, Skeleton } from "../../ui/layout";
import { type Draft, numberSetting } from "./draft";
import { type Forecast, useForecast } from "./forecast";
import { DEFAULT_SHARE, inspection } from "./inspection";
import { MemoryBar } from "./memory-bar";
import { SourceName } from "./source-name";
import { modules, problemsOf, stepsOf } from "./steps";

/** What is chosen so far, what it would take, and what is missing. */
export function Summary({ draft }: { draft: Draft }) {
  const { forecast, error, isBusy } = useForecast(draft);
  return (
    <aside class="stack new-job-summary" aria-label="Summary">
      <Panel title="Summary">
        <dl class="facts">
          <dt>Method</dt>
          <dd>{draft.method === "supervised" ? "Supervised" : "Reinforcement (GRPO)"}</dd>
          <dt>Model</dt>
          <dd>{draft.model || <None />}</dd>
          <dt>Training</dt>
          <dd>{draft.training ? <SourceName source={draft.training} /> : <None />}</dd>
          <dt>Validation</dt>
          <dd>
            {draft.validation ? (
              <SourceName source={draft.validation} />
            ) : (
              `${percent(numberSetting(draft.config, "data", "holdout_share") ?? DEFAULT_SHARE, 0)} held out`
            )}
          </dd>
          <Rows />
          {draft.method === "reinforcement" && (
            <>
              <dt>Reward</dt>
              <dd>{rewardName(draft) ?? <None />}</dd>
            </>
          )}
          <dt>Settings</dt>
          <dd>{changedSettings(draft)}</dd>
        </dl>
      </Panel>
      <Panel title="Forecast" actions={isBusy && forecast ? <Badge>calculating</Badge> : undefined}>
        <div class={isBusy ? "new-job-stale" : ""}>
          {forecast ? (
            <Outlook forecast={forecast} />
          ) : error ? (
            <p class="field-problem">{error.message}</p>
          ) : isBusy ? (
            <Skeleton lines={4} label="Calculating" />
          ) : (
            <p class="muted">Choose a model to see what the job would take.</p>
          )}
        </div>
      </Panel>
      <Missing draft={draft} />
    </aside>
  );
}

function None() {
  return <span class="muted">not chosen</span>;
}

function Rows() {
  const { data } = inspection.value;
  if (!data?.split) return null;
  return (
    <>
      <dt>Rows</dt>
      <dd class="num">
        {count(data.split.train)} to train, {count(data.split.validation)} to validate
      </dd>
    </>
  );
}

function Outlook({ forecast }: { forecast: Forecast }) {
  const { work, memory, time, disk } = forecast;
  return (
    <div class="stack tight">
      {forecast.problem && <p class="field-problem">{forecast.problem}</p>}
      <dl class="facts">
        {time && (
          <>
            <dt>Time</dt>
            <dd class="num">
              {duration(time.low_s)} to {duration(time.high_s)}
            </dd>
          </>
        )}
        {work && (
          <>
            <dt>Steps</dt>
            <dd class="num">
              {count(work.steps)}, {plural(work.evaluations, "evaluation")}
            </dd>
          </>
        )}
        {disk && (
          <>
            <dt>Disk</dt>
            <dd class="num">
              {bytes(disk.bytes)}
              {!disk.fits && <span class="field-problem"> · only {bytes(disk.free_bytes)} are free</span>}
            </dd>
          </>
        )}
      </dl>
      {memory && (
        <MemoryBar
          label={`Memory (${memory.device})`}
          needed={memory.peak_bytes}
          limit={memory.limit_bytes}
          fits={memory.fits !== "no"}
        />
      )}
      {memory?.problem && <p class={memory.fits === "no" ? "field-problem" : "field-hint"}>{memory.problem}</p>}
      {time && <p class="field-hint">{time.basis}</p>}
    </div>
  );
}

function Missing({ draft }: { draft: Draft }) {
  const steps = stepsOf(draft.method);
  const open = steps.flatMap((step) => problemsOf(step.id, draft).map((problem) => ({ step, problem })));
  // A step that is not here yet cannot say what it misses.
  if (!open.length && steps.some((step) => modules.value[step.id] === undefined)) return null;
  return (
    <div aria-live="polite">
      <Panel title={open.length ? "Still to do" : "Complete"}>
        {open.length ? (
          <ul class="stack tight">
            {open.map(({ step, problem }) => (
              <li key={step.id + problem}>
                <a href={`/new/${step.id}`}>{step.title}</a>: {problem}
              </li>
            ))}
          </ul>
        ) : (
          <p class="muted">Everything that a job needs is chosen.</p>
        )}
      </Panel>
    </div>
  );
}

const GRADERS = ["template", "function", "openai", "judge", "endpoint", "compose", "file"] as const;

function rewardName(draft: Draft): string | null {
  const reward = draft.config.reward ?? {};
  const kind = GRADERS.find((name) => reward[name] !== undefined && reward[name] !== null);
  if (!kind) return null;
  const value = reward[kind];
  if (typeof value === "string") return kind === "template" ? value : `${kind} ${value}`;
  const parts = kind === "compose" ? (value as { parts?: object }).parts : null;
  return parts ? `${plural(Object.keys(parts).length, "part")} composed` : kind;
}

function changedSettings(draft: Draft): string {
  const changed = (["data", "lora", "training", "evaluation", "run"] as const).reduce(
    (sum, section) => sum + Object.keys(draft.config[section] ?? {}).length,
    0,
  );
  return changed ? `${plural(changed, "setting")} changed` : "All defaults";
}
