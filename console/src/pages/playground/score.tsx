import { bytes, duration, number, reward } from "../../lib/format";
import { Badge } from "../../ui/badge";
import { ErrorNote } from "../../ui/note";
import { Verbatim } from "../../ui/verbatim";
import type { Grade, Score } from "./conversation";

/** What the grader gave for an answer, with its receipt. */
export function GradeView({ grade }: { grade: Grade }) {
  if (grade.status === "grading") return <p class="muted playground-grade">Grading…</p>;
  if (grade.status === "failed") return <ErrorNote title="Not graded" error={grade.error} />;
  return <ScoreView score={grade.score} />;
}

function ScoreView({ score }: { score: Score }) {
  const { receipt } = score;
  const isFailed = score.reward === null;
  return (
    <div class="playground-grade stack tight">
      <div class="row">
        <span class="muted">Reward</span>
        {isFailed ? (
          <Badge tone="bad">grader failed: {receipt.verdict}</Badge>
        ) : (
          <strong class="num playground-reward">{reward(score.reward)}</strong>
        )}
      </div>
      {receipt.message && <p class="field-problem playground-verbatim">{receipt.message}</p>}
      <Numbers title="Components" values={score.components} />
      <details>
        <summary>Receipt</summary>
        <div class="stack tight playground-receipt">
          <dl class="facts">
            <dt>Grader</dt>
            <dd class="mono">{receipt.grader}</dd>
            <dt>Took</dt>
            <dd class="num">
              {duration(receipt.wall_s)}
              {receipt.cpu_s > 0 && `, ${duration(receipt.cpu_s)} of a processor`}
            </dd>
            {receipt.peak_memory_bytes > 0 && (
              <>
                <dt>Memory</dt>
                <dd class="num">{bytes(receipt.peak_memory_bytes)} at its peak</dd>
              </>
            )}
            {receipt.attempts > 1 && (
              <>
                <dt>Attempts</dt>
                <dd class="num">{receipt.attempts}</dd>
              </>
            )}
            {receipt.isolation && (
              <>
                <dt>Isolation</dt>
                <dd>{receipt.isolation}</dd>
              </>
            )}
          </dl>
          <Numbers title="Measured" values={score.metrics} />
          <Output title="Standard output" text={receipt.stdout_tail} />
          <Output title="Standard error" text={receipt.stderr_tail} />
          {Object.keys(score.details).length > 0 && (
            <Output title="Details" text={JSON.stringify(score.details, null, 2)} />
          )}
        </div>
      </details>
    </div>
  );
}

function Numbers({ title, values }: { title: string; values: Record<string, number> }) {
  const entries = Object.entries(values);
  if (entries.length === 0) return null;
  return (
    <dl class="facts" aria-label={title}>
      {entries.map(([name, value]) => (
        <div key={name} style={{ display: "contents" }}>
          <dt class="playground-verbatim">{name}</dt>
          <dd class="num">{number(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function Output({ title, text }: { title: string; text: string }) {
  if (!text) return null;
  return (
    <div>
      <div class="muted">{title}</div>
      <Verbatim text={text} label={title} maxHeight="12rem" />
    </div>
  );
}
