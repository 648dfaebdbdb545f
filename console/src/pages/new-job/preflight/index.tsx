import { useState } from "preact/hooks";
import { plural, reward } from "../../../lib/format";
import { Button } from "../../../ui/button";
import { SelectField } from "../../../ui/field";
import { Panel, Progress } from "../../../ui/layout";
import { ErrorNote, Note } from "../../../ui/note";
import type { Draft, StepProps } from "../draft";
import { problemsOf } from "../steps";
import "./preflight.css";
import { ResultView } from "./result";
import { cancel, keyOf, type Phase, preflight, type Progress as Reached, type Run, start } from "./run";

const PHASES: Record<Phase, string> = {
  rows: "Fetching the rows",
  reward: "Loading the reward",
  model: "Loading the model",
  answers: "Answering and scoring",
  checks: "Testing the reward",
};
const BEFORE = ["model", "data", "reward", "settings"] as const;

/** Has the model answer some prompts, and the reward score them, before anything is trained. */
export default function PreflightStep({ draft }: StepProps) {
  const [prompts, setPrompts] = useState("16");
  const [samples, setSamples] = useState("4");
  const run = preflight.value;
  const open = BEFORE.flatMap((step) => problemsOf(step, draft).map((problem) => ({ step, problem })));
  const isRunning = run?.isRunning ?? false;
  return (
    <div class="stack">
      <Panel>
        <div class="stack">
          <p>
            The model answers the first prompts of the data, and the reward scores its completions. A minute here shows
            what a job would only show after hours: rewards that are all alike, completions that are cut, a reward that
            fails. Nothing is trained or stored.
          </p>
          <div class="preflight-controls">
            <SelectField
              label="Prompts"
              value={prompts}
              onValue={setPrompts}
              options={["8", "16", "32", "64"]}
              disabled={isRunning}
            />
            <SelectField
              label="Samples per prompt"
              value={samples}
              onValue={setSamples}
              options={["2", "4", "8"]}
              disabled={isRunning}
            />
            {isRunning ? (
              <Button onClick={cancel}>Cancel</Button>
            ) : (
              <Button
                kind="primary"
                disabled={open.length > 0}
                aria-describedby={open.length ? "preflight-open" : undefined}
                onClick={() => void start(draft, Number(prompts), Number(samples))}
              >
                {run?.result ? "Run again" : "Run the pre-flight"}
              </Button>
            )}
          </div>
          {open.length > 0 && (
            <div id="preflight-open">
              <Note title="Before it can run">
                <ul>
                  {open.map(({ step, problem }) => (
                    <li key={step + problem}>
                      <a href={`/new/${step}`}>{problem}</a>
                    </li>
                  ))}
                </ul>
              </Note>
            </div>
          )}
        </div>
      </Panel>
      <div aria-live="polite">{isRunning && <Going reached={run?.progress ?? null} />}</div>
      {run && !isRunning && (
        <Outcome run={run} draft={draft} onRetry={() => void start(draft, Number(prompts), Number(samples))} />
      )}
      {!run && (
        <p class="muted">You can also go on without it; a job makes a smaller check of this kind when it starts.</p>
      )}
    </div>
  );
}

function Going({ reached }: { reached: Reached | null }) {
  const phase = reached ? PHASES[reached.phase] : "Asking the server";
  return (
    <Panel>
      <div class="stack tight">
        <div class="row spread">
          <strong>{phase}…</strong>
          {reached?.phase === "answers" && (
            <span class="muted num">
              {reached.answered} of {plural(reached.prompts, "prompt")}
              {reached.reward_mean !== null && `, mean reward ${reward(reached.reward_mean)}`}
            </span>
          )}
        </div>
        <Progress value={reached?.answered ?? 0} max={reached?.prompts ?? 1} label="Prompts answered and scored" />
      </div>
    </Panel>
  );
}

function Outcome({ run, draft, onRetry }: { run: Run; draft: Draft; onRetry: () => void }) {
  const isStale = run.key !== keyOf(draft);
  return (
    <div class="stack">
      {isStale && (
        <Note tone="warn" title="The draft has changed since">
          <span>What stands here is of the draft as it was. Run the pre-flight again to see what the changes do.</span>
        </Note>
      )}
      {run.error && <ErrorNote title="The pre-flight failed" error={run.error} onRetry={onRetry} />}
      {run.result && <ResultView result={run.result} />}
    </div>
  );
}

/** Nobody has to make it. */
export function problems(): string[] {
  return [];
}
