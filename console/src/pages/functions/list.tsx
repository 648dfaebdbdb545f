import { useState } from "preact/hooks";
import { ApiError } from "../../lib/api";
import { ago } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { type FunctionCard, getFunctions, saveFunction } from "../../lib/rewards";
import { navigate } from "../../lib/router";
import { may } from "../../lib/session";
import { useSettled } from "../../lib/settled";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Empty, Panel, Skeleton, TableRegion } from "../../ui/layout";
import { ErrorNote, Note } from "../../ui/note";
import { LoadMore } from "../../ui/paging";
import { STARTER } from "../new-job/reward/starter";
import { pageOf, secondsOf } from "./words";

export function FunctionList() {
  const [search, setSearch] = useState("");
  const asked = useSettled(search, 250);
  const [isNew, setNew] = useState(false);
  const [isLoadingMore, setLoadingMore] = useState(false);
  const functions = useResource(`functions ${asked}`, (signal) => getFunctions({ search: asked }, signal));

  async function more(): Promise<void> {
    const shown = functions.data!;
    setLoadingMore(true);
    try {
      const next = await getFunctions({ search: asked, after: shown.data.at(-1)!.name });
      functions.set({ data: [...shown.data, ...next.data], has_more: next.has_more });
    } catch (error) {
      tell(error instanceof ApiError ? error.message : String(error), "bad");
    } finally {
      setLoadingMore(false);
    }
  }

  const add = may("developer") && (
    <Button kind="primary" onClick={() => setNew(true)}>
      New function
    </Button>
  );
  const problem = functions.data?.data.find((one) => one.problem)?.problem;
  return (
    <>
      {problem && (
        <Note tone="warn" title="Functions cannot run on this server">
          {problem}
        </Note>
      )}
      <div class="row spread">
        <div class="grow" style={{ maxWidth: "22rem" }}>
          <TextField
            label="Search functions"
            hideLabel
            type="search"
            placeholder="Search by name"
            value={search}
            onValue={setSearch}
          />
        </div>
        {add}
      </div>
      {functions.error && <ErrorNote error={functions.error} onRetry={functions.reload} />}
      {functions.isLoading && <Skeleton lines={5} label="Loading functions" />}
      {functions.data &&
        (functions.data.data.length ? (
          <Panel flush>
            <FunctionTable functions={functions.data.data} />
            <LoadMore hasMore={functions.data.has_more} busy={isLoadingMore} onMore={more} />
          </Panel>
        ) : asked ? (
          <Empty title="No function has this name" action={<Button onClick={() => setSearch("")}>Show all</Button>} />
        ) : (
          <Empty title="No functions yet" action={add}>
            <p>
              A function is Python code that scores completions, with the interface of AWS Lambda. Write one here or in
              a new job, or register one with boto3 or <code>tuneward functions</code>.
            </p>
          </Empty>
        ))}
      {isNew && <NewFunction onClose={() => setNew(false)} />}
    </>
  );
}

function FunctionTable({ functions }: { functions: FunctionCard[] }) {
  return (
    <TableRegion label="Functions">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Version</th>
            <th scope="col">Description</th>
            <th scope="col">Used by</th>
            <th scope="col" class="end">
              At once
            </th>
            <th scope="col" class="end">
              Modified
            </th>
          </tr>
        </thead>
        <tbody>
          {functions.map((one) => (
            <tr key={one.name}>
              <th scope="row" class="functions-name">
                <a href={pageOf(one.name)}>{one.name}</a>
              </th>
              <td>
                <span class="row nowrap">
                  {one.newest_version ? <span class="num">{one.newest_version}</span> : <Badge>not published</Badge>}
                  {one.newest_version && !one.is_published && <Badge tone="warn">edited since</Badge>}
                </span>
              </td>
              <td class="functions-description muted">{one.description}</td>
              <td>
                {one.used_by.length === 0 && <span class="muted">–</span>}
                {one.used_by.slice(0, 2).map((job, index) => (
                  <span key={job.id}>
                    {index > 0 && ", "}
                    <a href={`/jobs/${encodeURIComponent(job.id)}`}>{job.name}</a>
                  </span>
                ))}
                {one.used_by.length > 2 && <span class="muted"> and {one.used_by.length - 2} more</span>}
              </td>
              <td class="end num">{one.reserved_concurrency ?? <span class="muted">no limit</span>}</td>
              <td class="end nowrap muted">{ago(secondsOf(one.last_modified))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableRegion>
  );
}

const NAME = /^[a-zA-Z0-9-_]{1,64}$/;

function NewFunction({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const isFit = NAME.test(name);

  async function make(event: Event): Promise<void> {
    event.preventDefault();
    if (!isFit) return;
    setBusy(true);
    try {
      await saveFunction(name, { "lambda_function.py": STARTER }, { isNew: true });
      navigate(pageOf(name));
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
      setBusy(false);
    }
  }

  return (
    <Dialog title="New function" onClose={onClose}>
      <form class="stack" onSubmit={make}>
        <TextField
          label="Name"
          value={name}
          onValue={setName}
          maxLength={64}
          spellcheck={false}
          hint="Letters, digits, - and _. It begins as an example that you edit next."
          problem={name && !isFit ? "Letters, digits, - and _, at most 64." : null}
        />
        {error && <ErrorNote error={error} />}
        <div class="actions">
          <Button onClick={onClose}>Back</Button>
          <Button kind="primary" type="submit" busy={isBusy} disabled={!isFit}>
            Make it
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
