import { useState } from "preact/hooks";
import { api, query } from "../../lib/api";
import { ago, bytes, moment, reward } from "../../lib/format";
import { usePaged } from "../../lib/paged";
import { may } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button, LinkButton } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Confirm } from "../../ui/dialog";
import { Empty, Panel, Skeleton, TableRegion } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { LoadMore } from "../../ui/paging";
import { CodeDialog } from "./code-dialog";
import { DeployDialog } from "./deploy-dialogs";
import { deleteModel, playgroundOf, type TunedModel } from "./models";

type Open = { what: "deploy" | "code" | "delete"; model: TunedModel } | null;

export function ModelsTable({ search }: { search: string }) {
  const models = usePaged<TunedModel, string>(search, (after, signal) =>
    api.get(`/api/models${query({ limit: 20, search, after })}`, { signal }),
  );
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);

  if (models.isLoading) return <Skeleton lines={6} label="Loading the models" />;
  if (models.error && models.items.length === 0) return <ErrorNote error={models.error} onRetry={models.reload} />;
  if (models.items.length === 0) return search ? <NotFound search={search} /> : <NoModels />;
  return (
    <>
      {models.error && <ErrorNote error={models.error} onRetry={models.reload} />}
      <Panel flush>
        <TableRegion label="Tuned models">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Model</th>
                <th scope="col">Base model</th>
                <th scope="col">Validation, base → tuned</th>
                <th scope="col">Job</th>
                <th scope="col">Deployments</th>
                <th scope="col">Made</th>
                <th scope="col">
                  <span class="visually-hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {models.items.map((model) => (
                <Row key={model.id} model={model} onOpen={(what) => setOpen({ what, model })} />
              ))}
            </tbody>
          </table>
        </TableRegion>
      </Panel>
      <LoadMore hasMore={models.hasMore} busy={models.isBusy} onMore={models.more} />
      {open?.what === "deploy" && <DeployDialog model={open.model} onDone={models.reload} onClose={close} />}
      {open?.what === "code" && (
        <CodeDialog
          title={`Call ${open.model.custom_name}`}
          name={open.model.name}
          arn={open.model.deployments[0]?.arn ?? open.model.arn}
          onClose={close}
        />
      )}
      {open?.what === "delete" && (
        <Confirm
          title={`Delete ${open.model.custom_name}?`}
          action="Delete model"
          kind="danger"
          typed={open.model.custom_name}
          onConfirm={async () => {
            await deleteModel(open.model.name);
            tell(`${open.model.custom_name} was deleted.`);
            models.reload();
          }}
          onClose={close}
        >
          <p>
            Its adapter and the checkpoint that it was made from are removed from the disk, and cannot be brought back.
            The job, its metrics and its other checkpoints stay.
          </p>
        </Confirm>
      )}
    </>
  );
}

function Row({ model, onOpen }: { model: TunedModel; onOpen: (what: "deploy" | "code" | "delete") => void }) {
  const mayChange = may("developer");
  return (
    <tr>
      <th scope="row" class="models-name">
        <div class="row">
          <span>{model.custom_name}</span>
          {model.is_loaded && <Badge tone="good">in memory</Badge>}
        </div>
        <div class="row models-names">
          {model.name !== model.custom_name && <code class="muted">{model.name}</code>}
          <CopyButton text={model.name} label="Copy name" />
          <CopyButton text={model.arn} label="Copy ARN" />
        </div>
      </th>
      <td>{model.base.id}</td>
      <td class="num nowrap">
        <Gain model={model} />
      </td>
      <td>
        {model.job ? (
          <a href={`/jobs/${encodeURIComponent(`ftjob-${model.job.id}`)}`}>{model.job.name}</a>
        ) : (
          <span class="muted">brought from outside</span>
        )}
        {model.job && <div class="muted nowrap">step {model.step}</div>}
      </td>
      <td>
        <Deployed model={model} />
      </td>
      <td class="nowrap">
        <div title={moment(model.created_at)}>{ago(model.created_at)}</div>
        {model.bytes === null ? (
          <Badge tone="bad">adapter missing</Badge>
        ) : (
          <div class="muted num">{bytes(model.bytes)}</div>
        )}
      </td>
      <td>
        <div class="models-actions">
          <LinkButton size="small" href={playgroundOf(model.base.id, model.name)}>
            Playground
          </LinkButton>
          <Button
            size="small"
            disabled={!mayChange || model.bytes === null}
            title={mayChange ? undefined : "Needs the role developer."}
            onClick={() => onOpen("deploy")}
          >
            Deploy
          </Button>
          <Button size="small" onClick={() => onOpen("code")}>
            Code
          </Button>
          <Button
            size="small"
            kind="danger"
            disabled={!mayChange}
            title={mayChange ? undefined : "Needs the role developer."}
            onClick={() => onOpen("delete")}
          >
            Delete
          </Button>
        </div>
      </td>
    </tr>
  );
}

/** 0.250 → 0.750, and the difference; whether that is better depends on what was measured. */
function Gain({ model }: { model: TunedModel }) {
  const { validation } = model;
  if (!validation) return <span class="muted">not measured</span>;
  const { base, tuned, measure } = validation;
  const change = base === null || tuned === null ? null : tuned - base;
  const isBetter = change !== null && (measure === "reward" ? change > 0 : change < 0);
  return (
    <>
      <div>
        {reward(base)} → <strong>{reward(tuned)}</strong>
      </div>
      <div class="row models-gain">
        <span class="muted">{measure}</span>
        {change !== null && change !== 0 && (
          <Badge tone={isBetter ? "good" : "warn"}>{reward(change, { signed: true })}</Badge>
        )}
      </div>
    </>
  );
}

function Deployed({ model }: { model: TunedModel }) {
  if (model.deployments.length === 0) return <span class="muted">none</span>;
  return (
    <ul>
      {model.deployments.map((deployment) => (
        <li key={deployment.id}>
          <a href={`/models/deployments?search=${encodeURIComponent(deployment.name)}`}>{deployment.name}</a>
          {deployment.status !== "Active" && <Badge tone="bad">{deployment.status}</Badge>}
        </li>
      ))}
    </ul>
  );
}

function NoModels() {
  return (
    <Empty
      title="No tuned models yet"
      action={
        <LinkButton kind="primary" href="/new">
          New job
        </LinkButton>
      }
    >
      <p>
        A job that succeeds leaves its model here, with what it gained on the validation rows. Base models can be tried
        in the <a href="/playground">playground</a> before.
      </p>
    </Empty>
  );
}

export function NotFound({ search }: { search: string }) {
  return (
    <Empty title="Nothing found">
      <p>No name holds “{search}”. Search for a part of it, or clear the search.</p>
    </Empty>
  );
}
