import { useState } from "preact/hooks";
import { api, query } from "../../../lib/api";
import { ago, reward } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { TextField } from "../../../ui/field";
import { Empty, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import type { TunedModels } from "./types";

const SHOWN = 10;

interface ListProps {
  chosen: string;
  onChoose: (model: string) => void;
}

/** The newest tuned models of the project, and a search for others. */
export function TunedModelList({ chosen, onChoose }: ListProps) {
  const [search, setSearch] = useState("");
  const { data, error, reload } = useResource(`tuned ${search}`, (signal) =>
    api.get<TunedModels>(`/api/models${query({ limit: SHOWN, search: search.trim() })}`, { signal }),
  );
  const isChosenHidden = chosen.startsWith("ft:") && data && !data.data.some((model) => model.name === chosen);
  if (data && !data.data.length && !search) {
    return (
      <Empty title="No tuned models yet">
        <p>
          When a job has ended, its model can be the start of the next: a supervised one before a reinforcement one,
          say.
        </p>
      </Empty>
    );
  }
  return (
    <div class="stack tight">
      {(search || data?.next) && (
        <div class="new-job-inset">
          <TextField
            label="Search tuned models"
            hideLabel
            type="search"
            placeholder="Search tuned models"
            value={search}
            onValue={setSearch}
          />
        </div>
      )}
      {error && (
        <div class="new-job-inset">
          <ErrorNote error={error} onRetry={reload} />
        </div>
      )}
      {isChosenHidden && (
        <p class="new-job-inset">
          Chosen: <strong>{chosen}</strong>
        </p>
      )}
      {!data && !error && (
        <div class="new-job-inset">
          <Skeleton lines={2} label="Loading tuned models" />
        </div>
      )}
      {data && !data.data.length && <p class="new-job-inset muted">No tuned model has this in its name.</p>}
      {data && data.data.length > 0 && (
        <ul class="model-list">
          {data.data.map((model) => (
            <li key={model.name}>
              <label class={model.name === chosen ? "model-card chosen" : "model-card"}>
                <input
                  type="radio"
                  name="model"
                  checked={model.name === chosen}
                  onChange={() => onChoose(model.name)}
                />
                <span class="model-card-name">
                  <strong>{model.custom_name}</strong>
                  <span class="muted">
                    {model.base.id} · {ago(model.created_at)}
                  </span>
                  <span class="field-hint mono">{model.name}</span>
                </span>
                {model.validation && (
                  <span class="model-card-memory">
                    <span class="muted">Validation {model.validation.measure}</span>
                    <span class="num">
                      {reward(model.validation.base)} → <strong>{reward(model.validation.tuned)}</strong>
                    </span>
                  </span>
                )}
              </label>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
