import { useState } from "preact/hooks";
import { api, query } from "../../lib/api";
import { ago, moment } from "../../lib/format";
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
import { SwapDialog } from "./deploy-dialogs";
import { type Deployment, playgroundOf, undeploy } from "./models";
import { NotFound } from "./models-table";

type Action = "swap" | "code" | "delete";
type Open = { what: Action; deployment: Deployment } | null;

export function DeploymentsTable({ search }: { search: string }) {
  const deployments = usePaged<Deployment, string>(search, (after, signal) =>
    api.get(`/api/deployments${query({ limit: 20, search, after })}`, { signal }),
  );
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);

  if (deployments.isLoading) return <Skeleton lines={6} label="Loading the deployments" />;
  if (deployments.error && deployments.items.length === 0)
    return <ErrorNote error={deployments.error} onRetry={deployments.reload} />;
  if (deployments.items.length === 0) return search ? <NotFound search={search} /> : <NoDeployments />;
  return (
    <>
      {deployments.error && <ErrorNote error={deployments.error} onRetry={deployments.reload} />}
      <Panel flush>
        <TableRegion label="Deployments">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Deployment</th>
                <th scope="col">Status</th>
                <th scope="col">Model</th>
                <th scope="col">Last change</th>
                <th scope="col">
                  <span class="visually-hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {deployments.items.map((one) => (
                <Row key={one.id} deployment={one} onOpen={(what) => setOpen({ what, deployment: one })} />
              ))}
            </tbody>
          </table>
        </TableRegion>
      </Panel>
      <LoadMore hasMore={deployments.hasMore} busy={deployments.isBusy} onMore={deployments.more} />
      {open?.what === "swap" && <SwapDialog deployment={open.deployment} onDone={deployments.reload} onClose={close} />}
      {open?.what === "code" && (
        <CodeDialog
          title={`Call ${open.deployment.name}`}
          name={open.deployment.arn}
          arn={open.deployment.arn}
          onClose={close}
        />
      )}
      {open?.what === "delete" && (
        <Confirm
          title={`Delete ${open.deployment.name}?`}
          action="Delete deployment"
          kind="danger"
          typed={open.deployment.name}
          onConfirm={async () => {
            await undeploy(open.deployment.arn);
            tell(`${open.deployment.name} was deleted.`);
            deployments.reload();
          }}
          onClose={close}
        >
          <p>Programs that call it by this name fail from now on. The model behind it stays.</p>
        </Confirm>
      )}
    </>
  );
}

const TONES = { Active: "good", Creating: "accent", Failed: "bad" } as const;

function Row({ deployment, onOpen }: { deployment: Deployment; onOpen: (what: Action) => void }) {
  const mayChange = may("developer");
  const why = mayChange ? undefined : "Needs the role developer.";
  return (
    <tr>
      <th scope="row" class="models-name">
        <div class="row">
          <span>{deployment.name}</span>
          <CopyButton text={deployment.arn} label="Copy ARN" />
        </div>
        {deployment.description && <div class="muted models-description">{deployment.description}</div>}
      </th>
      <td>
        <Badge tone={TONES[deployment.status]}>{deployment.status}</Badge>
      </td>
      <td>
        <div>{deployment.model.custom_name}</div>
        <div class="muted">{deployment.model.base_id}</div>
      </td>
      <td>
        <div class="nowrap" title={moment(deployment.updated_at)}>
          {ago(deployment.updated_at)}
        </div>
        <LastSwap deployment={deployment} />
      </td>
      <td>
        <div class="models-actions">
          <LinkButton size="small" href={playgroundOf(deployment.model.base_id, deployment.arn)}>
            Playground
          </LinkButton>
          <Button size="small" disabled={!mayChange} title={why} onClick={() => onOpen("swap")}>
            Swap model
          </Button>
          <Button size="small" onClick={() => onOpen("code")}>
            Code
          </Button>
          <Button size="small" kind="danger" disabled={!mayChange} title={why} onClick={() => onOpen("delete")}>
            Delete
          </Button>
        </div>
      </td>
    </tr>
  );
}

function LastSwap({ deployment }: { deployment: Deployment }) {
  const { last_swap: last, failure } = deployment;
  if (failure)
    return (
      <div class="field-problem">
        {last?.status === "UpdateFailed" && `The swap to ${last.model?.custom_name ?? "another model"} failed. `}
        {failure}
      </div>
    );
  return last ? <div class="muted">model swapped</div> : <div class="muted">created</div>;
}

function NoDeployments() {
  return (
    <Empty title="No deployments yet" action={<LinkButton href="/models">Choose a model to deploy</LinkButton>}>
      <p>
        A deployment is a stable name for a tuned model. Programs call it through the Bedrock runtime or the OpenAI API,
        and the model behind it can be swapped without changing them.
      </p>
    </Empty>
  );
}
