import { bytes, count, plural } from "../../../lib/format";
import { Panel } from "../../../ui/layout";
import { Note } from "../../../ui/note";
import type { StepProps } from "../draft";
import type { FileCounts, Inspected, LogCounts } from "../inspection";
import { LengthPanel } from "./lengths";
import { Preview } from "./preview";
import { ProblemList } from "./problem-list";

interface FindingsProps extends StepProps {
  found: Inspected;
}

/** What is in the rows. */
export function Findings({ found, draft, update }: FindingsProps) {
  return (
    <>
      <Verdict found={found} />
      <Panel title="Rows">
        <div class="stack">
          <Counts found={found} />
          {found.logs && <Logs counts={found.logs} />}
        </div>
      </Panel>
      {found.problems.length > 0 && (
        <Panel title="Findings">
          <ProblemList groups={found.problems} />
        </Panel>
      )}
      <LengthPanel found={found} draft={draft} update={update} />
      <Panel title="First rows">
        <Preview rows={found.rows} />
      </Panel>
    </>
  );
}

function Verdict({ found }: { found: Inspected }) {
  const bad = found.train.bad_lines + (found.validation?.bad_lines ?? 0);
  if (!found.ok) {
    return (
      <Note tone="bad" title="A job would refuse these rows">
        {bad > 0
          ? `${plural(bad, "line")} cannot be used. The findings below say which, why, and what to do; mend them and upload the file again.`
          : "The findings below say why, and what to do."}
      </Note>
    );
  }
  const ready = `${plural(found.train.usable, "row")} can be trained on: ${found.train.size}.`;
  if (found.warnings) {
    return (
      <Note tone="warn" title={ready}>
        {plural(found.warnings, "warning")} below: training works, but perhaps not as meant.
      </Note>
    );
  }
  return <Note tone="good" title={ready} />;
}

function Counts({ found }: { found: Inspected }) {
  const { train, validation, overlap } = found;
  const lines: [string, (file: FileCounts) => string | number][] = [
    ["Rows", (file) => count(file.rows)],
    ["Lines with errors", (file) => count(file.bad_lines)],
    ["Too long", (file) => (file.lengths ? count(file.too_long) : "–")],
    ["Repeated prompts", (file) => count(file.duplicates)],
    ["Contradictory answers", (file) => count(file.conflicts)],
    ["Without reference answer", (file) => count(file.without_reference)],
    ["Size", (file) => bytes(file.bytes)],
  ];
  return (
    <table class="table counts">
      <thead>
        <tr>
          <th scope="col">Counted</th>
          <th scope="col" class="end">
            Training
          </th>
          {validation && (
            <th scope="col" class="end">
              Validation
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {lines.map(([label, told]) => (
          <tr key={label}>
            <th scope="row">{label}</th>
            <td class="end num">{told(train)}</td>
            {validation && <td class="end num">{told(validation)}</td>}
          </tr>
        ))}
        {overlap && (
          <tr>
            <th scope="row">Also a training prompt</th>
            <td class="end num">–</td>
            <td class="end num">
              {count(overlap.same)}
              {overlap.nearly > 0 && ` + ${count(overlap.nearly)} nearly`}
            </td>
          </tr>
        )}
      </tbody>
    </table>
  );
}

function Logs({ counts }: { counts: LogCounts }) {
  const skipped = Object.entries(counts.skipped);
  return (
    <div class="stack tight">
      <p>
        {plural(counts.records, "record")} in {plural(counts.objects, "object")} became {plural(counts.kept, "row")}.
        {!counts.complete && " There are more records than are looked at here; a job reads them all."}
      </p>
      {skipped.length > 0 && (
        <details>
          <summary>Why others were left out</summary>
          <ul class="plain">
            {skipped.map(([reason, calls]) => (
              <li key={reason}>
                <span class="num">{count(calls)}</span>: {reason}
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
