import { Choices } from "../../../ui/field";
import { Panel } from "../../../ui/layout";
import type { Draft, StepProps } from "../draft";
import { BaseModelList } from "./base-models";
import { TunedModelList } from "./tuned-models";
import "./model.css";

export function problems(draft: Draft): string[] {
  return draft.model ? [] : ["Choose the model to tune."];
}

/** What is tuned: a base model, or a tuned one that goes on; and by rewards or by answers. */
export default function ModelStep({ draft, update }: StepProps) {
  const choose = (model: string) => update({ model });
  return (
    <div class="stack">
      <Choices
        legend="Method"
        value={draft.method}
        onValue={(method) => update({ method })}
        options={[
          {
            value: "reinforcement",
            title: "Reinforcement",
            text: "Learns from rewards: the model answers, a grader scores (GRPO). Needs prompts.",
          },
          {
            value: "supervised",
            title: "Supervised",
            text: "Learns given answers word by word. Needs conversations with answers; often a start for the other.",
          },
        ]}
      />
      <Panel title="Base models" flush>
        <BaseModelList chosen={draft.model} onChoose={choose} />
      </Panel>
      <Panel title="Continue from a tuned model" flush>
        <TunedModelList chosen={draft.model} onChoose={choose} />
      </Panel>
    </div>
  );
}
