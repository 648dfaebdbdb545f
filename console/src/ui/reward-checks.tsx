/** What the bench found out about a reward, worst first. */

import { Fragment } from "preact";
import { number, plural } from "../lib/format";
import type { CheckFinding, CheckReport } from "../lib/rewards";
import { Badge } from "./badge";
import { Note } from "./note";

const TITLES: Record<string, string> = {
  determinism: "Same answer, same reward",
  errors: "Every answer gets a score",
  finite: "Scores are numbers",
  range: "Scores stay in range",
  resolution: "Scores differ",
  reference_maximum: "References earn the most",
  base_ordering: "Better answers of the base model earn more",
  empty_answer: "An empty answer",
  prompt_echo: "The prompt repeated",
  refusal: "A refusal",
  garbage: "Garbage",
  very_long_answer: "Very long garbage",
  all_options: "All options named",
  changed_number: "Another number",
  swapped_words: "Words of other references",
  other_label: "Another row's reference",
  negated: "The reference negated",
  order: "Order of samples",
  batch: "Size of batches",
  ids: "Ids of samples",
  drift: "No drift over calls",
  other_process: "The same in another process",
  self_consistency: "The judge agrees with itself",
  length_bias: "Length is not rewarded",
  position_bias: "Position is not rewarded",
  injection: "Instructions to the grader are ignored",
  crash_containment: "One bad answer does not cost the others",
  odd_text: "Odd texts",
  latency: "Speed",
};

export const checkTitle = (check: string): string => TITLES[check] ?? check.replaceAll("_", " ");

function Finding({ found }: { found: CheckFinding }) {
  const example = found.example;
  return (
    <Note
      tone={found.verdict === "fail" ? "bad" : "warn"}
      title={
        <>
          {checkTitle(found.check)} <Badge tone={found.verdict === "fail" ? "bad" : "warn"}>{found.verdict}</Badge>
        </>
      }
    >
      <span>{found.message}</span>
      {found.advice && <span>{found.advice}</span>}
      {example && (
        <span class="muted">
          Example: row {example.row_id}, {example.completion ? <code>{example.completion}</code> : "an empty answer"}{" "}
          earns {example.score === null ? "no score" : number(example.score)}
          {example.against && `, ${example.against} ${number(example.against_score)}`}.
        </span>
      )}
    </Note>
  );
}

export function RewardChecks({ report }: { report: CheckReport }) {
  const having = (verdict: CheckFinding["verdict"]) => report.checks.filter((one) => one.verdict === verdict);
  const bad = [...having("fail"), ...having("warn")];
  const passed = having("pass");
  const skipped = having("not applicable");
  return (
    <div class="stack tight">
      <div class="row">
        <Badge tone={report.verdict === "pass" ? "good" : report.verdict === "warn" ? "warn" : "bad"}>
          {report.verdict === "pass" ? "all passed" : plural(bad.length, "finding")}
        </Badge>
        <span class="muted">
          {report.verdict === "fail"
            ? "A job with this reward would not start."
            : report.verdict === "warn"
              ? "Training is possible, but look at these first."
              : "Nothing speaks against training on this reward."}{" "}
          {plural(report.scored, "made-up answer")} to {plural(report.rows, "row")} scored in {number(report.seconds)}{" "}
          s.
        </span>
      </div>
      {bad.map((found) => (
        <Finding key={found.check} found={found} />
      ))}
      {passed.length + skipped.length > 0 && (
        <details>
          <summary>
            {plural(passed.length, "check")} passed{skipped.length > 0 && `, ${skipped.length} do not apply here`}
          </summary>
          <dl class="facts reward-checks-passed">
            {[...passed, ...skipped].map((found) => (
              <Fragment key={found.check}>
                <dt>{checkTitle(found.check)}</dt>
                <dd class={found.verdict === "pass" ? "" : "muted"}>{found.message}</dd>
              </Fragment>
            ))}
          </dl>
        </details>
      )}
    </div>
  );
}
