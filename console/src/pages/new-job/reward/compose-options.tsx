import type { Compose } from "../../../lib/rewards";
import { Check, NumberField } from "../../../ui/field";
import { Range } from "./compose-form";

/** How the scores of the parts become one reward. */
export function ComposeOptions({ compose, onCompose }: { compose: Compose; onCompose: (compose: Compose) => void }) {
  function set<K extends keyof Compose>(field: K, value: Compose[K] | undefined): void {
    const { [field]: _before, ...rest } = compose;
    onCompose((value === undefined ? rest : { ...rest, [field]: value }) as Compose);
  }
  const penalty = compose.length_penalty;
  const setPenalty = (change: Partial<NonNullable<typeof penalty>>) =>
    set("length_penalty", { free_characters: 500, full_characters: 2000, ...penalty, ...change });
  return (
    <details>
      <summary>How the parts become one reward</summary>
      <div class="stack" style={{ marginTop: "var(--space-3)" }}>
        <Check
          label="Divide by the sum of the weights"
          hint="Keeps the reward on the scale of the parts."
          checked={compose.normalize ?? false}
          onChecked={(checked) => set("normalize", checked || undefined)}
        />
        <div style={{ maxWidth: "16rem" }}>
          <NumberField
            label="Reward when a gate is failed"
            value={compose.gate_reward ?? null}
            placeholder="0"
            onValue={(value) => set("gate_reward", value ?? undefined)}
          />
        </div>
        <Range label="Cut the reward to a range" range={compose.clip} onRange={(range) => set("clip", range)} />
        <Check
          label="Take something off for long answers"
          checked={penalty !== undefined}
          onChecked={(checked) => (checked ? setPenalty({}) : set("length_penalty", undefined))}
        />
        {penalty && (
          <div class="grid" style={{ "--column": "12rem" }}>
            <NumberField
              label="Nothing up to, characters"
              value={penalty.free_characters}
              min={1}
              step={1}
              onValue={(value) => setPenalty({ free_characters: value ?? 1 })}
            />
            <NumberField
              label="Everything from, characters"
              value={penalty.full_characters}
              min={1}
              step={1}
              onValue={(value) => setPenalty({ full_characters: value ?? 1 })}
              problem={penalty.full_characters <= penalty.free_characters ? "Must be more than are free." : null}
            />
            <NumberField
              label="Most that is taken off"
              value={penalty.weight ?? null}
              placeholder="0.5"
              min={0}
              onValue={(value) => {
                const { weight: _before, ...rest } = penalty;
                set("length_penalty", value === null ? rest : { ...rest, weight: value });
              }}
            />
          </div>
        )}
      </div>
    </details>
  );
}
