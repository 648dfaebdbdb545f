import { useEffect } from "preact/hooks";
import type { JobState } from "../../lib/jobs";
import type { Resource } from "../../lib/resource";
import { Badge, StateBadge } from "../../ui/badge";
import { Empty, Panel, Progress, TableRegion } from "../../ui/layout";
import { Note } from "../../ui/note";
import { InTheFile, SettingsTable } from "./server";
import type { ServerSettings, Task } from "./settings";

const REFRESH_MS = 5000;

/** Who trains what at this moment; looked at again every few seconds. */
export function WorkersSection({ settings, data }: { settings: Resource<ServerSettings>; data: ServerSettings }) {
  const { reload } = settings;
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload]);
  const { workers } = data;
  if (!workers) return <Note tone="warn">The database cannot be reached, so nobody knows what workers do.</Note>;
  const busy = new Set(workers.tasks.map((task) => task.slot));
  const states = Object.entries(workers.states);
  return (
    <div class="stack">
      {workers.started_here === 0 && workers.waiting > 0 && (
        <Note tone="warn" title="This server starts no workers">
          Jobs wait until a worker takes them: run <code>tuneward worker</code> with the same configuration.
        </Note>
      )}
      <Panel title="At a glance">
        <dl class="facts">
          <dt>Workers of this server</dt>
          <dd class="num">{workers.started_here}</dd>
          <dt>Slots of this machine</dt>
          <dd>
            <span class="row">
              {workers.slots.map((slot) => (
                <Badge key={slot} tone={busy.has(slot) ? "accent" : undefined} live={busy.has(slot)}>
                  {slot.split("/").pop()} {busy.has(slot) ? "trains" : "free"}
                </Badge>
              ))}
            </span>
          </dd>
          <dt>Jobs without a worker</dt>
          <dd class="num">{workers.waiting}</dd>
          <dt>Your project's open jobs</dt>
          <dd>
            {states.length === 0 ? (
              <span class="muted">none</span>
            ) : (
              <span class="row">
                {states.map(([state, amount]) => (
                  <span key={state} class="row">
                    <StateBadge state={state as JobState} /> {amount}
                  </span>
                ))}
              </span>
            )}
          </dd>
        </dl>
      </Panel>
      <Panel flush title="Under way">
        {workers.tasks.length === 0 ? (
          <Empty title="No worker holds a job">
            <p>Workers without work are not listed: they show when they take a job.</p>
          </Empty>
        ) : (
          <TableRegion label="Jobs under way">
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">Worker</th>
                  <th scope="col">Slot</th>
                  <th scope="col">Job</th>
                  <th scope="col">State</th>
                  <th scope="col">Progress</th>
                </tr>
              </thead>
              <tbody>
                {workers.tasks.map((task, index) => (
                  <Row key={index} task={task} />
                ))}
              </tbody>
            </table>
          </TableRegion>
        )}
      </Panel>
      <Panel flush title="How many">
        <SettingsTable data={data} prefix={/^(workers|slots|threads)$/} label="Workers and slots" />
      </Panel>
      <InTheFile keys={["workers", "slots", "threads"]} />
    </div>
  );
}

function Row({ task }: { task: Task }) {
  const { job } = task;
  return (
    <tr>
      <th scope="row" class="settings-name">
        {task.host}
        {task.process !== null && <span class="muted num"> process {task.process}</span>}
      </th>
      <td>{task.slot?.split("/").pop() ?? <span class="muted">validates</span>}</td>
      <td>
        {job ? (
          <a href={`/jobs/${encodeURIComponent(`ftjob-${job.id}`)}`}>{job.name}</a>
        ) : (
          <span class="muted">another project's</span>
        )}
      </td>
      <td>
        <StateBadge state={task.state as JobState} />
      </td>
      <td class="settings-progress">
        {job && job.step !== null && job.total_steps ? (
          <>
            <span class="num">
              step {job.step} of {job.total_steps}
            </span>
            <Progress value={job.step} max={job.total_steps} label={`Progress of ${job.name}`} />
          </>
        ) : (
          <span class="muted">–</span>
        )}
      </td>
    </tr>
  );
}
