import { Button } from "../../ui/button";
import { Check, NumberField } from "../../ui/field";
import { Panel } from "../../ui/layout";
import type { Parameters } from "./asking";

interface Props {
  parameters: Parameters;
  onChange: (changes: Partial<Parameters>) => void;
}

function within(value: number | null, low: number, high: number, otherwise: number): number {
  return value === null ? otherwise : Math.min(high, Math.max(low, value));
}

/** How answers are drawn: the same for all models. */
export function ParameterPanel({ parameters, onChange }: Props) {
  return (
    <Panel title="Parameters">
      <div class="grid" style={{ "--column": "7rem", gap: "var(--space-3)" }}>
        <NumberField
          label="Temperature"
          value={parameters.temperature}
          min={0}
          max={2}
          step={0.1}
          onValue={(value) => onChange({ temperature: within(value, 0, 2, 1) })}
        />
        <NumberField
          label="Top p"
          value={parameters.topP}
          min={0}
          max={1}
          step={0.05}
          onValue={(value) => onChange({ topP: within(value, 0, 1, 1) })}
        />
        <NumberField
          label="Most tokens"
          value={parameters.maxTokens}
          min={1}
          max={100000}
          step={1}
          onValue={(value) => onChange({ maxTokens: Math.round(within(value, 1, 100_000, 400)) })}
        />
        <NumberField
          label="Seed"
          value={parameters.seed}
          min={0}
          max={2147483647}
          step={1}
          placeholder="random"
          onValue={(value) => onChange({ seed: value === null ? null : Math.round(within(value, 0, 2147483647, 1)) })}
        />
      </div>
      <div class="row playground-seed">
        <Button size="small" onClick={() => onChange({ seed: Math.floor(Math.random() * 2147483647) })}>
          Another seed
        </Button>
        <span class="muted">All models draw with the same seed.</span>
      </div>
      <Check
        label="Show token log-probs"
        checked={parameters.logprobs}
        onChecked={(logprobs) => onChange({ logprobs })}
      />
    </Panel>
  );
}
