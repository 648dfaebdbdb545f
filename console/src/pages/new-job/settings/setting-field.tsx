import { useState } from "preact/hooks";
import { Badge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { Field } from "../../../ui/field";
import { Prose } from "../../../ui/prose";
import { problemOf, rangeOf, type Setting, shownValue, titleOf, typedValue, wordsOf } from "./schema";

interface SettingFieldProps {
  setting: Setting;
  /** Undefined: the default stands. */
  value: unknown;
  onValue: (value: unknown) => void;
  /** With its name in a configuration, for those who know it by that. */
  showName?: boolean;
}

/** One setting: its control by its type, what it does, its default, and the way back to that. */
export function SettingField({ setting, value, onValue, showName }: SettingFieldProps) {
  const isChanged = value !== undefined;
  const title = titleOf(setting.name);
  const standard = setting.default === null ? "decided when the job starts" : shownValue(setting.default);
  const range = rangeOf(setting);
  return (
    <div class={isChanged ? "setting changed" : "setting"}>
      <Field
        label={
          <>
            {title}
            {showName && <span class="setting-name">{setting.name}</span>}
          </>
        }
        hint={
          <>
            <Prose text={wordsOf(setting.guidance)} />{" "}
            <span class="setting-default">
              Default: {standard}
              {range && `; ${range}`}.
            </span>
          </>
        }
        problem={problemOf(setting, value)}
      >
        {(wiring) => <Control setting={setting} value={value} onValue={onValue} wiring={wiring} />}
      </Field>
      {isChanged && (
        <div class="row">
          <Badge tone="accent">changed</Badge>
          <Button
            size="small"
            kind="quiet"
            aria-label={`Reset ${title} to its default`}
            onClick={() => onValue(undefined)}
          >
            Reset
          </Button>
        </div>
      )}
    </div>
  );
}

interface ControlProps {
  setting: Setting;
  value: unknown;
  onValue: (value: unknown) => void;
  wiring: { id: string };
}

function Control({ setting, value, onValue, wiring }: ControlProps) {
  // While somebody types, the field holds what they type, also what is no value yet.
  const [typed, setTyped] = useState<string | null>(null);
  if (setting.type === "boolean" || setting.type === "choice") {
    const isBoolean = setting.type === "boolean";
    const options = isBoolean ? ["on", "off"] : setting.choices;
    return (
      <select
        class="input"
        value={shownValue(value ?? setting.default)}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          const next = isBoolean ? chosen === "on" : chosen;
          onValue(next === setting.default ? undefined : next);
        }}
        {...wiring}
      >
        {options.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
    );
  }
  const isNumber = setting.type === "integer" || setting.type === "number";
  return (
    <input
      class={isNumber ? "input num" : "input"}
      type="text"
      inputMode={setting.type === "integer" ? "numeric" : isNumber ? "decimal" : "text"}
      autocomplete="off"
      spellcheck={false}
      value={typed ?? shownValue(value ?? setting.default)}
      placeholder={setting.default === null ? "automatic" : shownValue(setting.default)}
      onInput={(event) => {
        setTyped(event.currentTarget.value);
        const next = typedValue(setting, event.currentTarget.value);
        onValue(next === setting.default ? undefined : next);
      }}
      onBlur={() => setTyped(null)}
      {...wiring}
    />
  );
}
