import { bytes, duration, number } from "../../../lib/format";
import { Badge } from "../../../ui/badge";
import type { Sample } from "./data";
import { asText } from "./text";

/** What happened when a sample was graded. */
export function ReceiptDetails({ sample }: { sample: Sample }) {
  const { receipt, details } = sample;
  const isOk = receipt.verdict === "ok";
  const limits = Object.entries(receipt.limits);
  return (
    <details class="rollouts-receipt">
      <summary>
        Receipt{" "}
        <span class="num">
          · {isOk ? "graded" : receipt.verdict} in {duration(receipt.wall_s)}
        </span>
      </summary>
      <div class="stack tight">
        <dl class="facts">
          <dt>Grader</dt>
          <dd class="mono">{receipt.grader || "–"}</dd>
          <dt>Verdict</dt>
          <dd>
            <Badge tone={isOk ? "good" : "bad"}>{receipt.verdict}</Badge> {receipt.message}
          </dd>
          <dt>Wall time</dt>
          <dd class="num">
            {duration(receipt.wall_s)}
            {receipt.attempts > 1 && `, attempt ${receipt.attempts}`}
          </dd>
          {receipt.isolation && (
            <>
              <dt>CPU time</dt>
              <dd class="num">{duration(receipt.cpu_s)}</dd>
              <dt>Peak memory</dt>
              <dd class="num">{bytes(receipt.peak_memory_bytes)}</dd>
              <dt>Isolation</dt>
              <dd>{receipt.isolation}</dd>
            </>
          )}
          {limits.length > 0 && (
            <>
              <dt>Limits</dt>
              <dd class="num">{limits.map(([name, value]) => `${name} ${number(value)}`).join(", ")}</dd>
            </>
          )}
        </dl>
        {Object.entries(details).map(([name, value]) => (
          <Printed key={name} title={name.replaceAll("_", " ")} text={asText(value)} />
        ))}
        {receipt.stdout_tail && <Printed title="Printed" text={receipt.stdout_tail} />}
        {receipt.stderr_tail && <Printed title="Printed as errors" text={receipt.stderr_tail} />}
      </div>
    </details>
  );
}

function Printed({ title, text }: { title: string; text: string }) {
  return (
    <div>
      <h4 class="rollouts-small-title">{title}</h4>
      <pre class="verbatim rollouts-printed" tabIndex={0} aria-label={title} role="region">
        {text}
      </pre>
    </div>
  );
}
