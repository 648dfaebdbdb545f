import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { api, query } from "../../lib/api";
import { reward } from "../../lib/format";
import { usePaged } from "../../lib/paged";
import { useResource } from "../../lib/resource";
import { useSettled } from "../../lib/settled";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Skeleton } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { LoadMore } from "../../ui/paging";
import type { Deployment, TunedModel } from "../models/models";
import { JobSelect } from "./job-select";

type Kind = "tuned" | "base" | "deployments" | "checkpoints";

const KINDS: readonly { id: Kind; label: string }[] = [
  { id: "tuned", label: "Tuned models" },
  { id: "base", label: "Base models" },
  { id: "deployments", label: "Deployments" },
  { id: "checkpoints", label: "Checkpoints" },
];

interface Props {
  title: string;
  onPick: (model: string) => void;
  onClose: () => void;
}

/** Finds a model by what it is, or takes a name as it is typed. */
export function ModelPicker({ title, onPick, onClose }: Props) {
  const [kind, setKind] = useState<Kind>("tuned");
  const [text, setText] = useState("");
  const settled = useSettled(text.trim());

  function pick(model: string): void {
    onPick(model);
    onClose();
  }

  return (
    <Dialog title={title} onClose={onClose} wide>
      <div class="tabs" role="tablist" aria-label="Kinds of models">
        {KINDS.map((one) => (
          <button
            key={one.id}
            type="button"
            role="tab"
            class="tab"
            aria-selected={kind === one.id}
            onClick={() => setKind(one.id)}
          >
            {one.label}
          </button>
        ))}
      </div>
      {kind !== "checkpoints" && (
        <TextField
          label="Find by name"
          type="search"
          value={text}
          onValue={setText}
          hint="Any name that the chat API takes can be used too: type the whole of it."
        />
      )}
      <div class="playground-picks">
        {kind === "tuned" && <Tuned search={settled} onPick={pick} />}
        {kind === "base" && <Base search={settled} onPick={pick} />}
        {kind === "deployments" && <Deployments search={settled} onPick={pick} />}
        {kind === "checkpoints" && <Checkpoints onPick={pick} />}
      </div>
      <div class="actions">
        {text.trim() && (
          <Button onClick={() => pick(text.trim())}>
            <span class="truncate playground-typed">Use “{text.trim()}”</span>
          </Button>
        )}
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

interface ListProps {
  search: string;
  onPick: (model: string) => void;
}

function Pick({ onPick, children }: { onPick: () => void; children: ComponentChildren }) {
  return (
    <li>
      <button type="button" class="playground-pick" onClick={onPick}>
        {children}
      </button>
    </li>
  );
}

function Tuned({ search, onPick }: ListProps) {
  const found = usePaged<TunedModel, string>(search, (after, signal) =>
    api.get(`/api/models${query({ limit: 20, search, after })}`, { signal }),
  );
  if (found.error && found.items.length === 0) return <ErrorNote error={found.error} onRetry={found.reload} />;
  if (found.isLoading) return <Skeleton />;
  if (found.items.length === 0)
    return <p class="muted">{search ? "Nothing of this name." : "No job has made a model yet."}</p>;
  return (
    <>
      <ul>
        {found.items.map((model) => (
          <Pick key={model.id} onPick={() => onPick(model.name)}>
            <span class="grow">
              <strong>{model.custom_name}</strong>
              <span class="muted"> from {model.base.id}</span>
            </span>
            {model.validation && (
              <span class="num muted">
                {reward(model.validation.base)} → {reward(model.validation.tuned)}
              </span>
            )}
            {model.is_loaded && <Badge tone="good">in memory</Badge>}
          </Pick>
        ))}
      </ul>
      <LoadMore hasMore={found.hasMore} busy={found.isBusy} onMore={found.more} />
    </>
  );
}

interface BaseModel {
  id: string;
  aliases: string[];
  state: "here" | "absent" | "damaged";
  loaded: boolean;
}

function Base({ search, onPick }: ListProps) {
  const found = useResource("base", (signal) =>
    api.get<{ data: BaseModel[] }>("/api/base-models?memory=false", { signal }),
  );
  if (found.error) return <ErrorNote error={found.error} onRetry={found.reload} />;
  if (!found.data) return <Skeleton />;
  const wanted = search.toLowerCase();
  const shown = found.data.data.filter((model) =>
    [model.id, ...model.aliases].some((name) => name.toLowerCase().includes(wanted)),
  );
  if (shown.length === 0) return <p class="muted">No base model of this server has this name.</p>;
  return (
    <ul>
      {shown.map((model) => (
        <Pick key={model.id} onPick={() => onPick(model.id)}>
          <strong class="grow">{model.id}</strong>
          {model.loaded && <Badge tone="good">in memory</Badge>}
          {model.state === "absent" && <Badge>fetched when first used</Badge>}
          {model.state === "damaged" && <Badge tone="bad">damaged</Badge>}
        </Pick>
      ))}
    </ul>
  );
}

function Deployments({ search, onPick }: ListProps) {
  const found = usePaged<Deployment, string>(search, (after, signal) =>
    api.get(`/api/deployments${query({ limit: 20, search, after })}`, { signal }),
  );
  if (found.error && found.items.length === 0) return <ErrorNote error={found.error} onRetry={found.reload} />;
  if (found.isLoading) return <Skeleton />;
  if (found.items.length === 0) return <p class="muted">{search ? "Nothing of this name." : "Nothing is deployed."}</p>;
  return (
    <>
      <ul>
        {found.items.map((one) => (
          <Pick key={one.id} onPick={() => onPick(one.arn)}>
            <span class="grow">
              <strong>{one.name}</strong>
              <span class="muted"> {one.model.custom_name}</span>
            </span>
            {one.status !== "Active" && <Badge tone="bad">{one.status}</Badge>}
          </Pick>
        ))}
      </ul>
      <LoadMore hasMore={found.hasMore} busy={found.isBusy} onMore={found.more} />
    </>
  );
}

interface Checkpoint {
  id: string;
  step_number: number;
  fine_tuned_model_checkpoint: string;
  metrics: { full_valid_mean_reward?: number | null; full_valid_loss?: number | null };
}

function Checkpoints({ onPick }: { onPick: (model: string) => void }) {
  const [job, setJob] = useState<string | null>(null);
  const found = useResource(job, (signal) =>
    api.get<{ data: Checkpoint[] }>(`/v1/fine_tuning/jobs/${encodeURIComponent(job ?? "")}/checkpoints?limit=50`, {
      signal,
    }),
  );
  return (
    <div class="stack">
      <JobSelect label="Job" value={job} onValue={setJob} />
      {found.error && <ErrorNote error={found.error} onRetry={found.reload} />}
      {found.isLoading && <Skeleton />}
      {found.data?.data.length === 0 && <p class="muted">This job has no checkpoint yet.</p>}
      {found.data && (
        <ul>
          {found.data.data.map((one) => (
            <Pick key={one.id} onPick={() => onPick(one.fine_tuned_model_checkpoint)}>
              <strong class="grow">Step {one.step_number}</strong>
              <span class="num muted">
                {one.metrics.full_valid_loss === undefined || one.metrics.full_valid_loss === null
                  ? `validation reward ${reward(one.metrics.full_valid_mean_reward)}`
                  : `validation loss ${reward(one.metrics.full_valid_loss)}`}
              </span>
            </Pick>
          ))}
        </ul>
      )}
    </div>
  );
}
