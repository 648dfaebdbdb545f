/** What a job looks like in a list, whether in the row of a table or on a card. */

import { count } from "../../lib/format";
import { isOver, type JobCard } from "../../lib/jobs";
import { Progress } from "../../ui/layout";
import { Sparkline } from "../../ui/small-charts";
import { measured, progressOf, shortModel, trendOf } from "./words";

export function JobName({ job }: { job: JobCard }) {
  return (
    <div class="jobs-name">
      <a class="truncate" href={`/jobs/${encodeURIComponent(job.id)}`} data-job title={job.name}>
        {job.name}
      </a>
      <div class="muted jobs-small truncate" title={job.model}>
        {shortModel(job.model)}
        {job.method === "supervised" && " · supervised"}
      </div>
      {job.error && (
        <div class="jobs-error jobs-small" title={job.error}>
          {job.error}
        </div>
      )}
    </div>
  );
}

export function JobProgress({ job, now }: { job: JobCard; now: number }) {
  const words = progressOf(job, now);
  const isAll = isOver(job.state) && job.step !== null && job.step === job.total_steps;
  return (
    <div class="jobs-progress">
      {job.total_steps !== null && (
        <>
          {!isOver(job.state) && (
            <Progress value={job.step ?? 0} max={job.total_steps} label={`Steps of ${job.name}`} />
          )}
          <div class="num">
            {isAll ? count(job.total_steps) : `${count(job.step ?? 0)} / ${count(job.total_steps)}`} steps
          </div>
        </>
      )}
      {words && <div class="muted jobs-small num">{words}</div>}
    </div>
  );
}

export function JobTrend({ job }: { job: JobCard }) {
  if (job.newest === null) return <span class="muted">–</span>;
  return (
    <div class="jobs-trend">
      {job.trend.values.length > 1 && <Sparkline values={job.trend.values} label={trendOf(job)} width={96} />}
      <div class="num">
        {measured(job, job.newest)}
        {job.metric === "loss" && <span class="muted jobs-small"> loss</span>}
      </div>
    </div>
  );
}

/** Of the base model, and the best since. */
export function JobValidation({ job }: { job: JobCard }) {
  const { base, best, best_step: step } = job.validation;
  if (base === null && best === null) return <span class="muted">–</span>;
  const gain = base !== null && best !== null ? best - base : 0;
  const isBetter = job.metric === "loss" ? gain < 0 : gain > 0;
  return (
    <div class="num nowrap">
      <span class="muted">{measured(job, base)}</span>
      <span class="muted" aria-hidden="true">
        {" → "}
      </span>
      <span class="visually-hidden"> of the base model, best </span>
      <span class={isBetter ? "jobs-better" : undefined}>{measured(job, best)}</span>
      {step !== null && <div class="muted jobs-small">at step {count(step)}</div>}
    </div>
  );
}
