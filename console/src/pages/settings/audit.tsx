import { useEffect, useState } from "preact/hooks";
import { api, query } from "../../lib/api";
import { moment } from "../../lib/format";
import { usePaged } from "../../lib/paged";
import { may } from "../../lib/session";
import { useSettled } from "../../lib/settled";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Check, TextField } from "../../ui/field";
import { Empty, Panel, Skeleton, TableRegion } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { LoadMore } from "../../ui/paging";
import { isHead, NeedsAdmin } from "./server";
import type { AuditEntry } from "./settings";

const REFRESH_MS = 5000;
const PAGE = 50;

/** Who did what: every change, and everything that was refused. */
export function Audit() {
  const [text, setText] = useState("");
  const [refused, setRefused] = useState(false);
  const [isLive, setLive] = useState(true);
  const search = useSettled(text.trim());
  const isAdmin = may("admin");
  const entries = usePaged<AuditEntry, number>(isAdmin ? `${refused} ${search}` : null, async (after, signal) => {
    const filter = query({ limit: PAGE, search, refused: refused || null, after });
    const page = await api.get<{ data: AuditEntry[]; has_more: boolean }>(`/api/audit${filter}`, { signal });
    return { data: page.data, next: page.has_more ? (page.data[page.data.length - 1]?.id ?? null) : null };
  });
  const { reload } = entries;
  const isFirstPage = entries.items.length <= PAGE;
  useEffect(() => {
    // Whoever reads further down would lose the place.
    if (!isLive || !isFirstPage || !isAdmin) return;
    const timer = setInterval(() => {
      if (!document.hidden) reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [isLive, isFirstPage, isAdmin, reload]);
  if (!isAdmin) return <NeedsAdmin what="Entries of the audit log" />;
  return (
    <div class="stack">
      <div class="row settings-filter">
        <TextField
          label="Find"
          hideLabel
          type="search"
          value={text}
          onValue={setText}
          placeholder="Find by key, action or path"
          maxLength={200}
        />
        <Check label="Only refused or failed" checked={refused} onChecked={setRefused} />
        <Check
          label={isLive && !isFirstPage ? "Live (on the first page)" : "Live"}
          checked={isLive}
          onChecked={setLive}
        />
        <Button size="small" onClick={reload}>
          Refresh
        </Button>
      </div>
      {entries.error && <ErrorNote error={entries.error} onRetry={reload} />}
      {entries.isLoading && <Skeleton lines={6} />}
      {!entries.isLoading && !entries.error && entries.items.length === 0 && (
        <Empty title={search || refused ? "Nothing found" : "Nothing has happened yet"}>
          <p>Changes and refusals are noted here; reading is not.</p>
        </Empty>
      )}
      {entries.items.length > 0 && (
        <Panel flush>
          <TableRegion label="Audit log">
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">Time</th>
                  <th scope="col">Key</th>
                  {isHead() && <th scope="col">Project</th>}
                  <th scope="col">Action</th>
                  <th scope="col">Path</th>
                  <th scope="col">Status</th>
                  <th scope="col">Request</th>
                </tr>
              </thead>
              <tbody>
                {entries.items.map((entry) => (
                  <tr key={entry.id}>
                    <td class="nowrap num">{moment(entry.at)}</td>
                    <td class="mono">{entry.actor}</td>
                    {isHead() && <td class="mono">{entry.project_id ?? <span class="muted">none</span>}</td>}
                    <td class="mono">{entry.action}</td>
                    <td class="mono settings-target">{entry.target}</td>
                    <td>
                      <Badge tone={entry.status >= 500 ? "bad" : entry.status >= 400 ? "warn" : "good"}>
                        {entry.status}
                      </Badge>
                    </td>
                    <td class="mono muted">{entry.request_id}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableRegion>
        </Panel>
      )}
      <LoadMore hasMore={entries.hasMore} busy={entries.isBusy} onMore={entries.more} />
    </div>
  );
}
