import { useState } from "preact/hooks";
import type { Compose, Part } from "../../../lib/rewards";
import { Badge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { Check, NumberField, TextField } from "../../../ui/field";
import { Empty } from "../../../ui/layout";
import { codeDrafts, moveCode } from "./code-draft";
import { ComposeOptions } from "./compose-options";
import { GraderForm, type GraderProps } from "./grader-form";
import { kindOf, nameProblem, partSlot } from "./kinds";

export function ComposeForm({ section, onSection }: GraderProps) {
  const compose = section.compose ?? { parts: {} };
  const parts = Object.entries(compose.parts);
  const set = (next: Compose) => onSection({ ...section, compose: next });
  const setParts = (next: [string, Part][]) => set({ ...compose, parts: Object.fromEntries(next) });

  function add(): void {
    let number = parts.length + 1;
    while (compose.parts[`part_${number}`]) number += 1;
    setParts([...parts, [`part_${number}`, { template: "" }]]);
  }

  function rename(from: string, to: string): void {
    moveCode(partSlot(from), partSlot(to));
    setParts(parts.map(([name, part]) => [name === from ? to : name, part]));
  }

  return (
    <div class="stack">
      {parts.length === 0 && (
        <Empty title="No parts yet">
          <p>
            Each part is a grader of its own. Gates are asked first: who fails one gets nothing more. Then the weighted
            scores are added.
          </p>
        </Empty>
      )}
      {parts.map(([name, part], index) => (
        <PartForm
          key={index}
          name={name}
          part={part}
          others={parts.filter(([other]) => other !== name).map(([other]) => other)}
          onName={(to) => rename(name, to)}
          onPart={(next) => setParts(parts.map(([other, old]) => [other, other === name ? next : old]))}
          onRemove={() => {
            moveCode(partSlot(name), null);
            setParts(parts.filter(([other]) => other !== name));
          }}
        />
      ))}
      <div>
        <Button onClick={add}>Add a part</Button>
      </div>
      {parts.length > 0 && <ComposeOptions compose={compose} onCompose={set} />}
    </div>
  );
}

interface PartFormProps {
  name: string;
  part: Part;
  others: string[];
  onName: (name: string) => void;
  onPart: (part: Part) => void;
  onRemove: () => void;
}

function PartForm({ name, part, others, onName, onPart, onRemove }: PartFormProps) {
  const [typed, setTyped] = useState(name);
  const problem = nameProblem(typed, others);
  const slot = partSlot(name);
  const kind = kindOf(part, codeDrafts.value[slot]);

  function without(field: keyof Part): Part {
    const { [field]: _before, ...rest } = part;
    return rest;
  }

  return (
    <section class="panel stack" aria-label={`Part ${name}`}>
      <div class="row spread">
        <div class="row">
          <h3 class="mono">{name}</h3>
          <Badge>{part.template || part.function || part.judge?.model || kind || "not chosen"}</Badge>
          {part.gate !== undefined && <Badge tone="accent">gate</Badge>}
        </div>
        <Button size="small" kind="danger" onClick={onRemove} aria-label={`Remove part ${name}`}>
          Remove
        </Button>
      </div>
      <div class="grid" style={{ "--column": "11rem" }}>
        <TextField
          label="Name"
          value={typed}
          problem={problem}
          spellcheck={false}
          hint="Also names its curve."
          onValue={(next) => {
            setTyped(next);
            if (!nameProblem(next, others)) onName(next);
          }}
        />
        <NumberField
          label="Weight"
          value={part.weight ?? null}
          placeholder="1"
          onValue={(weight) => onPart(weight === null ? without("weight") : { ...part, weight })}
          hint="0: only measured."
        />
        <NumberField
          label="Gate"
          value={part.gate ?? null}
          placeholder="none"
          onValue={(gate) => onPart(gate === null ? without("gate") : { ...part, gate })}
          hint="Below this score, no other part counts."
        />
      </div>
      <Range
        label="Cut scores to a range and map it to 0 … 1"
        range={part.range}
        onRange={(range) => onPart(range ? { ...part, range } : without("range"))}
      />
      <GraderForm
        legend={`Kind of part ${name}`}
        isPart
        section={part}
        slot={slot}
        onSection={(next) => onPart(next as Part)}
      />
    </section>
  );
}

interface RangeProps {
  label: string;
  range: [number, number] | undefined;
  onRange: (range: [number, number] | undefined) => void;
}

/** Two ends, or neither. */
export function Range({ label, range, onRange }: RangeProps) {
  return (
    <div class="stack tight">
      <Check
        label={label}
        checked={range !== undefined}
        onChecked={(checked) => onRange(checked ? [0, 1] : undefined)}
      />
      {range && (
        <div class="grid" style={{ "--column": "8rem", maxWidth: "20rem" }}>
          <NumberField label="From" value={range[0]} onValue={(low) => onRange([low ?? 0, range[1]])} />
          <NumberField
            label="To"
            value={range[1]}
            onValue={(high) => onRange([range[0], high ?? 1])}
            problem={range[1] <= range[0] ? "Must be above the lower end." : null}
          />
        </div>
      )}
    </div>
  );
}
