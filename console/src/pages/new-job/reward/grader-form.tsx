/** One grader: its kind as cards, and the form of that kind. */

import type { ComponentType } from "preact";
import type { Reward } from "../../../lib/rewards";
import { Choices, SelectField } from "../../../ui/field";
import { changeCode, codeDrafts, codeOf } from "./code-draft";
import { CodeForm } from "./code-form";
import { ComposeForm } from "./compose-form";
import { EndpointForm } from "./endpoint-form";
import { FunctionForm } from "./function-form";
import { JudgeForm } from "./judge-form";
import { firstOf, type Kind, kindOf, withGrader } from "./kinds";
import { OpenAIForm } from "./openai-form";
import { TemplateForm } from "./template-form";

export interface GraderProps {
  section: Reward;
  onSection: (section: Reward) => void;
  /** Which place in the reward this is. */
  slot: string;
}

const KINDS: readonly { value: Kind; title: string; text: string }[] = [
  { value: "template", title: "Ready-made rule", text: "Maths, multiple choice, JSON, code tests and more." },
  { value: "code", title: "Own code", text: "Python, written and tested here, run in a sandbox." },
  { value: "judge", title: "Judge", text: "A model scores answers by a rubric that you can edit." },
  { value: "function", title: "Function", text: "One that is registered here, or an AWS Lambda ARN." },
  { value: "endpoint", title: "Endpoint", text: "An HTTP address that scores." },
  { value: "openai", title: "OpenAI grader", text: "A grader object of OpenAI's API, as JSON." },
  { value: "compose", title: "Composition", text: "Several of these, with weights, gates and ranges." },
];

const FORMS: Record<Kind, ComponentType<GraderProps>> = {
  template: TemplateForm,
  code: CodeForm,
  judge: JudgeForm,
  function: FunctionForm,
  endpoint: EndpointForm,
  openai: OpenAIForm,
  compose: ComposeForm,
};

interface GraderFormProps extends GraderProps {
  legend: string;
  /** A part cannot be a composition itself. */
  isPart?: boolean;
}

export function GraderForm({ legend, isPart, ...props }: GraderFormProps) {
  const { section, onSection, slot } = props;
  const kind = kindOf(section, codeDrafts.value[slot]);
  const Form = kind && FORMS[kind];

  function choose(next: Kind): void {
    if (next === kind) return;
    changeCode(slot, { isChosen: next === "code" });
    onSection(withGrader(section, firstOf(next, codeOf(slot))));
  }

  return (
    <div class="stack">
      {isPart ? (
        <SelectField
          label={legend}
          value={kind ?? ""}
          onValue={(next) => choose(next as Kind)}
          hint={KINDS.find((one) => one.value === kind)?.text}
          options={[
            { value: "", label: "Choose…", disabled: true },
            ...KINDS.filter((one) => one.value !== "compose").map((one) => ({ value: one.value, label: one.title })),
          ]}
        />
      ) : (
        <Choices legend={legend} value={kind} onValue={choose} options={KINDS} />
      )}
      {Form && <Form {...props} />}
    </div>
  );
}
