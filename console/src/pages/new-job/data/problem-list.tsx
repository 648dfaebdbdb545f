import { useState } from "preact/hooks";
import { count } from "../../../lib/format";
import { Badge, type Tone } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { TableRegion } from "../../../ui/layout";
import type { ProblemGroup } from "../inspection";

const TITLES: Record<string, string> = {
  file: "The file cannot be used",
  line_too_long: "Lines that are too long",
  encoding: "Text that is not UTF-8",
  json: "Lines that are not JSON",
  schema: "Fields missing or of the wrong type",
  role: "Roles that are not known",
  empty_content: "Empty messages",
  non_text: "Images, audio or files",
  role_order: "System messages out of place",
  ends_with_answer: "Prompts that end with an answer",
  role_marker: "Text that may be read as a turn",
  unused_field: "Fields that are not used",
  reference: "Reference answers",
  id: "Ids that cannot be used",
  tools: "Tools that cannot be used",
  more: "Further problems on the same lines",
  template: "Refused by the model's chat template",
  row_count: "Number of rows",
  validation: "Validation rows",
  leak: "Validation prompts that are also training prompts",
  near_leak: "Validation prompts that are nearly training prompts",
  duplicate: "Repeated prompts",
  conflict: "One prompt, different reference answers",
  too_long: "Rows that are too long",
  untracked: "Not looked at as a whole",
};

const SEVERITIES: Record<ProblemGroup["severity"], { word: string; tone: Tone }> = {
  error: { word: "error", tone: "bad" },
  warning: { word: "warning", tone: "warn" },
  info: { word: "remark", tone: undefined },
};

/** Problems by kind; errors are open from the start. */
export function ProblemList({ groups }: { groups: readonly ProblemGroup[] }) {
  return (
    <div class="problem-list">
      {groups.map((group) => (
        <Group key={`${group.severity} ${group.code}`} group={group} />
      ))}
    </div>
  );
}

const AT_FIRST = 5;

function Group({ group }: { group: ProblemGroup }) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole ? group.examples : group.examples.slice(0, AT_FIRST);
  const { word, tone } = SEVERITIES[group.severity];
  const title = TITLES[group.code] ?? group.code;
  const [first] = group.examples;
  const isOne = group.examples.length === 1 && first?.line === 0;
  const left = group.count - shown.length;
  if (isOne) {
    return (
      <div class="problem">
        <Badge tone={tone}>{word}</Badge> <strong>{title}</strong>
        <p>
          {sentence(first.message)} <span class="muted">{first.fix}</span>
        </p>
      </div>
    );
  }
  return (
    <details class="problem" open={group.severity === "error"}>
      <summary>
        <Badge tone={tone}>{word}</Badge> <strong>{title}</strong> <span class="num">({count(group.count)})</span>
      </summary>
      <TableRegion label={title}>
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Line</th>
              <th scope="col">What is wrong</th>
              <th scope="col">What to do</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((example, index) => (
              <tr key={index}>
                <td class="num nowrap">
                  {example.line ? count(example.line) : "whole file"}
                  {example.file === "validation" && <span class="muted"> (validation)</span>}
                </td>
                <td>{sentence(example.message)}</td>
                <td>{example.fix || "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableRegion>
      {left > 0 && (
        <p class="row muted problem-more">
          And {count(left)} more of this kind.
          {!isWhole && group.examples.length > AT_FIRST && (
            <Button size="small" onClick={() => setWhole(true)}>
              Show the first {group.examples.length}
            </Button>
          )}
        </p>
      )}
    </details>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
