import type { Reward } from "../../../lib/rewards";
import { Note } from "../../../ui/note";
import type { Draft, StepProps } from "../draft";
import { codeDrafts } from "./code-draft";
import { GraderForm } from "./grader-form";
import { rewardProblems, TOP } from "./kinds";
import { More } from "./more";
import { TestPanel } from "./test-panel";

/** What scores the completions. */
export default function RewardStep({ draft, update }: StepProps) {
  const section = (draft.config.reward ?? {}) as Reward;
  if (draft.method === "supervised") {
    return (
      <Note title="Supervised jobs have no reward">
        <span>
          They learn the completions in the data. Choose reinforcement in the first step to train on a reward.
        </span>
      </Note>
    );
  }

  function change(next: Reward): void {
    update(({ config }) => {
      const { reward: _before, ...others } = config;
      return { config: Object.keys(next).length ? { ...others, reward: { ...next } } : others };
    });
  }

  return (
    <div class="stack">
      <GraderForm legend="Kind of reward" section={section} onSection={change} slot={TOP} />
      <More section={section} onSection={change} />
      <TestPanel reward={section} source={draft.training} model={draft.model} />
    </div>
  );
}

/** Why one cannot go on from here. */
export function problems(draft: Draft): string[] {
  if (draft.method === "supervised") return [];
  return rewardProblems((draft.config.reward ?? {}) as Reward, codeDrafts.value);
}
