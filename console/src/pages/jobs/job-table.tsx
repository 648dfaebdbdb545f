import { ago, moment } from "../../lib/format";
import type { JobCard } from "../../lib/jobs";
import { StateBadge } from "../../ui/badge";
import { Panel, TableRegion } from "../../ui/layout";
import { JobName, JobProgress, JobTrend, JobValidation } from "./parts";
import { RowActions } from "./row-actions";

interface JobListProps {
  jobs: readonly JobCard[];
  now: number;
  onChanged: () => void;
}

/** Arrows go from job to job. */
export function walk(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const here = (event.target as HTMLElement).closest("[data-job]");
  if (!step || !here) return;
  const all = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("[data-job]")];
  const next = all[all.indexOf(here as HTMLElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

export function JobTable({ jobs, now, onChanged }: JobListProps) {
  return (
    <Panel flush>
      <TableRegion label="Jobs">
        <table class="table jobs-table">
          <thead>
            <tr>
              <th scope="col">Job</th>
              <th scope="col">State</th>
              <th scope="col">Progress</th>
              <th scope="col">Training reward</th>
              <th scope="col">Validation, base → best</th>
              <th scope="col">Created</th>
              <th scope="col">
                <span class="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody onKeyDown={walk}>
            {jobs.map((job) => (
              <tr key={job.id}>
                <td>
                  <JobName job={job} />
                </td>
                <td>
                  <StateBadge state={job.state} />
                </td>
                <td>
                  <JobProgress job={job} now={now} />
                </td>
                <td>
                  <JobTrend job={job} />
                </td>
                <td>
                  <JobValidation job={job} />
                </td>
                <td class="muted nowrap" title={moment(job.created_at)}>
                  {ago(job.created_at, now)}
                </td>
                <td>
                  <RowActions job={job} onChanged={onChanged} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableRegion>
    </Panel>
  );
}

/** The same where there is no room for a table. */
export function JobCards({ jobs, now, onChanged }: JobListProps) {
  return (
    <ul class="stack tight" aria-label="Jobs" onKeyDown={walk}>
      {jobs.map((job) => (
        <li key={job.id} class="panel jobs-card">
          <div class="jobs-card-head">
            <JobName job={job} />
            <RowActions job={job} onChanged={onChanged} />
          </div>
          <div class="row spread">
            <StateBadge state={job.state} />
            <span class="muted jobs-small" title={moment(job.created_at)}>
              {ago(job.created_at, now)}
            </span>
          </div>
          <div class="jobs-card-numbers">
            <JobProgress job={job} now={now} />
            <JobTrend job={job} />
          </div>
          {job.validation.best !== null && (
            <div class="row spread">
              <span class="muted">Validation {job.metric}, base → best</span>
              <JobValidation job={job} />
            </div>
          )}
        </li>
      ))}
    </ul>
  );
}
