import { bytes } from "../../lib/format";
import { Badge } from "../../ui/badge";
import { Panel, Progress } from "../../ui/layout";
import { ForTheHead, InTheFile } from "./server";
import type { ServerSettings } from "./settings";

const SCARCE = 0.1;

export function Storage({ data }: { data: ServerSettings }) {
  const { home, database, storage } = data;
  if (!home || !database || !storage) return <ForTheHead what="Folders and addresses" />;
  const isScarce = home.free_bytes < SCARCE * home.total_bytes;
  return (
    <div class="stack">
      <Panel title="Home">
        <dl class="facts">
          <dt>Folder</dt>
          <dd class="mono">{home.path}</dd>
          <dt>Free</dt>
          <dd>
            <div class="row num">
              {bytes(home.free_bytes)} of {bytes(home.total_bytes)}
              {isScarce && <Badge tone="warn">little is left</Badge>}
            </div>
            <Progress
              value={home.total_bytes - home.free_bytes}
              max={home.total_bytes}
              label="Used space of the disk that the home is on"
            />
          </dd>
        </dl>
        <p class="muted settings-below">Files, runs, checkpoints, adapters and functions of all projects lie here.</p>
        <InTheFile keys={["home"]} />
      </Panel>
      <Panel
        title={
          <span class="row">
            Database
            <Badge tone={database.is_reachable ? "good" : "bad"}>{database.is_reachable ? "answers" : "away"}</Badge>
          </span>
        }
      >
        <dl class="facts">
          <dt>Kind</dt>
          <dd>{database.kind === "sqlite" ? "SQLite, a file" : "PostgreSQL"}</dd>
          <dt>Where</dt>
          <dd class="mono">{database.address}</dd>
        </dl>
        <p class="muted settings-below">
          Jobs, events, metrics, keys and the audit log.
          {database.kind === "sqlite" && " With PostgreSQL, workers on several machines can share the queue."}
        </p>
        <InTheFile keys={["database"]} />
      </Panel>
      <Panel title="Object storage">
        <dl class="facts">
          <dt>
            <code>s3://</code> leads to
          </dt>
          <dd class="mono">
            {storage.place ?? (storage.kind === "folder" ? "a folder" : "Amazon S3, as the environment says")}
          </dd>
          <dt>Buckets</dt>
          <dd>{storage.buckets === null ? "all that the server can reach" : storage.buckets.join(", ") || "none"}</dd>
        </dl>
        <p class="muted settings-below">
          Where jobs read rows and logs by address, and where results are copied. Its credentials are those of the
          server's environment, and are shown nowhere.
        </p>
        <InTheFile keys={["storage.folder", "storage.endpoint_url", "storage.buckets"]} />
      </Panel>
    </div>
  );
}
