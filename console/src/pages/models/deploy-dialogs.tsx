import { useState } from "preact/hooks";
import { api, query } from "../../lib/api";
import { usePaged } from "../../lib/paged";
import { useSettled } from "../../lib/settled";
import { tell } from "../../lib/toast";
import { Confirm } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Skeleton } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { LoadMore } from "../../ui/paging";
import { type Deployment, deploy, nameProblem, swap, type TunedModel } from "./models";

interface DeployProps {
  model: { custom_name: string; arn: string };
  onDone: () => void;
  onClose: () => void;
}

/** A name for a model; from then on both runtimes answer by it. */
export function DeployDialog({ model, onDone, onClose }: DeployProps) {
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");

  async function confirm(): Promise<void> {
    await deploy(name, model.arn, description);
    tell(`${name} is deployed.`, "good");
    onDone();
  }

  return (
    <Confirm
      title={`Deploy ${model.custom_name}`}
      action="Deploy"
      disabled={!name || nameProblem(name) !== null}
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>A deployment is a stable name for programs. The model behind it can be swapped later without changing them.</p>
      <TextField
        label="Name"
        value={name}
        onValue={setName}
        problem={nameProblem(name)}
        hint="Unique in the project, such as help-desk."
        maxLength={63}
        spellcheck={false}
        required
      />
      <TextField label="Description (optional)" value={description} onValue={setDescription} maxLength={2048} />
    </Confirm>
  );
}

interface SwapProps {
  deployment: Deployment;
  onDone: () => void;
  onClose: () => void;
}

/** Puts another model behind a deployment. */
export function SwapDialog({ deployment, onDone, onClose }: SwapProps) {
  const [search, setSearch] = useState("");
  const [chosen, setChosen] = useState<string | null>(null);
  const settled = useSettled(search);
  const models = usePaged<TunedModel, string>(settled, (after, signal) =>
    api.get(`/api/models${query({ limit: 10, search: settled, after })}`, { signal }),
  );

  async function confirm(): Promise<void> {
    if (chosen) await swap(deployment.arn, chosen);
    tell(`${deployment.name} answers with another model now.`, "good");
    onDone();
  }

  return (
    <Confirm
      title={`Swap the model of ${deployment.name}`}
      action="Swap"
      disabled={chosen === null}
      onConfirm={confirm}
      onClose={onClose}
    >
      <p>
        Now: <strong>{deployment.model.custom_name}</strong>. Answers under way end with the old model; the next ones
        come from the new one.
      </p>
      <TextField label="Find a model" type="search" value={search} onValue={setSearch} />
      {models.error && <ErrorNote error={models.error} onRetry={models.reload} />}
      {models.isLoading && <Skeleton />}
      <fieldset class="stack tight models-choices">
        <legend class="visually-hidden">Model</legend>
        {models.items
          .filter((model) => model.id !== deployment.model.id)
          .map((model) => (
            <label key={model.id} class="check">
              <input
                type="radio"
                name="swap-model"
                checked={chosen === model.arn}
                onChange={() => setChosen(model.arn)}
              />
              <span class="grow">
                <span>{model.custom_name}</span> <span class="muted">{model.base.id}</span>
              </span>
            </label>
          ))}
        {!models.isLoading && !models.hasMore && models.items.every((model) => model.id === deployment.model.id) && (
          <p class="muted">There is no other model of that name.</p>
        )}
        <LoadMore hasMore={models.hasMore} busy={models.isBusy} onMore={models.more} />
      </fieldset>
    </Confirm>
  );
}
