import { Fragment } from "preact";
import { useId, useState } from "preact/hooks";
import { ApiError, api, query } from "../../lib/api";
import { ago, moment, number } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { type FunctionCall, functionPath, type PageOf } from "../../lib/rewards";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Empty, Panel, Skeleton, TableRegion } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { LoadMore } from "../../ui/paging";
import { RowToggle } from "../../ui/toggle";
import { Verbatim } from "../../ui/verbatim";
import { secondsOf } from "./words";

/** Recent calls, by jobs, tests and others. */
export function LogsTab({ name }: { name: string }) {
  const [isLoadingMore, setLoadingMore] = useState(false);
  const load = (before?: string, signal?: AbortSignal) =>
    api.get<PageOf<FunctionCall>>(functionPath(name, `/logs${query({ before, limit: 25 })}`), signal ? { signal } : {});
  const calls = useResource(`logs ${name}`, (signal) => load(undefined, signal));
  if (calls.error && !calls.data) return <ErrorNote error={calls.error} onRetry={calls.reload} />;
  if (!calls.data) return <Skeleton lines={5} label="Loading calls" />;
  const shown = calls.data;

  async function more(): Promise<void> {
    setLoadingMore(true);
    try {
      const next = await load(shown.data.at(-1)!.request_id);
      calls.set({ data: [...shown.data, ...next.data], has_more: next.has_more });
    } catch (error) {
      tell(error instanceof ApiError ? error.message : String(error), "bad");
    } finally {
      setLoadingMore(false);
    }
  }

  const refresh = (
    <Button size="small" onClick={calls.reload}>
      Refresh
    </Button>
  );
  if (!shown.data.length) {
    return (
      <Empty title="No calls yet" action={refresh}>
        <p>Run an event under Test, or start a job with this function. Its newest calls are kept here.</p>
      </Empty>
    );
  }
  return (
    <Panel flush title="Calls" actions={refresh}>
      <TableRegion label="Calls">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">
                <span class="visually-hidden">Output</span>
              </th>
              <th scope="col">When</th>
              <th scope="col">Outcome</th>
              <th scope="col">Version</th>
              <th scope="col" class="end">
                Duration
              </th>
              <th scope="col" class="end">
                Memory
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.data.map((call) => (
              <CallRow key={call.request_id} call={call} />
            ))}
          </tbody>
        </table>
      </TableRegion>
      <LoadMore hasMore={shown.has_more} busy={isLoadingMore} onMore={more} />
    </Panel>
  );
}

function CallRow({ call }: { call: FunctionCall }) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const at = secondsOf(call.time);
  return (
    <Fragment>
      <tr>
        <td>
          <RowToggle
            isOpen={isOpen}
            onToggle={() => setOpen(!isOpen)}
            controls={id}
            what={`the output of the call ${call.request_id}`}
          />
        </td>
        <td class="nowrap" title={moment(at)}>
          {ago(at)}
        </td>
        <td>{call.error ? <Badge tone="bad">{call.error}</Badge> : <Badge tone="good">answered</Badge>}</td>
        <td class="num">{call.version === "$LATEST" ? "newest code" : call.version}</td>
        <td class="end num nowrap">{number(call.duration_ms)} ms</td>
        <td class="end num nowrap">{call.peak_memory_mb} MB</td>
      </tr>
      <tr id={id} hidden={!isOpen} class="functions-output">
        <td colSpan={6}>
          <div class="field-hint mono">{call.request_id}</div>
          <Verbatim text={call.output || "It printed nothing."} label="What it printed" maxHeight="20rem" />
        </td>
      </tr>
    </Fragment>
  );
}
