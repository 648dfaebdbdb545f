/** Answers and what a reward gave them; each opens to what its parts were and what happened in the call. */

import { Fragment } from "preact";
import { useId, useState } from "preact/hooks";
import { bytes, number, reward } from "../lib/format";
import type { RewardTest, TestReceipt, TestSample } from "../lib/rewards";
import { Badge } from "./badge";
import { TableRegion } from "./layout";
import { Note } from "./note";
import "./reward-samples.css";
import { RowToggle } from "./toggle";
import { Verbatim } from "./verbatim";

interface RewardSamplesProps {
  test: Pick<RewardTest, "rows" | "samples" | "receipts">;
  label?: string;
  /** What kind of answer it is, in a word or two. */
  kindOf?: (sample: TestSample) => string;
}

export function RewardSamples({ test, label = "Scores of sample answers", kindOf }: RewardSamplesProps) {
  const hasHeldOut = test.samples.some((sample) => sample.held_out !== null);
  return (
    <TableRegion label={label}>
      <table class="table reward-samples">
        <thead>
          <tr>
            <th scope="col">
              <span class="visually-hidden">Details</span>
            </th>
            <th scope="col">Prompt</th>
            {kindOf && <th scope="col">Answer is</th>}
            <th scope="col">Answer</th>
            <th scope="col" class="end">
              Reward
            </th>
            {hasHeldOut && (
              <th scope="col" class="end">
                Held-out
              </th>
            )}
            <th scope="col" class="end">
              Call
            </th>
          </tr>
        </thead>
        <tbody>
          {test.samples.map((sample, index) => (
            <SampleRow
              key={index}
              sample={sample}
              prompt={test.rows[sample.row]?.prompt ?? ""}
              kind={kindOf?.(sample)}
              receipt={test.receipts[sample.receipt]}
              hasHeldOut={hasHeldOut}
            />
          ))}
        </tbody>
      </table>
    </TableRegion>
  );
}

interface SampleRowProps {
  sample: TestSample;
  prompt: string;
  kind: string | undefined;
  receipt: TestReceipt | undefined;
  hasHeldOut: boolean;
}

function SampleRow({ sample, prompt, kind, receipt, hasHeldOut }: SampleRowProps) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const columns = 5 + (kind === undefined ? 0 : 1) + (hasHeldOut ? 1 : 0);
  return (
    <Fragment>
      <tr>
        <td>
          <RowToggle
            isOpen={isOpen}
            onToggle={() => setOpen(!isOpen)}
            controls={id}
            what={`how the answer “${sample.completion.slice(0, 40) || "empty"}” was scored`}
          />
        </td>
        <td class="reward-samples-text">{prompt}</td>
        {kind !== undefined && (
          <td>
            <Badge>{kind}</Badge>
          </td>
        )}
        <td class="reward-samples-text">
          {sample.completion ? <code>{sample.completion}</code> : <span class="muted">nothing</span>}
        </td>
        <td class="end num">
          {sample.reward === null ? <Badge tone="bad">{sample.verdict}</Badge> : reward(sample.reward)}
        </td>
        {hasHeldOut && <td class="end num">{reward(sample.held_out)}</td>}
        <td class="end num muted nowrap">{receipt && receipt.wall_ms > 0 ? `${number(receipt.wall_ms)} ms` : "–"}</td>
      </tr>
      <tr id={id} hidden={!isOpen} class="reward-samples-details">
        <td colSpan={columns}>{isOpen && <SampleDetails sample={sample} receipt={receipt} />}</td>
      </tr>
    </Fragment>
  );
}

function SampleDetails({ sample, receipt }: { sample: TestSample; receipt: TestReceipt | undefined }) {
  const components = Object.entries(sample.components);
  const metrics = Object.entries(sample.metrics);
  const reasons = sample.details.reasoning;
  const others = Object.entries(sample.details).filter(([name]) => name !== "reasoning");
  return (
    <div class="stack tight">
      {sample.message && <Note tone="bad">{sample.message}</Note>}
      {typeof reasons === "string" && (
        <div>
          <h3>The judge says</h3>
          <p class="verbatim">{reasons}</p>
        </div>
      )}
      {(components.length > 0 || metrics.length > 0) && (
        <dl class="facts">
          {components.map(([name, value]) => (
            <Fragment key={name}>
              <dt>{name}</dt>
              <dd class="num">{number(value)}</dd>
            </Fragment>
          ))}
          {metrics.map(([name, value]) => (
            <Fragment key={name}>
              <dt>{name} (measured)</dt>
              <dd class="num">{number(value)}</dd>
            </Fragment>
          ))}
        </dl>
      )}
      {others.length > 0 && (
        <details>
          <summary>What the grader adds</summary>
          <pre class="verbatim">{JSON.stringify(Object.fromEntries(others), null, 2)}</pre>
        </details>
      )}
      {receipt && <Receipt receipt={receipt} />}
    </div>
  );
}

export function Receipt({ receipt }: { receipt: TestReceipt }) {
  return (
    <div class="stack tight">
      <h3>Receipt</h3>
      <dl class="facts">
        <dt>Grader</dt>
        <dd class="mono">{receipt.grader}</dd>
        <dt>Time</dt>
        <dd class="num">
          {number(receipt.wall_ms)} ms wall, {number(receipt.cpu_ms)} ms processor
        </dd>
        {receipt.peak_memory_bytes > 0 && (
          <>
            <dt>Memory</dt>
            <dd class="num">{bytes(receipt.peak_memory_bytes)}</dd>
          </>
        )}
        <dt>Calls</dt>
        <dd class="num">{receipt.attempts}</dd>
        {receipt.isolation && (
          <>
            <dt>Where</dt>
            <dd>{receipt.isolation}</dd>
          </>
        )}
        {Object.keys(receipt.limits).length > 0 && (
          <>
            <dt>Limits</dt>
            <dd class="num">{Object.entries(receipt.limits).map(limit).join(", ")}</dd>
          </>
        )}
      </dl>
      {receipt.stdout && <Output name="Standard output" text={receipt.stdout} />}
      {receipt.stderr && <Output name="Standard error" text={receipt.stderr} />}
    </div>
  );
}

function limit([name, value]: [string, number]): string {
  if (name === "timeout_s") return `${number(value)} s a call`;
  return name === "memory_mb" ? `${number(value)} MiB` : `${name} ${number(value)}`;
}

function Output({ name, text }: { name: string; text: string }) {
  return (
    <div>
      <div class="field-hint">{name}</div>
      <Verbatim text={text} label={name} maxHeight="16rem" />
    </div>
  );
}
