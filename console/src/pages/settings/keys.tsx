import { useState } from "preact/hooks";
import { api } from "../../lib/api";
import { ago, moment } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { may, session } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Confirm } from "../../ui/dialog";
import { Check } from "../../ui/field";
import { Empty, Panel, Skeleton, TableRegion } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { NewKeyDialog } from "./new-key";
import { isHead, NeedsAdmin } from "./server";
import { type Key, standing } from "./settings";

const TONES = { valid: "good", revoked: undefined, expired: "warn" } as const;
const SHOWN = 200;

export function Keys() {
  const keys = useResource(may("admin") ? "keys" : null, (signal) => api.get<{ data: Key[] }>("/api/keys", { signal }));
  const [isMaking, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Key | null>(null);
  const [withEnded, setWithEnded] = useState(false);
  const own = session.value.state === "in" ? session.value.caller.key_id : "";
  if (!may("admin"))
    return (
      <div class="stack">
        <Roles />
        <NeedsAdmin what="Keys" />
      </div>
    );
  const newestFirst = [...(keys.data?.data ?? [])].reverse();
  const all = newestFirst.filter((key) => withEnded || standing(key) === "valid");
  return (
    <div class="stack">
      <Roles />
      <Panel
        flush
        title="Keys"
        actions={
          <Button kind="primary" onClick={() => setMaking(true)}>
            New key
          </Button>
        }
      >
        {keys.error && <ErrorNote error={keys.error} onRetry={keys.reload} />}
        {keys.isLoading && (
          <div class="settings-pad">
            <Skeleton lines={4} />
          </div>
        )}
        {keys.data && (
          <>
            <div class="settings-pad">
              <Check label="Show revoked and expired keys" checked={withEnded} onChecked={setWithEnded} />
            </div>
            {all.length === 0 ? (
              <Empty title="No key is valid">
                <p>
                  You are signed in with the key of the server's environment. Make a key for every person and program.
                </p>
              </Empty>
            ) : (
              <TableRegion label="Keys">
                <table class="table">
                  <thead>
                    <tr>
                      <th scope="col">Name</th>
                      <th scope="col">Kind</th>
                      <th scope="col">Role</th>
                      {isHead() && <th scope="col">Project</th>}
                      <th scope="col">Last used</th>
                      <th scope="col">Expires</th>
                      <th scope="col">State</th>
                      <th scope="col">
                        <span class="visually-hidden">Actions</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {all.slice(0, SHOWN).map((key) => (
                      <Row key={key.id} one={key} isOwn={key.id === own} onRevoke={() => setRevoking(key)} />
                    ))}
                  </tbody>
                </table>
              </TableRegion>
            )}
            {all.length > SHOWN && (
              <p class="muted settings-pad">
                The newest {SHOWN} of {all.length} keys; <code>tuneward keys list</code> shows all.
              </p>
            )}
          </>
        )}
      </Panel>
      {isMaking && <NewKeyDialog onMade={keys.reload} onClose={() => setMaking(false)} />}
      {revoking && (
        <Confirm
          title={`Revoke ${revoking.name}?`}
          action="Revoke key"
          kind="danger"
          onConfirm={async () => {
            await api.delete(`/api/keys/${encodeURIComponent(revoking.id)}`);
            tell(`${revoking.name} was revoked.`);
            keys.reload();
          }}
          onClose={() => setRevoking(null)}
        >
          <p>
            Whoever uses it is refused within two seconds, and it cannot be made valid again. Jobs that it started go
            on.
          </p>
          {revoking.id === own && (
            <p>
              <strong>This is the key that you are signed in with: you will be signed out.</strong>
            </p>
          )}
        </Confirm>
      )}
    </div>
  );
}

function Row({ one, isOwn, onRevoke }: { one: Key; isOwn: boolean; onRevoke: () => void }) {
  const state = standing(one);
  return (
    <tr>
      <th scope="row" class="settings-name">
        <div class="row">
          <span>{one.name}</span>
          {isOwn && <Badge tone="accent">yours</Badge>}
        </div>
        <code class="muted">{one.hint ? `…${one.hint}` : one.id}</code>
      </th>
      <td>{one.kind === "api" ? "API key" : "access key"}</td>
      <td>{one.role}</td>
      {isHead() && <td class="mono">{one.project_id}</td>}
      <td class="nowrap" title={one.last_used_at ? moment(one.last_used_at) : undefined}>
        {one.last_used_at === null ? "never" : ago(one.last_used_at)}
      </td>
      <td class="nowrap">{one.expires_at === null ? "never" : moment(one.expires_at)}</td>
      <td>
        <Badge tone={TONES[state]}>{state}</Badge>
      </td>
      <td class="end">
        {state === "valid" && (
          <Button size="small" kind="danger" onClick={onRevoke} aria-label={`Revoke ${one.name}`}>
            Revoke
          </Button>
        )}
      </td>
    </tr>
  );
}

function Roles() {
  return (
    <Panel title="Roles">
      <dl class="facts">
        <dt>viewer</dt>
        <dd>looks at jobs, metrics, models and settings of its project, and changes nothing</dd>
        <dt>developer</dt>
        <dd>also starts and steers jobs, asks models, deploys them, and writes reward functions</dd>
        <dt>admin</dt>
        <dd>also makes and revokes keys, reads the audit log, and chooses where calls are logged</dd>
      </dl>
    </Panel>
  );
}
