import { useState } from "preact/hooks";
import { ApiError, api, query } from "../../../lib/api";
import { ago, bytes, moment, percent, plural, reward } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { may } from "../../../lib/session";
import { Badge } from "../../../ui/badge";
import { Button, LinkButton } from "../../../ui/button";
import { CopyButton } from "../../../ui/copy";
import { Icon } from "../../../ui/icon";
import { Empty, Panel, Skeleton, TableRegion } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { LoadMore } from "../../../ui/paging";
import { DeployDialog } from "../deploy";
import type { JobDetail } from "../detail";
import { adapterPath, apiPath, playgroundPath } from "../links";
import { useReloadOn } from "../reload";
import type { TabProps } from "../tab";
import "../details.css";

interface CheckpointCard {
  id: string;
  step: number;
  model_name: string;
  created_at: number;
  train: number | null;
  validation: number | null;
  difference: number | null;
  exact: number | null;
  is_best: boolean;
  is_result: boolean;
  bytes: number | null;
  sha256: string | null;
  deployments: string[];
}

interface CheckpointPage {
  data: CheckpointCard[];
  next: number | null;
  metric: "reward" | "loss";
  base: number | null;
}

/** The states of the adapter that can be served, newest first. */
export default function Checkpoints({ job, reload, pulse }: TabProps) {
  const path = (after?: number) => apiPath(job.id, "/checkpoints") + query({ limit: 50, after });
  const first = useResource<CheckpointPage>(job.id, (signal) => api.get(path(), { signal }));
  const [more, setMore] = useState<{ of: CheckpointPage; data: CheckpointCard[]; next: number | null }>();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  useReloadOn(pulse, first.reload);

  if (first.isLoading) return <Skeleton lines={5} label="Loading the checkpoints" />;
  if (!first.data) return <ErrorNote error={first.error!} onRetry={first.reload} />;
  const page = first.data;
  const further = more?.of === page ? more : { of: page, data: [], next: page.next };

  async function showMore(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      const next = await api.get<CheckpointPage>(path(further.next!));
      setMore({ of: page, data: [...further.data, ...next.data], next: next.next });
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    }
    setBusy(false);
  }

  const all = [...page.data, ...further.data];
  if (!all.length) return <NoCheckpoints job={job} />;
  return (
    <div class="stack">
      {first.error && <ErrorNote error={first.error} onRetry={first.reload} />}
      <Panel
        flush
        title={plural(all.length, "checkpoint")}
        actions={page.base !== null && <span class="muted num">base model {reward(page.base)}</span>}
      >
        <TableRegion label="Checkpoints">
          <table class="table job-checkpoints">
            <thead>
              <tr>
                <th scope="col">Step</th>
                <th scope="col" class="end">
                  Validation {page.metric}
                </th>
                {page.metric === "reward" && (
                  <th scope="col" class="end">
                    Exact
                  </th>
                )}
                <th scope="col" class="end">
                  Training
                </th>
                <th scope="col">Saved</th>
                <th scope="col">
                  <span class="visually-hidden">What to do with it</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {all.map((one) => (
                <CheckpointRow
                  key={one.id}
                  {...{ job, one }}
                  metric={page.metric}
                  onDone={() => {
                    first.reload();
                    reload();
                  }}
                />
              ))}
            </tbody>
          </table>
        </TableRegion>
        {error && <ErrorNote error={error} onRetry={showMore} />}
        <LoadMore hasMore={further.next !== null} busy={isBusy} onMore={showMore} />
      </Panel>
      <p class="muted">
        Besides the newest checkpoint the three best on the validation rows are kept, and every one that is deployed.
      </p>
    </div>
  );
}

interface RowProps {
  job: JobDetail;
  one: CheckpointCard;
  metric: "reward" | "loss";
  onDone: () => void;
}

function CheckpointRow({ job, one, metric, onDone }: RowProps) {
  const [asked, setAsked] = useState<"deploy" | "stop">();
  const isDeveloper = may("developer");
  const gain = one.difference === null ? null : metric === "loss" ? -one.difference : one.difference;
  return (
    <tr>
      <td>
        <div class="row job-step">
          <span class="num">{one.step}</span>
          {one.is_result && <Badge tone="good">result</Badge>}
          {one.is_best && <Badge tone="accent">best</Badge>}
        </div>
        {one.deployments.length > 0 && (
          <div class="muted job-deployed">
            deployed as <span class="mono">{one.deployments.join(", ")}</span>
          </div>
        )}
      </td>
      <td class="num end nowrap">
        {reward(one.validation)}
        {gain !== null && (
          <span class={`job-to-base ${gain > 0 ? "job-better" : gain < 0 ? "job-worse" : "muted"}`}>
            {reward(one.difference, { signed: true })}
          </span>
        )}
      </td>
      {metric === "reward" && <td class="num end nowrap">{percent(one.exact)}</td>}
      <td class="num end">{reward(one.train)}</td>
      <td class="nowrap" title={moment(one.created_at)}>
        {ago(one.created_at)}
      </td>
      <td>
        <div class="row job-row-actions">
          {isDeveloper && (
            <Button size="small" onClick={() => setAsked("deploy")} aria-label={`Deploy step ${one.step}`}>
              Deploy
            </Button>
          )}
          {isDeveloper && job.actions.includes("stop") && (
            <Button size="small" onClick={() => setAsked("stop")} aria-label={`Stop the job and keep step ${one.step}`}>
              Stop here
            </Button>
          )}
          <a class="button small" href={playgroundPath(job, one.model_name)} aria-label={`Try step ${one.step}`}>
            Try
          </a>
          {one.bytes === null ? (
            <Badge tone="warn">adapter missing</Badge>
          ) : (
            <a
              class="button small"
              href={adapterPath(job.id, one.step)}
              download
              aria-label={`Download the adapter of step ${one.step}, ${bytes(one.bytes)}`}
              title="Download the adapter"
            >
              <Icon name="download" />
              {bytes(one.bytes)}
            </a>
          )}
          <CopyButton text={one.model_name} label="Copy name" />
        </div>
        {asked && (
          <DeployDialog
            job={job}
            step={one.step}
            stops={asked === "stop"}
            onClose={() => setAsked(undefined)}
            onDone={onDone}
          />
        )}
      </td>
    </tr>
  );
}

function NoCheckpoints({ job }: { job: JobDetail }) {
  const every = job.plan.evaluate_every;
  const when =
    typeof every === "number"
      ? `after every evaluation, that is every ${plural(every, "step")}`
      : "after every evaluation";
  if (job.actions.length)
    return (
      <Empty title="No checkpoints yet">
        <p>One is made {when}. It can be tried, deployed and downloaded while the job goes on.</p>
      </Empty>
    );
  return (
    <Empty
      title="This job left no checkpoints"
      action={<LinkButton href={`/new?clone=${encodeURIComponent(job.id)}`}>Clone the job</LinkButton>}
    >
      <p>It ended before its first evaluation after training began.</p>
    </Empty>
  );
}
