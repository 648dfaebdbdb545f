import { useState } from "preact/hooks";
import { useResource } from "../../../lib/resource";
import { getTemplates, type Template } from "../../../lib/rewards";
import { Button } from "../../../ui/button";
import { CodeEditor } from "../../../ui/code-editor";
import { Choices, SelectField, TextField } from "../../../ui/field";
import { Empty, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { changeCode } from "./code-draft";
import { blocksOf } from "./documentation";
import type { GraderProps } from "./grader-form";
import { TOP, withGrader } from "./kinds";

export function TemplateForm({ section, onSection, slot }: GraderProps) {
  const templates = useResource("reward-templates", getTemplates);
  const [search, setSearch] = useState("");
  if (templates.error) return <ErrorNote error={templates.error} onRetry={templates.reload} />;
  if (!templates.data) return <Skeleton lines={5} label="Loading templates" />;

  const wanted = search.toLowerCase();
  const shown = templates.data.data.filter((one) =>
    `${one.name} ${one.summary} ${one.documentation}`.toLowerCase().includes(wanted),
  );
  const chosen = templates.data.data.find((one) => one.name === section.template);

  function copy(template: Template): void {
    changeCode(slot, { text: template.source, isChosen: true, saved: null });
    onSection(withGrader(section, {}));
  }

  if (slot !== TOP) {
    return (
      <div class="stack">
        <SelectField
          label="Template"
          value={section.template ?? ""}
          onValue={(name) => onSection({ ...section, template: name })}
          hint={chosen?.summary}
          options={[
            { value: "", label: "Choose…", disabled: true },
            ...templates.data.data.map((one) => ({ value: one.name, label: one.name.replaceAll("_", " ") })),
          ]}
        />
        {chosen && (
          <details>
            <summary>About this template</summary>
            <About key={chosen.name} template={chosen} onCopy={() => copy(chosen)} />
          </details>
        )}
      </div>
    );
  }
  return (
    <div class="stack">
      <TextField
        label="Search templates"
        hideLabel
        type="search"
        placeholder="Search: maths, JSON, tests…"
        value={search}
        onValue={setSearch}
      />
      {shown.length ? (
        <Choices
          legend="Template"
          value={section.template ?? null}
          onValue={(name) => onSection({ ...section, template: name })}
          options={shown.map((one) => ({ value: one.name, title: one.name.replaceAll("_", " "), text: one.summary }))}
        />
      ) : (
        <Empty title="No template has these words">
          <p>Write the rule as your own code instead, or let a model judge.</p>
        </Empty>
      )}
      {chosen && <About key={chosen.name} template={chosen} onCopy={() => copy(chosen)} />}
    </div>
  );
}

function About({ template, onCopy }: { template: Template; onCopy: () => void }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <section class="panel stack tight" aria-label={`About ${template.name}`}>
      <div class="row spread">
        <h3>{template.name.replaceAll("_", " ")}</h3>
        <Button size="small" onClick={onCopy}>
          Copy into own code
        </Button>
      </div>
      <p class="muted">
        Reads {template.row_fields.map((field) => `“${field}”`).join(", ") || "only the answer"} from a row.
      </p>
      {blocksOf(template.documentation).map((block, index) =>
        block.isVerbatim ? (
          <pre key={index} class="verbatim">
            {block.text}
          </pre>
        ) : (
          <p key={index}>{block.text}</p>
        ),
      )}
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>Source</summary>
        {isOpen && (
          <CodeEditor label={`Source of ${template.name}`} hideLabel value={template.source} language="python" />
        )}
      </details>
    </section>
  );
}
