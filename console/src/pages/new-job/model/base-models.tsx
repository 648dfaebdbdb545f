import { useEffect } from "preact/hooks";
import { api } from "../../../lib/api";
import { bytes, count } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { Badge } from "../../../ui/badge";
import { Empty, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { MemoryBar } from "../memory-bar";
import { type BaseModel, type BaseModels, parameters } from "./types";

interface ListProps {
  chosen: string;
  onChoose: (model: string) => void;
}

/** The models of the server, each with what tuning it takes. */
export function BaseModelList({ chosen, onChoose }: ListProps) {
  const quick = useResource("base-models", (signal) =>
    api.get<BaseModels>("/api/base-models?memory=false", { signal }),
  );
  // The plan takes seconds the first time, so the rest is shown before it.
  const planned = useResource(quick.data ? "base-models-planned" : null, (signal) =>
    api.get<BaseModels>("/api/base-models", { signal }),
  );
  const models = (planned.data ?? quick.data)?.data;
  const only = models?.length === 1 ? models[0] : undefined;
  useEffect(() => {
    if (only && !chosen && only.state !== "damaged") onChoose(only.id);
  }, [only, chosen]);

  if (quick.error) {
    return (
      <div class="new-job-inset">
        <ErrorNote error={quick.error} onRetry={quick.reload} />
      </div>
    );
  }
  if (!models) {
    return (
      <div class="new-job-inset">
        <Skeleton lines={4} label="Loading models" />
      </div>
    );
  }
  if (!models.length) {
    return (
      <Empty title="This server has no models">
        <p>List some under `models` in the server's configuration and start it again.</p>
      </Empty>
    );
  }
  return (
    <>
      {planned.error && (
        <div class="new-job-inset">
          <ErrorNote title="The memory plan cannot be told" error={planned.error} onRetry={planned.reload} />
        </div>
      )}
      <ul class="model-list">
        {models.map((model) => (
          <li key={model.id}>
            <ModelCard
              model={model}
              isChosen={isNamed(model, chosen)}
              isPlanning={planned.isLoading}
              onChoose={onChoose}
            />
          </li>
        ))}
      </ul>
      <p class="new-job-inset field-hint">
        Memory is what tuning takes at least: default settings, the longest prompts and completions. A job takes more
        where that makes it faster.
      </p>
    </>
  );
}

function isNamed(model: BaseModel, name: string): boolean {
  return [model.id, model.managed_id, ...model.aliases].includes(name);
}

interface CardProps {
  model: BaseModel;
  isChosen: boolean;
  isPlanning: boolean;
  onChoose: (model: string) => void;
}

function ModelCard({ model, isChosen, isPlanning, onChoose }: CardProps) {
  return (
    <label class={isChosen ? "model-card chosen" : "model-card"}>
      <input
        type="radio"
        name="model"
        checked={isChosen}
        disabled={model.state === "damaged"}
        onChange={() => onChoose(model.id)}
      />
      <span class="model-card-name">
        <span class="row">
          <strong>{model.id}</strong>
          {model.loaded && <Badge tone="good">loaded</Badge>}
          {model.state === "absent" && <Badge tone="warn">not on this machine</Badge>}
          {model.state === "damaged" && <Badge tone="bad">damaged</Badge>}
        </span>
        <span class="muted num">{factsOf(model).join(" · ")}</span>
        {model.aliases.length > 0 && <span class="field-hint">Also called {model.aliases.join(", ")}</span>}
        {model.problem && <span class="field-problem">{model.problem}</span>}
      </span>
      <span class="model-card-memory">
        <Memory model={model} isPlanning={isPlanning} />
      </span>
    </label>
  );
}

function factsOf(model: BaseModel): string[] {
  const facts = [];
  if (model.parameters !== null) facts.push(`${parameters(model.parameters)} parameters`);
  if (model.architecture !== null) facts.push(model.architecture.replace(/ForCausalLM$/, ""));
  if (model.layers !== null) facts.push(`${model.layers} layers`);
  if (model.context_tokens !== null) facts.push(`${count(model.context_tokens)} tokens of context`);
  if (model.disk_bytes !== null) facts.push(`${bytes(model.disk_bytes)} on disk`);
  return facts;
}

function Memory({ model, isPlanning }: { model: BaseModel; isPlanning: boolean }) {
  const { memory } = model;
  if (memory) {
    return (
      <>
        <MemoryBar
          label={memory.fits ? "Fits" : "Does not fit"}
          needed={memory.needs_bytes}
          limit={memory.limit_bytes}
          fits={memory.fits}
          parts={memory.parts}
        />
        {memory.problem && <span class="field-problem">{memory.problem}</span>}
      </>
    );
  }
  if (model.state === "here" && isPlanning) return <Skeleton lines={1} label="Planning memory" />;
  if (model.state === "absent") {
    return <span class="muted">Its memory is known once it is here: it is fetched when it is first used.</span>;
  }
  return null;
}
