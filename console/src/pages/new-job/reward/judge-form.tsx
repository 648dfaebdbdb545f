import { useResource } from "../../../lib/resource";
import { getJudges, getRubrics, type Judge, type Judges, type Rubric } from "../../../lib/rewards";
import { Button } from "../../../ui/button";
import { CodeEditor } from "../../../ui/code-editor";
import { Check, NumberField, SelectField, TextField } from "../../../ui/field";
import { Skeleton } from "../../../ui/layout";
import { ErrorNote, Note } from "../../../ui/note";
import type { GraderProps } from "./grader-form";
import { FIRST_JUDGE, rubricVariables } from "./kinds";

const OWN = "(own text)";
const GIVEN = ["response", "prompt", "reference"];

export function JudgeForm({ section, onSection }: GraderProps) {
  return <JudgeFields judge={section.judge ?? FIRST_JUDGE} onJudge={(judge) => onSection({ ...section, judge })} />;
}

/** Model, rubric and votes of a judge. */
export function JudgeFields({ judge, onJudge }: { judge: Judge; onJudge: (judge: Judge) => void }) {
  const rubrics = useResource("rubrics", getRubrics);
  const judges = useResource("judges", getJudges);
  const error = rubrics.error ?? judges.error;
  if (error) {
    return (
      <ErrorNote
        error={error}
        onRetry={() => {
          rubrics.reload();
          judges.reload();
        }}
      />
    );
  }
  if (!rubrics.data || !judges.data) return <Skeleton lines={6} label="Loading judges and rubrics" />;
  return (
    <div class="stack">
      <Model judge={judge} onJudge={onJudge} judges={judges.data} />
      <RubricFields judge={judge} onJudge={onJudge} rubrics={rubrics.data.data} />
      <Votes judge={judge} onJudge={onJudge} />
    </div>
  );
}

interface FieldsProps {
  judge: Judge;
  onJudge: (judge: Judge) => void;
}

function Model({ judge, onJudge, judges }: FieldsProps & { judges: Judges }) {
  const names = judges.data.map((one) => one.name);
  const use = (model: string) => onJudge({ ...judge, model });
  if (judges.takes_any_name) {
    return (
      <TextField
        label="Model that judges"
        value={judge.model}
        onValue={use}
        spellcheck={false}
        hint={`A model of ${judges.place}${names.length ? `, such as ${names.join(", ")}` : ""}.`}
      />
    );
  }
  if (!names.length) {
    return (
      <Note tone="warn" title="No model can judge here yet">
        <span>Name models or a `judges` connection in the configuration of the server.</span>
      </Note>
    );
  }
  const listed = judge.model && !names.includes(judge.model) ? [judge.model, ...names] : names;
  return (
    <SelectField
      label="Model that judges"
      value={judge.model}
      onValue={use}
      hint={`At ${judges.place}. A judge should be stronger than the model that is trained; small ones are easily fooled.`}
      options={[{ value: "", label: "Choose…", disabled: true }, ...listed]}
    />
  );
}

function RubricFields({ judge, onJudge, rubrics }: FieldsProps & { rubrics: Rubric[] }) {
  const name = judge.rubric ?? "instruction_following";
  const ready = rubrics.find((one) => one.name === name);
  const isOwn = judge.rubric_text !== undefined;
  const text = judge.rubric_text ?? ready?.text ?? "";
  const fields = rubricVariables(text).filter((variable) => !GIVEN.includes(variable));

  function choose(next: string): void {
    if (next === OWN) return;
    const { rubric_text: _text, variables: _variables, ...rest } = judge;
    onJudge({ ...rest, rubric: next });
  }

  function edit(next: string): void {
    const { rubric_text: _text, ...rest } = judge;
    onJudge(next === ready?.text ? rest : { ...rest, rubric_text: next });
  }

  function map(variable: string, field: string): void {
    const { [variable]: _before, ...others } = judge.variables ?? {};
    const variables = field ? { ...others, [variable]: field } : others;
    const { variables: _all, ...rest } = judge;
    onJudge(Object.keys(variables).length ? { ...rest, variables } : rest);
  }

  return (
    <div class="stack">
      <SelectField
        label="Rubric"
        value={isOwn ? OWN : name}
        onValue={choose}
        hint={isOwn ? `Your own text, begun from ${name.replaceAll("_", " ")}.` : ready?.summary}
        options={[
          ...rubrics.map((one) => ({ value: one.name, label: one.name.replaceAll("_", " ") })),
          { value: OWN, label: "Own text (edit below)", disabled: !isOwn },
        ]}
      />
      <CodeEditor label="Text of the rubric" value={text} onValue={edit} language="markdown" height="24rem" />
      <div class="row spread">
        <span class="field-hint">
          Names in double braces are replaced: {"{{prompt}}"}, {"{{response}}"}, {"{{reference}}"}, and fields of the
          row.
        </span>
        {isOwn && (
          <Button size="small" kind="quiet" onClick={() => choose(name)}>
            Back to the ready-made text
          </Button>
        )}
      </div>
      {fields.length > 0 && (
        <div class="grid" style={{ "--column": "16rem" }}>
          {fields.map((variable) => (
            <TextField
              key={variable}
              label={
                <>
                  Field for <code>{`{{${variable}}}`}</code>
                </>
              }
              value={judge.variables?.[variable] ?? ""}
              placeholder={variable}
              onValue={(field) => map(variable, field)}
              hint="Of the row, such as metadata.article. Empty: the field of the same name."
              spellcheck={false}
            />
          ))}
        </div>
      )}
    </div>
  );
}

function Votes({ judge, onJudge }: FieldsProps) {
  const set = <K extends keyof Judge>(field: K, value: Judge[K] | undefined) => {
    const { [field]: _before, ...rest } = judge;
    onJudge((value === undefined ? rest : { ...rest, [field]: value }) as Judge);
  };
  const [low, high] = judge.scale ?? [null, null];
  const scale = (lowest: number | null, highest: number | null) =>
    set("scale", lowest === null && highest === null ? undefined : [lowest ?? 0, highest ?? 1]);
  return (
    <details>
      <summary>Votes, scale and limits of the judge</summary>
      <div class="grid" style={{ "--column": "12rem", marginTop: "var(--space-3)" }}>
        <NumberField
          label="Votes"
          value={judge.votes ?? null}
          placeholder="1"
          min={1}
          step={1}
          onValue={(value) => set("votes", value ?? undefined)}
          hint="Judgements per answer; the median counts. Each costs a call."
        />
        <NumberField
          label="Lowest score"
          value={low}
          placeholder="as the rubric says"
          onValue={(value) => scale(value, high)}
          hint="Mapped to a reward of 0."
        />
        <NumberField
          label="Highest score"
          value={high}
          placeholder="as the rubric says"
          onValue={(value) => scale(low, value)}
          hint="Mapped to a reward of 1."
        />
        <NumberField
          label="Tokens of a judgement"
          value={judge.max_tokens ?? null}
          placeholder="512"
          min={1}
          step={1}
          onValue={(value) => set("max_tokens", value ?? undefined)}
        />
      </div>
      <div style={{ marginTop: "var(--space-3)" }}>
        <Check
          label="Judge the same answer to the same prompt only once"
          checked={judge.cache ?? true}
          onChecked={(checked) => set("cache", checked ? undefined : false)}
        />
      </div>
    </details>
  );
}
