import { Fragment } from "preact";
import { bytes, count, moment, number, plural } from "../../../lib/format";
import { CopyButton } from "../../../ui/copy";
import { Panel, TableRegion } from "../../../ui/layout";
import type { JobDetail } from "../detail";
import { numberOf } from "../links";
import type { Lineage } from "./shapes";

/** The numbers that were fixed when training began, and what became of them. */
export function Plan({ job, lineage }: { job: JobDetail; lineage: Lineage | null }) {
  const plan = { ...lineage?.plan, ...job.plan };
  if (!Object.keys(plan).length) return null;
  const memory = job.result?.memory;
  const rows: [string, string | null][] = [
    ["Steps", told(plan, "total_steps", (value) => `${count(job.step ?? 0)} of ${count(value)} done`)],
    ["Epochs", told(plan, "epochs", count)],
    [job.method === "supervised" ? "Rows per step" : "Prompts per step", told(plan, "batch_size", count)],
    ["Samples per prompt", told(plan, "samples_per_prompt", count)],
    ["Learning rate", told(plan, "learning_rate", number)],
    ["Validation", told(plan, "evaluate_every", (value) => `every ${plural(value, "step")}`)],
    ["Training rows", told(plan, "training_rows", count)],
    ["Validation rows", told(plan, "validation_rows", count)],
    ["Tokens per micro-batch", told(plan, "token_budget", count)],
    ["Threads", told(plan, "threads", count)],
    ["Memory, predicted peak", told(plan, "peak_memory_bytes", bytes)],
    ["Memory, for the lengths that came", told(memory, "expected_bytes", bytes)],
    ["Memory, measured peak", told(memory, "peak_memory_bytes", bytes)],
    ["Trained tokens", job.trained_tokens === null ? null : count(job.trained_tokens)],
  ];
  return (
    <Panel title="Plan and what became of it">
      <dl class="job-plan">
        {rows.map(([name, value]) =>
          value === null ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd class="num">{value}</dd>
            </div>
          ),
        )}
      </dl>
    </Panel>
  );
}

function told(
  record: Record<string, unknown> | null | undefined,
  name: string,
  say: (value: number) => string,
): string | null {
  const value = numberOf(record, name);
  return value === null ? null : say(value);
}

/** What one would need to make the same adapter again. */
export function LineagePanel({ job, lineage }: { job: JobDetail; lineage: Lineage | null }) {
  if (!lineage) {
    return (
      <Panel title="Lineage">
        <p class="muted">
          Versions, hashes, machine and seed are written down when training begins. The same ones give the same adapter.
        </p>
      </Panel>
    );
  }
  const machine = lineage.machine;
  const memory = numberOf(machine, "memory_bytes");
  const hashes: [string, string][] = [
    ...Object.entries(lineage.weights).map(([file, hash]): [string, string] => [
      `${lineage.base_model}: ${file}`,
      hash,
    ]),
    ...(lineage.training_sha256 ? [["training rows", lineage.training_sha256] as [string, string]] : []),
    ...(lineage.validation_sha256 ? [["validation rows", lineage.validation_sha256] as [string, string]] : []),
  ];
  return (
    <Panel title="Lineage">
      <div class="stack">
        <div class="grid" style={{ "--column": "22rem" }}>
          <dl class="facts job-facts">
            <dt>Run began</dt>
            <dd>{lineage.created ? moment(Date.parse(lineage.created) / 1000) : "–"}</dd>
            <dt>Seed</dt>
            <dd class="num">{lineage.seed}</dd>
            <dt>Base model</dt>
            <dd>{lineage.base_model}</dd>
            {job.model !== lineage.base_model && (
              <>
                <dt>Asked for as</dt>
                <dd class="job-break">{job.model}</dd>
              </>
            )}
            <dt>Created by</dt>
            <dd class="mono job-break">{job.created_by}</dd>
            <dt>Through</dt>
            <dd>{DIALECTS[job.dialect] ?? job.dialect}</dd>
            {lineage.graders.length > 0 && (
              <>
                <dt>Grader</dt>
                <dd class="mono job-break">{lineage.graders.join(", ")}</dd>
              </>
            )}
            {lineage.left_out_rows > 0 && (
              <>
                <dt>Left out</dt>
                <dd>
                  {plural(lineage.left_out_rows, "row")} too long:{" "}
                  <span class="mono">{lineage.left_out.join(", ")}</span>
                  {lineage.left_out_rows > lineage.left_out.length && " …"}
                </dd>
              </>
            )}
          </dl>
          <dl class="facts job-facts">
            <dt>Processor</dt>
            <dd>{String(machine.processor ?? "–")}</dd>
            <dt>Cores</dt>
            <dd class="num">{String(machine.cores ?? "–")}</dd>
            <dt>Memory</dt>
            <dd class="num">{bytes(memory)}</dd>
            <dt>System</dt>
            <dd>{String(machine.system ?? "–")}</dd>
            {Object.entries(lineage.versions).map(([library, version]) => (
              <Fragment key={library}>
                <dt>{library}</dt>
                <dd class="num">{version}</dd>
              </Fragment>
            ))}
          </dl>
        </div>
        <TableRegion label="Hashes">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Content</th>
                <th scope="col">SHA-256</th>
                <th scope="col">
                  <span class="visually-hidden">Copy</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {hashes.map(([name, hash]) => (
                <tr key={name}>
                  <td>{name}</td>
                  <td class="mono" title={hash}>
                    {hash.slice(0, 16)}…
                  </td>
                  <td class="end">
                    <CopyButton text={hash} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableRegion>
        {Object.keys(lineage.conventions).length > 0 && (
          <p class="muted">
            Conventions:{" "}
            {Object.entries(lineage.conventions)
              .map(([name, value]) => `${name} ${String(value)}`)
              .join(", ")}
            .
          </p>
        )}
      </div>
    </Panel>
  );
}

const DIALECTS: Record<string, string> = {
  openai: "the fine-tuning API of OpenAI",
  bedrock: "Bedrock's API",
  tuneward: "the console, or POST /api/jobs",
};
