import { useState } from "preact/hooks";
import { ApiError, api, query } from "../../lib/api";
import { ago, bytes } from "../../lib/format";
import { useResource } from "../../lib/resource";
import {
  type FunctionCard,
  type FunctionCode,
  type FunctionVersion,
  functionPath,
  type PageOf,
} from "../../lib/rewards";
import { may } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button, LinkButton } from "../../ui/button";
import { Confirm, Dialog } from "../../ui/dialog";
import { Panel, Skeleton, TableRegion } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { LoadMore } from "../../ui/paging";
import { type DiffLine, diffLines, withContext } from "./diff";
import { pageOf, secondsOf } from "./words";

const LATEST = "$LATEST";

export function VersionsTab({ card, onChanged }: { card: FunctionCard; onChanged: () => void }) {
  const [comparing, setComparing] = useState<string>();
  const [restoring, setRestoring] = useState<string>();
  const [isLoadingMore, setLoadingMore] = useState(false);
  const load = (after?: string, signal?: AbortSignal) =>
    api.get<PageOf<FunctionVersion>>(functionPath(card.name, `/versions${query({ after })}`), signal ? { signal } : {});
  const versions = useResource(`versions ${card.name} ${card.last_modified} ${card.versions}`, (signal) =>
    load(undefined, signal),
  );
  if (versions.error) return <ErrorNote error={versions.error} onRetry={versions.reload} />;
  if (!versions.data) return <Skeleton lines={4} label="Loading versions" />;
  const shown = versions.data;
  const latest = shown.data[0];

  async function more(): Promise<void> {
    setLoadingMore(true);
    try {
      const next = await load(shown.data.at(-1)!.version);
      versions.set({ data: [...shown.data, ...next.data], has_more: next.has_more });
    } catch (error) {
      tell(error instanceof ApiError ? error.message : String(error), "bad");
    } finally {
      setLoadingMore(false);
    }
  }

  return (
    <Panel flush>
      <TableRegion label="Versions">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col">Description</th>
              <th scope="col" class="end">
                Archive
              </th>
              <th scope="col" class="end">
                Modified
              </th>
              <th scope="col">
                <span class="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.data.map((one) => (
              <tr key={one.version}>
                <th scope="row" class="functions-name">
                  <span class="row">
                    {one.version === LATEST ? "newest code" : one.version}
                    {one.aliases.map((alias) => (
                      <Badge key={alias} tone="accent">
                        {alias}
                      </Badge>
                    ))}
                    {one !== latest && one.code_sha256 === latest?.code_sha256 && <Badge>same code as newest</Badge>}
                  </span>
                </th>
                <td class="functions-description">{one.description || <span class="muted">–</span>}</td>
                <td class="end num">{bytes(one.code_bytes)}</td>
                <td class="end nowrap muted">{ago(secondsOf(one.last_modified))}</td>
                <td>
                  <span class="row functions-actions">
                    <LinkButton
                      size="small"
                      href={`${pageOf(card.name, "code")}${one.version === LATEST ? "" : query({ version: one.version })}`}
                    >
                      View
                    </LinkButton>
                    {one !== latest && (
                      <Button size="small" onClick={() => setComparing(one.version)}>
                        Compare
                      </Button>
                    )}
                    {one !== latest && may("developer") && (
                      <Button size="small" onClick={() => setRestoring(one.version)}>
                        Roll back
                      </Button>
                    )}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableRegion>
      <LoadMore hasMore={shown.has_more} busy={isLoadingMore} onMore={more} />
      {comparing && <Comparison name={card.name} version={comparing} onClose={() => setComparing(undefined)} />}
      {restoring && (
        <Confirm
          title={`Roll back to version ${restoring}?`}
          action="Publish it again"
          onConfirm={async () => {
            const made = await api.put<FunctionVersion>(functionPath(card.name, "/code"), {
              from_version: restoring,
              description: `Code of version ${restoring}`,
            });
            tell(`The code of version ${restoring} is now version ${made.version}.`, "good");
            onChanged();
          }}
          onClose={() => setRestoring(undefined)}
        >
          <p>
            Its code becomes the newest version. The versions in between stay, and jobs that name a version keep using
            it.
          </p>
        </Confirm>
      )}
    </Panel>
  );
}

/** A version against the newest code. */
function Comparison({ name, version, onClose }: { name: string; version: string; onClose: () => void }) {
  const both = useResource(`compare ${name} ${version}`, (signal) =>
    Promise.all(
      [version, LATEST].map((one) =>
        api.get<FunctionCode>(functionPath(name, `/code${query({ version: one })}`), { signal }),
      ),
    ),
  );
  const [before, after] = both.data ?? [];
  return (
    <Dialog wide title={`Version ${version} and the newest code`} onClose={onClose}>
      {both.error && <ErrorNote error={both.error} onRetry={both.reload} />}
      {both.isLoading && <Skeleton lines={8} />}
      {before && after && <Changes before={before} after={after} />}
      <div class="actions">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

function Changes({ before, after }: { before: FunctionCode; after: FunctionCode }) {
  const textOf = (code: FunctionCode, path: string) => code.files.find((file) => file.path === path)?.text ?? "";
  const paths = [...new Set([...before.files, ...after.files].map((file) => file.path))].sort();
  const changed = paths.filter((path) => textOf(before, path) !== textOf(after, path));
  if (!changed.length) return <p class="muted">The texts are the same.</p>;
  return (
    <div class="stack functions-changes">
      {changed.map((path) => (
        <section key={path} aria-label={path}>
          <h3 class="mono">{path}</h3>
          <pre class="verbatim functions-diff" tabIndex={0}>
            {withContext(diffLines(textOf(before, path), textOf(after, path))).map((line, index) => (
              <Line key={index} line={line} />
            ))}
          </pre>
        </section>
      ))}
    </div>
  );
}

function Line({ line }: { line: DiffLine | null }) {
  if (line === null) return <span class="functions-diff-gap">⋯{"\n"}</span>;
  const sign = line.kind === "added" ? "+" : line.kind === "removed" ? "−" : " ";
  return <span class={`functions-diff-${line.kind}`}>{`${sign} ${line.text}\n`}</span>;
}
