import { ApiError, api } from "../../../lib/api";
import { bytes, count, number, percent, plural } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { Badge } from "../../../ui/badge";
import { CopyButton } from "../../../ui/copy";
import { Empty, Panel, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { Histogram } from "../../../ui/small-charts";
import type { JobDetail, SourceCard } from "../detail";
import { apiPath } from "../links";
import { useReloadOn } from "../reload";
import type { TabProps } from "../tab";
import { Problems } from "./problems";
import type { DataReport, FileRows } from "./report";
import "../details.css";

/** What the check of the job's rows found. */
export default function Data({ job, pulse }: TabProps) {
  const report = useResource<DataReport | null>(job.id, async (signal) => {
    try {
      return await api.get<DataReport>(apiPath(job.id, "/data"), { signal });
    } catch (error) {
      if (error instanceof ApiError && error.code === "not_checked") return null;
      throw error;
    }
  });
  useReloadOn(pulse, report.reload);
  return (
    <div class="stack">
      <Sources job={job} />
      {report.error && <ErrorNote error={report.error} onRetry={report.reload} />}
      {report.isLoading && <Skeleton lines={6} label="Loading the data report" />}
      {report.data === null && <NotChecked job={job} />}
      {report.data && <Report job={job} report={report.data} />}
    </div>
  );
}

function NotChecked({ job }: { job: JobDetail }) {
  const isWaiting = job.state === "validating";
  return (
    <Empty title={isWaiting ? "The rows are being checked" : "The rows were not checked"}>
      <p>
        {isWaiting
          ? "Counts, lengths and problems appear here as soon as a worker has read all rows."
          : "The job ended before a worker had read its rows. Clone it to try again."}
      </p>
    </Empty>
  );
}

function Report({ job, report }: { job: JobDetail; report: DataReport }) {
  return (
    <>
      <div class="grid" style={{ "--column": "24rem" }}>
        <Rows title="Training rows" rows={report.train} limit={report.max_prompt_length} method={job.method} />
        {report.validation ? (
          <Rows
            title="Validation rows"
            rows={report.validation}
            limit={report.max_prompt_length}
            method={job.method}
            leaks={report.leaks + report.near_leaks}
          />
        ) : (
          <HeldOut report={report} />
        )}
      </div>
      <Problems jobId={job.id} report={report} />
    </>
  );
}

function HeldOut({ report }: { report: DataReport }) {
  const split = report.split;
  return (
    <Panel title="Validation rows">
      <div class="stack tight">
        <p>
          There is no validation file, so a share of the training rows is held out: chosen by the seed, and whole
          prompts only, so that no prompt is on both sides.
        </p>
        {split ? (
          <dl class="facts">
            <dt>Trained on</dt>
            <dd class="num">{plural(split.training, "row")}</dd>
            <dt>Held out</dt>
            <dd class="num">
              {plural(split.validation, "row")} ({percent(split.validation / (split.training + split.validation || 1))})
            </dd>
          </dl>
        ) : (
          <p class="muted">How many, is known when training begins.</p>
        )}
      </div>
    </Panel>
  );
}

interface RowsProps {
  title: string;
  rows: FileRows;
  limit: number;
  method: JobDetail["method"];
  leaks?: number;
}

function Rows({ title, rows, limit, method, leaks }: RowsProps) {
  const lengths = rows.prompt_tokens;
  const noun = method === "supervised" ? "conversation" : "prompt";
  return (
    <Panel
      title={title}
      actions={
        rows.bad_lines ? (
          <Badge tone="bad">{plural(rows.bad_lines, "bad line")}</Badge>
        ) : (
          <Badge tone="good">no errors</Badge>
        )
      }
    >
      <div class="stack">
        <dl class="facts">
          <dt>Usable</dt>
          <dd class="num">{plural(rows.usable, "row")}</dd>
          <Fact name="Too long" value={rows.too_long} hint={`more than ${count(limit)} tokens; left out`} />
          <Fact name="Repeated" value={rows.duplicates} hint={`the ${noun} stands in an earlier row`} />
          <Fact name="Contradicting" value={rows.conflicts} hint="repeated with another reference answer" />
          {leaks !== undefined && <Fact name="Leaked" value={leaks} hint="also among the training rows" />}
          {method === "reinforcement" && (
            <Fact name="No reference" value={rows.without_reference} hint="fine if the reward needs none" />
          )}
        </dl>
        {lengths && (
          <div class="stack tight">
            <h3>Length of {noun}s</h3>
            <Histogram
              label={`Length of ${noun}s`}
              unit="tokens"
              bins={lengths.histogram.map((bin) => ({ from: bin.from, to: bin.to + 1, count: bin.prompts }))}
              mark={lengths.max > limit / 2 ? { at: limit, label: `limit ${count(limit)}` } : undefined}
            />
            <p class="muted num">
              Shortest {count(lengths.min)}, median {count(lengths.p50)}, mean {number(lengths.mean)}, 95th percentile{" "}
              {count(lengths.p95)}, longest {count(lengths.max)} tokens; limit {count(limit)}.
            </p>
          </div>
        )}
      </div>
    </Panel>
  );
}

function Fact({ name, value, hint }: { name: string; value: number; hint: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd class={value ? "num" : "num muted"}>
        {count(value)}
        {value > 0 && <span class="muted"> – {hint}</span>}
      </dd>
    </>
  );
}

const KINDS: Record<SourceCard["kind"], string> = { file: "uploaded file", uri: "object", logs: "invocation logs" };

function Sources({ job }: { job: JobDetail }) {
  return (
    <Panel title="Sources">
      <dl class="facts">
        <dt>Training</dt>
        <dd>
          <Source source={job.training} />
        </dd>
        <dt>Validation</dt>
        <dd>
          {job.validation_sources.length
            ? job.validation_sources.map((source) => <Source key={source.name} source={source} />)
            : "held out of the training rows"}
        </dd>
      </dl>
    </Panel>
  );
}

function Source({ source }: { source: SourceCard }) {
  return (
    <div class="row">
      {source.filename && <span>{source.filename}</span>}
      <span class="mono job-break">{source.name}</span>
      <Badge>{KINDS[source.kind]}</Badge>
      {source.bytes !== null && <span class="muted num">{bytes(source.bytes)}</span>}
      {source.kind === "file" && source.filename === null && <Badge tone="warn">deleted since</Badge>}
      {source.filters && <code>{JSON.stringify(source.filters)}</code>}
      <CopyButton text={source.name} />
    </div>
  );
}
