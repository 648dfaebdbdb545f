import { useEffect, useRef } from "preact/hooks";
import { count } from "../../lib/format";
import type { JobState, StateCounts } from "../../lib/jobs";
import { SelectField } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { choices, toggled } from "./merge";
import type { Filter } from "./use-jobs";
import { shortModel } from "./words";

interface FiltersProps {
  filter: Filter;
  counts: StateCounts;
  models: readonly string[];
  onChange: (changes: Partial<Filter>) => void;
}

const METHODS = [
  { value: "", label: "Any method" },
  { value: "reinforcement", label: "Reinforcement" },
  { value: "supervised", label: "Supervised" },
];

export function Filters({ filter, counts, models, onChange }: FiltersProps) {
  const options = filter.model && !models.includes(filter.model) ? [filter.model, ...models] : models;
  return (
    <search class="stack tight" aria-label="Filter jobs">
      <div class="jobs-filters">
        <SearchBox value={filter.search} onValue={(search) => onChange({ search })} />
        <SelectField
          label="Model"
          hideLabel
          value={filter.model}
          onValue={(model) => onChange({ model })}
          options={[
            { value: "", label: "Any model" },
            ...options.map((value) => ({ value, label: shortModel(value) })),
          ]}
        />
        <SelectField
          label="Method"
          hideLabel
          value={filter.method}
          onValue={(method) => onChange({ method })}
          options={METHODS}
        />
      </div>
      <StateChips chosen={filter.states} counts={counts} onChoose={(states) => onChange({ states })} />
    </search>
  );
}

function SearchBox({ value, onValue }: { value: string; onValue: (value: string) => void }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    function focus(event: KeyboardEvent): void {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
      if ((event.target as Element).closest?.("input, textarea, select, [contenteditable], dialog")) return;
      event.preventDefault();
      input.current?.focus();
    }
    document.addEventListener("keydown", focus);
    return () => document.removeEventListener("keydown", focus);
  }, []);
  return (
    <div class="jobs-search">
      <Icon name="search" />
      <input
        ref={input}
        class="input"
        type="search"
        value={value}
        maxLength={200}
        aria-label="Search in names, models and metadata"
        aria-keyshortcuts="/"
        placeholder="Search names, models, metadata"
        onInput={(event) => onValue(event.currentTarget.value)}
      />
    </div>
  );
}

interface ChipsProps {
  chosen: readonly JobState[];
  counts: StateCounts;
  onChoose: (states: JobState[]) => void;
}

function StateChips({ chosen, counts, onChoose }: ChipsProps) {
  const total = Object.values(counts).reduce((sum, one) => sum + one, 0);
  return (
    <div class="jobs-chips" role="group" aria-label="States">
      <button type="button" class="jobs-chip" aria-pressed={chosen.length === 0} onClick={() => onChoose([])}>
        all <span class="num">{count(total)}</span>
      </button>
      {choices(counts, chosen).map((state) => (
        <button
          key={state}
          type="button"
          class="jobs-chip"
          aria-pressed={chosen.includes(state)}
          onClick={() => onChoose(toggled(chosen, state))}
        >
          {state} <span class="num">{count(counts[state] ?? 0)}</span>
        </button>
      ))}
    </div>
  );
}
