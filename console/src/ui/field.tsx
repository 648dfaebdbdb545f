import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface FieldProps {
  label: ComponentChildren;
  hint?: ComponentChildren;
  problem?: string | null | undefined;
  /** The label is only read out. */
  hideLabel?: boolean | undefined;
}

interface Wiring {
  id: string;
  "aria-describedby"?: string;
  "aria-invalid"?: boolean;
}

/** A label, a control, a hint and what is wrong, wired together for assistive technology. */
export function Field({
  label,
  hint,
  problem,
  hideLabel,
  children,
}: FieldProps & { children: (wiring: Wiring) => ComponentChildren }) {
  const id = useId();
  const described = [hint && `${id}-hint`, problem && `${id}-problem`].filter(Boolean).join(" ");
  const wiring: Wiring = { id };
  if (described) wiring["aria-describedby"] = described;
  if (problem) wiring["aria-invalid"] = true;
  return (
    <div class="field">
      <label class={hideLabel ? "visually-hidden" : "field-label"} for={id}>
        {label}
      </label>
      {children(wiring)}
      {hint && (
        <div class="field-hint" id={`${id}-hint`}>
          {hint}
        </div>
      )}
      {problem && (
        <div class="field-problem" id={`${id}-problem`}>
          {problem}
        </div>
      )}
    </div>
  );
}

interface TextProps extends FieldProps {
  value: string;
  onValue: (value: string) => void;
  placeholder?: string | undefined;
  disabled?: boolean | undefined;
  required?: boolean | undefined;
  maxLength?: number | undefined;
  spellcheck?: boolean | undefined;
  autocomplete?: string | undefined;
  onKeyDown?: ((event: KeyboardEvent) => void) | undefined;
}

interface InputProps extends TextProps {
  type?: "text" | "password" | "search" | "url" | "datetime-local" | undefined;
  /** Suggestions: the id of a datalist. */
  list?: string | undefined;
}

export function TextField({ label, hint, problem, hideLabel, value, onValue, type = "text", ...rest }: InputProps) {
  return (
    <Field {...{ label, hint, problem, hideLabel }}>
      {(wiring) => (
        <input
          class="input"
          type={type as "text"}
          value={value}
          onInput={(event) => onValue(event.currentTarget.value)}
          {...rest}
          {...wiring}
        />
      )}
    </Field>
  );
}

interface AreaProps extends TextProps {
  rows?: number | undefined;
  class?: string | undefined;
}

export function TextArea({
  label,
  hint,
  problem,
  hideLabel,
  value,
  onValue,
  rows = 4,
  class: extra,
  ...rest
}: AreaProps) {
  return (
    <Field {...{ label, hint, problem, hideLabel }}>
      {(wiring) => (
        <textarea
          class={extra ? `input ${extra}` : "input"}
          rows={rows}
          value={value}
          onInput={(event) => onValue(event.currentTarget.value)}
          {...rest}
          {...wiring}
        />
      )}
    </Field>
  );
}

type NumberProps = FieldProps & {
  value: number | null;
  /** null: the field is empty. */
  onValue: (value: number | null) => void;
  min?: number;
  max?: number;
  step?: number | "any";
  placeholder?: string;
  disabled?: boolean;
};

export function NumberField({ label, hint, problem, hideLabel, value, onValue, step = "any", ...rest }: NumberProps) {
  return (
    <Field {...{ label, hint, problem, hideLabel }}>
      {(wiring) => (
        <input
          class="input num"
          type="number"
          inputMode="decimal"
          step={step}
          value={value ?? ""}
          onInput={(event) => {
            const number = event.currentTarget.valueAsNumber;
            onValue(Number.isNaN(number) ? null : number);
          }}
          {...rest}
          {...wiring}
        />
      )}
    </Field>
  );
}

type SelectProps = FieldProps & {
  value: string;
  onValue: (value: string) => void;
  options: readonly (string | { value: string; label: string; disabled?: boolean })[];
  disabled?: boolean;
};

export function SelectField({ label, hint, problem, hideLabel, value, onValue, options, ...rest }: SelectProps) {
  return (
    <Field {...{ label, hint, problem, hideLabel }}>
      {(wiring) => (
        <select
          class="input"
          value={value}
          onChange={(event) => onValue(event.currentTarget.value)}
          {...rest}
          {...wiring}
        >
          {options.map((option) => {
            const one = typeof option === "string" ? { value: option, label: option } : option;
            return (
              <option key={one.value} value={one.value} disabled={one.disabled}>
                {one.label}
              </option>
            );
          })}
        </select>
      )}
    </Field>
  );
}

interface CheckProps {
  label: ComponentChildren;
  hint?: ComponentChildren;
  checked: boolean;
  onChecked: (checked: boolean) => void;
  disabled?: boolean;
}

export function Check({ label, hint, checked, onChecked, disabled }: CheckProps) {
  const id = useId();
  return (
    <div class="check">
      <input
        id={id}
        type="checkbox"
        checked={checked}
        disabled={disabled}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChecked(event.currentTarget.checked)}
      />
      <div>
        <label for={id}>{label}</label>
        {hint && (
          <div class="field-hint" id={`${id}-hint`}>
            {hint}
          </div>
        )}
      </div>
    </div>
  );
}

interface ChoiceProps<T extends string> {
  /** Said of the whole group. */
  legend: string;
  value: T | null;
  onValue: (value: T) => void;
  options: readonly { value: T; title: string; text?: ComponentChildren; disabled?: boolean }[];
}

/** One of a few, each as a card. */
export function Choices<T extends string>({ legend, value, onValue, options }: ChoiceProps<T>) {
  const name = useId();
  return (
    <fieldset>
      <legend class="visually-hidden">{legend}</legend>
      <div class="grid" style={{ "--column": "14rem", gap: "var(--space-2)" }}>
        {options.map((option) => (
          <label class="choice" key={option.value}>
            <input
              type="radio"
              name={name}
              value={option.value}
              checked={value === option.value}
              disabled={option.disabled}
              onChange={() => onValue(option.value)}
            />
            <strong>{option.title}</strong>
            {option.text && <span class="muted">{option.text}</span>}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
