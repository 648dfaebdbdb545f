import { useState } from "preact/hooks";
import { duration, number, percent, plural, reward } from "../../lib/format";
import { isOver } from "../../lib/jobs";
import { may } from "../../lib/session";
import { Badge } from "../../ui/badge";
import { Button, LinkButton } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Panel } from "../../ui/layout";
import { Note } from "../../ui/note";
import { DeployDialog } from "./deploy";
import type { JobDetail, JobFailure, RunResult } from "./detail";
import { IntervalMark } from "./interval";
import { chosenStep, clonePath, numberOf, playgroundPath, tabPath } from "./links";
import { ProblemTable } from "./problems";
import "./details.css";

/** How a job ended: nothing while it goes on. */
export function Outcome({ job, reload }: { job: JobDetail; reload: () => void }) {
  if (!isOver(job.state)) return null;
  if (job.failure) return <Failed job={job} failure={job.failure} />;
  if (job.tuned_model) return <Succeeded job={job} reload={reload} />;
  return <Ended job={job} />;
}

function Failed({ job, failure }: { job: JobDetail; failure: JobFailure }) {
  // The lines that the message quotes stand in the table, with all others.
  const lines = failure.message.search(/(?:^| )Line \d+: /);
  const message = failure.problems.length && lines > 0 ? failure.message.slice(0, lines) : failure.message;
  return (
    <section class="stack" aria-label="Why the job failed">
      <Note tone="bad" title="This job failed">
        <p class="job-message">{message}</p>
        <p>
          <strong>What to do:</strong> {failure.remedy}
          {job.best_checkpoint !== null && " Checkpoints from before the failure can be used all the same."}
        </p>
        <div class="row">
          {may("developer") && (
            <LinkButton kind="primary" href={clonePath(job.id)}>
              Clone and fix
            </LinkButton>
          )}
          <LinkButton href={tabPath(job.id, "events")}>Events</LinkButton>
          {job.best_checkpoint !== null && <LinkButton href={tabPath(job.id, "checkpoints")}>Checkpoints</LinkButton>}
          {failure.code && (
            <span class="muted">
              <code>{failure.code}</code>
              {failure.param && (
                <>
                  {" "}
                  at <code>{failure.param}</code>
                </>
              )}
            </span>
          )}
        </div>
      </Note>
      {failure.problems.length > 0 && (
        <Panel
          flush
          title="Rows that cannot be used"
          actions={<a href={tabPath(job.id, "data")}>{failure.has_more_problems ? "All problems" : "Data report"}</a>}
        >
          <ProblemTable problems={failure.problems} label="Rows that cannot be used" />
        </Panel>
      )}
    </section>
  );
}

function Succeeded({ job, reload }: { job: JobDetail; reload: () => void }) {
  const [isDeploying, setDeploying] = useState(false);
  const model = job.tuned_model!;
  const step = chosenStep(job)!;
  return (
    <Panel
      title={
        <span class="row">
          {job.state === "stopped" ? "Result of the stopped job" : "Result"}
          <Verdict job={job} />
        </span>
      }
      actions={
        <>
          <LinkButton href={playgroundPath(job, model.name)} size="small">
            Try in the playground
          </LinkButton>
          {may("developer") && (
            <Button kind="primary" size="small" onClick={() => setDeploying(true)}>
              Deploy
            </Button>
          )}
        </>
      }
    >
      <div class="job-result">
        {job.result && <Gain job={job} result={job.result} />}
        <dl class="facts job-facts">
          <dt>Tuned model</dt>
          <dd>
            <div class="row">
              <code class="job-break">{model.name}</code>
              <CopyButton text={model.name} label="Copy name" />
            </div>
          </dd>
          {model.custom_name !== model.name && (
            <>
              <dt>Custom name</dt>
              <dd class="job-break">{model.custom_name}</dd>
            </>
          )}
          <dt>Adapter of</dt>
          <dd class="num">
            step {model.step}
            {job.result && ` of ${job.result.steps}`}
          </dd>
          {model.deployments.length > 0 && (
            <>
              <dt>Deployed as</dt>
              <dd class="mono">{model.deployments.join(", ")}</dd>
            </>
          )}
          {job.result && (
            <>
              <dt>Ended because</dt>
              <dd>{job.result.stopped_because}</dd>
              <dt>Time</dt>
              <dd class="num">
                {duration(job.result.train_seconds)} of training, {duration(job.result.total_seconds)} in all
              </dd>
            </>
          )}
        </dl>
      </div>
      {isDeploying && <DeployDialog job={job} step={step} onClose={() => setDeploying(false)} onDone={reload} />}
    </Panel>
  );
}

const UNDECIDED = "no clear difference";

function Verdict({ job }: { job: JobDetail }) {
  const said = job.result?.comparison?.verdict;
  if (said === "better") return <Badge tone="good">better than the base model</Badge>;
  if (said === "worse") return <Badge tone="bad">worse than the base model</Badge>;
  return typeof said === "string" ? <Badge tone="warn">{UNDECIDED}</Badge> : null;
}

/** Base → tuned, with the interval of the difference and the test. */
function Gain({ job, result }: { job: JobDetail; result: RunResult }) {
  const name = job.method === "supervised" ? "loss" : "reward";
  const compared = result.comparison;
  const base = numberOf(compared, "base_reward") ?? numberOf(result.base, name);
  const tuned = numberOf(compared, "tuned_reward") ?? numberOf(result.tuned, name);
  const [low, high] = [numberOf(compared, "interval_low"), numberOf(compared, "interval_high")];
  const difference = numberOf(compared, "difference") ?? (base !== null && tuned !== null ? tuned - base : null);
  const exact = [numberOf(result.base, "exact"), numberOf(result.tuned, "exact")] as const;
  const p = numberOf(compared, "p_value");
  const n = numberOf(compared, "n");
  return (
    <div class="stack tight">
      <div class="muted">Validation {name}</div>
      <div class="job-outcome num">
        <span class="visually-hidden">base </span>
        {reward(base)}
        <span aria-hidden="true"> → </span>
        <span class="visually-hidden"> tuned </span>
        <strong>{tuned === null ? "not better" : reward(tuned)}</strong>
        {difference !== null && <span class="job-difference">{reward(difference, { signed: true })}</span>}
      </div>
      {low !== null && high !== null && difference !== null && (
        <IntervalMark low={low} high={high} value={difference} />
      )}
      {exact[0] !== null && exact[1] !== null && (
        <p class="num">
          Exact success {percent(exact[0])} → {percent(exact[1])}
          {n !== null && <span class="muted"> on {plural(n, "row")}</span>}
        </p>
      )}
      {p !== null && (
        <p class="muted">
          p {p < 0.001 ? "< 0.001" : `= ${number(p)}`}, {String(compared?.test ?? "")}
        </p>
      )}
      {!compared && <p>{result.verdict}</p>}
      <HeldOut result={result} />
    </div>
  );
}

function HeldOut({ result }: { result: RunResult }) {
  const held = result.held_out;
  const base = numberOf(held, "base_reward");
  const tuned = numberOf(held, "tuned_reward");
  if (base === null || tuned === null) return null;
  return (
    <p class="num">
      Held-out grader {reward(base)} → {reward(tuned)}
      {tuned < base && <span class="job-worse"> – it fell: read some completions before you trust the reward</span>}
    </p>
  );
}

function Ended({ job }: { job: JobDetail }) {
  const trained = job.step ? `after step ${job.step}` : "before training began";
  return (
    <Note title={`This job was ${job.state} ${trained}`}>
      {job.best_checkpoint !== null ? (
        <>
          <p>It has no tuned model of its own. Its checkpoints can still be tried, downloaded and deployed.</p>
          <div class="row">
            <LinkButton href={tabPath(job.id, "checkpoints")}>Checkpoints</LinkButton>
            {may("developer") && <LinkButton href={clonePath(job.id)}>Clone</LinkButton>}
          </div>
        </>
      ) : (
        <>
          <p>It left no checkpoint.</p>
          {may("developer") && (
            <div class="row">
              <LinkButton href={clonePath(job.id)}>Clone</LinkButton>
            </div>
          )}
        </>
      )}
    </Note>
  );
}
