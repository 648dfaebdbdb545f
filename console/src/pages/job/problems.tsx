import { Badge, type Tone } from "../../ui/badge";
import { TableRegion } from "../../ui/layout";
import type { RowProblem } from "./detail";

const TONES: Record<RowProblem["severity"], Tone> = { error: "bad", warning: "warn", info: undefined };
const WORDS: Record<RowProblem["severity"], string> = { error: "error", warning: "warning", info: "remark" };

/** What is wrong with rows, line by line. */
export function ProblemTable({ problems, label }: { problems: readonly RowProblem[]; label: string }) {
  return (
    <TableRegion label={label}>
      <table class="table job-problems">
        <thead>
          <tr>
            <th scope="col">Where</th>
            <th scope="col">Kind</th>
            <th scope="col">What is wrong, and what to do</th>
          </tr>
        </thead>
        <tbody>
          {problems.map((problem, index) => (
            <tr key={index}>
              <td>
                <div class="nowrap">
                  {problem.line ? <span class="num">line {problem.line}</span> : "whole file"}
                  <span class="muted"> · {problem.file}</span>
                </div>
                {problem.field && <code class="job-field">{problem.field}</code>}
              </td>
              <td>
                <Badge tone={TONES[problem.severity]}>{WORDS[problem.severity]}</Badge>
              </td>
              <td>
                <div>{problem.message}</div>
                {problem.fix && <div class="muted">{problem.fix}</div>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableRegion>
  );
}
