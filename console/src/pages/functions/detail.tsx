import { useState } from "preact/hooks";
import { api } from "../../lib/api";
import { ago, plural } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { type FunctionCard, functionPath } from "../../lib/rewards";
import { navigate } from "../../lib/router";
import { may } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button, LinkButton } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Confirm } from "../../ui/dialog";
import { Page, Skeleton, TabLinks } from "../../ui/layout";
import { ErrorNote, Note } from "../../ui/note";
import { CodeTab } from "./code-tab";
import { LogsTab } from "./logs-tab";
import { TestTab } from "./test-tab";
import { VersionsTab } from "./versions-tab";
import { pageOf, secondsOf } from "./words";

const TABS = [
  ["code", "Code"],
  ["versions", "Versions"],
  ["test", "Test"],
  ["logs", "Logs"],
] as const;

/** One function. */
export function FunctionDetail({ name, tab }: { name: string; tab: string }) {
  const card = useResource(`function ${name}`, (signal) => api.get<FunctionCard>(functionPath(name), { signal }));
  const [isDeleting, setDeleting] = useState(false);
  const shown = TABS.some(([id]) => id === tab) ? tab : "code";
  const one = card.data;
  return (
    <Page
      title={name}
      beside={
        one && (
          <>
            <Badge>{one.newest_version ? `version ${one.newest_version}` : "not published"}</Badge>
            {!one.is_published && one.newest_version && <Badge tone="warn">edited since</Badge>}
          </>
        )
      }
      subtitle={
        <>
          <a href="/functions">Functions</a>
          {one?.description && ` · ${one.description}`}
        </>
      }
      actions={
        one && (
          <>
            <LinkButton href="/new/reward">New job</LinkButton>
            {may("developer") && (
              <Button kind="danger" onClick={() => setDeleting(true)}>
                Delete
              </Button>
            )}
          </>
        )
      }
    >
      {card.error && <ErrorNote error={card.error} onRetry={card.reload} />}
      {card.isLoading && <Skeleton lines={3} />}
      {one && (
        <>
          {one.problem && (
            <Note tone="warn" title="Functions cannot run on this server">
              {one.problem}
            </Note>
          )}
          <Facts card={one} />
          <TabLinks
            label="Function"
            items={TABS.map(([id, label]) => ({ id, label, href: pageOf(name, id) }))}
            current={shown}
          />
          {shown === "code" && <CodeTab card={one} onSaved={card.reload} />}
          {shown === "versions" && <VersionsTab card={one} onChanged={card.reload} />}
          {shown === "test" && <TestTab name={name} />}
          {shown === "logs" && <LogsTab name={name} />}
        </>
      )}
      {isDeleting && (
        <Confirm
          title={`Delete ${name}?`}
          action="Delete function"
          kind="danger"
          typed={name}
          onConfirm={async () => {
            await api.delete(`/2015-03-31/functions/${encodeURIComponent(name)}`);
            navigate("/functions");
            tell(`${name} is deleted.`, "good");
          }}
          onClose={() => setDeleting(false)}
        >
          <p>All its versions and its log go with it. Jobs that have not started and use it will fail.</p>
        </Confirm>
      )}
    </Page>
  );
}

function Facts({ card }: { card: FunctionCard }) {
  return (
    <dl class="facts">
      <dt>ARN</dt>
      <dd class="row">
        <span class="mono">{card.arn}</span>
        <CopyButton text={card.arn} label="Copy ARN" />
      </dd>
      <dt>Limits</dt>
      <dd>
        {card.timeout_s} s and {card.memory_mb} MiB a call
        {card.reserved_concurrency !== null && `, ${plural(card.reserved_concurrency, "call")} at once`}
      </dd>
      <dt>Modified</dt>
      <dd>{ago(secondsOf(card.last_modified))}</dd>
      {card.used_by.length > 0 && (
        <>
          <dt>Used by</dt>
          <dd>
            {card.used_by.map((job, index) => (
              <span key={job.id}>
                {index > 0 && ", "}
                <a href={`/jobs/${encodeURIComponent(job.id)}`}>{job.name}</a>{" "}
                <span class="muted">
                  ({job.state}
                  {job.qualifier && `, ${/^\d+$/.test(job.qualifier) ? "version " : ""}${job.qualifier}`})
                </span>
              </span>
            ))}
          </dd>
        </>
      )}
    </dl>
  );
}
