import { useId, useState } from "preact/hooks";
import { count } from "../../../lib/format";
import { Button } from "../../../ui/button";
import { SelectField, TextField } from "../../../ui/field";
import { Icon } from "../../../ui/icon";
import { Note } from "../../../ui/note";
import type { Filters } from "../draft";
import { type FilterForm, type FilterRow, filtersOf, formOf } from "./filters";

export interface LogKey {
  key: string;
  calls: number;
  values: { value: string; calls: number }[];
  has_more: boolean;
}

interface BuilderProps {
  /** Keys that occur, with their values. */
  keys: readonly LogKey[];
  value: Filters | null;
  onValue: (filters: Filters | null) => void;
}

/** Conditions on the metadata of logged calls. */
export function FilterBuilder({ keys, value, onValue }: BuilderProps) {
  const [form, setForm] = useState(() => formOf(value));
  if (form === null) {
    return (
      <Note title="This filter was written elsewhere">
        <code>{JSON.stringify(value)}</code>
        <div>
          <Button
            size="small"
            onClick={() => {
              setForm({ mode: "all", rows: [] });
              onValue(null);
            }}
          >
            Remove it
          </Button>
        </div>
      </Note>
    );
  }
  if (!keys.length && !form.rows.length) {
    return <p class="muted">The calls carry no metadata, so there is nothing to filter by.</p>;
  }

  function change(next: FilterForm): void {
    setForm(next);
    onValue(filtersOf(next));
  }

  const { mode, rows } = form;
  const setRow = (index: number, row: FilterRow) =>
    change({ mode, rows: rows.map((old, at) => (at === index ? row : old)) });
  return (
    <fieldset class="stack tight">
      <legend>Filter by metadata</legend>
      {rows.length > 1 && (
        <div class="filter-mode">
          <SelectField
            label="Calls count when"
            value={mode}
            onValue={(next) => change({ mode: next as FilterForm["mode"], rows })}
            options={[
              { value: "all", label: "all of these hold" },
              { value: "any", label: "any of these holds" },
            ]}
          />
        </div>
      )}
      {rows.map((row, index) => (
        <Row
          key={index}
          row={row}
          number={index + 1}
          keys={keys}
          onRow={(next) => setRow(index, next)}
          onRemove={() => change({ mode, rows: rows.filter((_, at) => at !== index) })}
        />
      ))}
      <div>
        <Button size="small" onClick={() => change({ mode, rows: [...rows, { key: "", isEqual: true, value: "" }] })}>
          <Icon name="new" /> Add a condition
        </Button>
      </div>
    </fieldset>
  );
}

interface RowProps {
  row: FilterRow;
  number: number;
  keys: readonly LogKey[];
  onRow: (row: FilterRow) => void;
  onRemove: () => void;
}

function Row({ row, number, keys, onRow, onRemove }: RowProps) {
  const list = useId();
  const known = keys.find((one) => one.key === row.key);
  // An id that each call has anew is no use as a filter, so what has few values comes first.
  const options = [...keys]
    .sort((one, other) => one.values.length - other.values.length)
    .map((one) => ({ value: one.key, label: `${one.key} (${count(one.calls)})` }));
  if (!row.key) options.unshift({ value: "", label: "Choose a key" });
  if (!known && row.key) options.push({ value: row.key, label: row.key });
  return (
    <div class="filter-row">
      <SelectField
        label={`Key of condition ${number}`}
        hideLabel
        value={row.key}
        onValue={(key) => onRow({ ...row, key, value: keys.find((one) => one.key === key)?.values[0]?.value ?? "" })}
        options={options}
      />
      <SelectField
        label={`Comparison of condition ${number}`}
        hideLabel
        value={row.isEqual ? "equals" : "not"}
        onValue={(value) => onRow({ ...row, isEqual: value === "equals" })}
        options={[
          { value: "equals", label: "equals" },
          { value: "not", label: "does not equal" },
        ]}
      />
      <TextField
        label={`Value of condition ${number}`}
        hideLabel
        list={list}
        spellcheck={false}
        value={row.value}
        onValue={(value) => onRow({ ...row, value })}
      />
      <datalist id={list}>
        {known?.values.map(({ value, calls }) => (
          <option key={value} value={value} label={`${value} (${count(calls)})`} />
        ))}
      </datalist>
      <Button kind="quiet" class="icon-only" aria-label={`Remove condition ${number}`} onClick={onRemove}>
        <Icon name="close" />
      </Button>
    </div>
  );
}
