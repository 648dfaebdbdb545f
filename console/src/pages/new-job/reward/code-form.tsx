import { useState } from "preact/hooks";
import { ApiError } from "../../../lib/api";
import { useResource } from "../../../lib/resource";
import { type FunctionCard, getFunctions, saveFunction } from "../../../lib/rewards";
import { may } from "../../../lib/session";
import { useSettled } from "../../../lib/settled";
import { tell } from "../../../lib/toast";
import { Badge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { CodeEditor } from "../../../ui/code-editor";
import { TextField } from "../../../ui/field";
import { ErrorNote } from "../../../ui/note";
import { changeCode, codeOf } from "./code-draft";
import type { GraderProps } from "./grader-form";
import { withGrader } from "./kinds";
import { codeProblems } from "./test-problems";

const FILE = "lambda_function.py";
const NAME = /^[a-zA-Z0-9-_]{1,64}$/;

/** The function of a name, or null. A search, as to ask for one that is not there would count as a failure. */
async function find(name: string, signal?: AbortSignal): Promise<FunctionCard | null> {
  const { data } = await getFunctions({ search: name, limit: 50 }, signal);
  return data.find((one) => one.name === name) ?? null;
}

export function CodeForm({ section, onSection, slot }: GraderProps) {
  const code = codeOf(slot);
  const [isSaving, setSaving] = useState(false);
  const [error, setError] = useState<ApiError>();
  const isNamed = NAME.test(code.name);
  const asked = useSettled(code.name, 400);
  const existing = useResource(NAME.test(asked) ? `function ${asked} ${code.saved?.reference}` : null, (signal) =>
    find(asked, signal),
  );
  const isDirty = code.saved?.text !== code.text;

  async function save(): Promise<void> {
    setSaving(true);
    setError(undefined);
    try {
      const found = await find(code.name);
      const version = await saveFunction(code.name, { [FILE]: code.text }, { isNew: found === null });
      const reference = `${code.name}:${version}`;
      changeCode(slot, { saved: { reference, text: code.text } });
      onSection(withGrader(section, { function: reference }));
      tell(`Saved as ${reference}.`, "good");
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    } finally {
      setSaving(false);
    }
  }

  const isOurs = code.saved?.reference.startsWith(`${code.name}:`);
  const hint =
    !isNamed || isOurs
      ? undefined
      : existing.data
        ? `A function of this name exists; saving makes version ${Number(existing.data.newest_version ?? 0) + 1} of it.`
        : existing.data === null
          ? "A new function."
          : undefined;
  return (
    <div class="stack">
      <CodeEditor
        label="lambda_handler(event, context): gets a list of samples, answers a list of scores"
        value={code.text}
        onValue={(text) => changeCode(slot, { text })}
        language="python"
        height="28rem"
        problems={codeProblems.value[slot] ?? []}
      />
      <div class="row" style={{ alignItems: "flex-start" }}>
        <div class="grow" style={{ maxWidth: "24rem" }}>
          <TextField
            label="Save as function"
            value={code.name}
            onValue={(name) => changeCode(slot, { name })}
            maxLength={64}
            spellcheck={false}
            hint={hint}
            problem={isNamed ? null : "Letters, digits, - and _, at most 64."}
          />
        </div>
        <div class="stack tight">
          <span class="field-label" aria-hidden="true">
            &nbsp;
          </span>
          <div class="row" aria-live="polite">
            <Button
              kind={isDirty ? "primary" : undefined}
              busy={isSaving}
              disabled={!isNamed || !isDirty || !may("developer")}
              onClick={save}
            >
              Save and use
            </Button>
            {code.saved && (
              <Badge tone={isDirty ? "warn" : "good"}>
                {isDirty ? `changed since ${code.saved.reference}` : code.saved.reference}
              </Badge>
            )}
            {code.saved && isDirty && (
              <Button kind="quiet" size="small" onClick={() => changeCode(slot, { text: code.saved!.text })}>
                Undo the changes
              </Button>
            )}
          </div>
        </div>
      </div>
      {error && <ErrorNote error={error} title="The code was not saved" />}
    </div>
  );
}
