import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { ApiError, api } from "../../../lib/api";
import { navigate } from "../../../lib/router";
import { may } from "../../../lib/session";
import { tell } from "../../../lib/toast";
import { Badge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { TextField } from "../../../ui/field";
import { Panel } from "../../../ui/layout";
import { ErrorNote, Note } from "../../../ui/note";
import { type Draft, discardDraft, requestOf, type StepProps } from "../draft";
import { keyOf, preflight } from "../preflight/run";
import { placeOf, shownValue, titleOf, useSchema } from "../settings/schema";
import { SourceName } from "../source-name";
import { problemsOf, stepsOf } from "../steps";
import { CodePanel } from "./code-panel";
import { MetadataForm } from "./metadata-form";
import { nameProblem, outputProblem, suffixProblem } from "./names";
import "./review.css";

/** Everything once more, what the job is called, its code, and the button that starts it. */
export default function ReviewStep({ draft, update }: StepProps) {
  const open = stepsOf(draft.method)
    .filter((step) => step.id !== "review")
    .flatMap((step) => problemsOf(step.id, draft).map((problem) => ({ step, problem })));
  const own = problems(draft);
  return (
    <div class="stack">
      <Panel title="What is asked for" flush>
        <Overview draft={draft} />
      </Panel>
      <Panel title="Name and results">
        <div class="review-fields">
          <TextField
            label="Job name (optional)"
            hint="Unique in the project. Left empty, the job is called by its id."
            value={draft.name}
            onValue={(name) => update({ name })}
            problem={nameProblem(draft.name)}
            spellcheck={false}
          />
          <TextField
            label="Model suffix (optional)"
            hint="Part of the tuned model's name."
            value={draft.suffix}
            onValue={(suffix) => update({ suffix })}
            problem={suffixProblem(draft.suffix)}
            spellcheck={false}
          />
          <TextField
            label="Copy results to (optional)"
            hint="An address in object storage; metrics and the adapter are copied there at the end."
            value={draft.output_uri}
            onValue={(output_uri) => update({ output_uri })}
            problem={outputProblem(draft.output_uri)}
            placeholder="s3://bucket/prefix/"
            spellcheck={false}
          />
        </div>
        <MetadataForm metadata={draft.metadata} onMetadata={(metadata) => update({ metadata })} />
      </Panel>
      <CodePanel draft={draft} isComplete={open.length + own.length === 0} />
      <Start draft={draft} open={open} own={own} />
    </div>
  );
}

function Overview({ draft }: { draft: Draft }) {
  const { settings } = useSchema(draft.method);
  const standard = new Map(settings?.map((setting) => [setting.name, setting.default]));
  const changed = (["data", "lora", "training", "evaluation", "run"] as const).flatMap((section) =>
    Object.entries(draft.config[section] ?? {}).map(([field, value]) => ({ name: `${section}.${field}`, value })),
  );
  const reward = draft.config.reward;
  return (
    <dl class="review-rows">
      <Row title="Model" step="model">
        {draft.model ? <span class="mono">{draft.model}</span> : <Missing />}
        <div class="muted">{draft.method === "supervised" ? "Supervised fine-tuning" : "Reinforcement (GRPO)"}</div>
      </Row>
      <Row title="Data" step="data">
        {draft.training ? <SourceName source={draft.training} /> : <Missing />}
        <div class="muted">
          {draft.validation ? (
            <>
              Validation: <SourceName source={draft.validation} />
            </>
          ) : (
            "Validation: a share of the training rows is held out"
          )}
        </div>
      </Row>
      {draft.method === "reinforcement" && (
        <Row title="Reward" step="reward">
          {reward ? (
            <details>
              <summary>{Object.keys(reward).join(", ")}</summary>
              <pre class="verbatim">{JSON.stringify(reward, null, 2)}</pre>
            </details>
          ) : (
            <Missing />
          )}
        </Row>
      )}
      <Row title="Settings" step="settings">
        {changed.length ? (
          <ul>
            {changed.map(({ name, value }) => (
              <li key={name}>
                {titleOf(name)}: <strong class="num">{shownValue(value) || "automatic"}</strong>{" "}
                <span class="muted">
                  instead of {shownValue(standard.get(name)) || "automatic"} ({placeOf(name).join(".")})
                </span>
              </li>
            ))}
          </ul>
        ) : (
          "All defaults"
        )}
      </Row>
      {draft.method === "reinforcement" && (
        <Row title="Pre-flight" step="preflight" label="Open">
          <Checked draft={draft} />
        </Row>
      )}
    </dl>
  );
}

const VERDICTS = {
  go: { tone: "good", text: "ready to start" },
  caution: { tone: "warn", text: "read first" },
  stop: { tone: "bad", text: "in vain as it is" },
} as const;

function Checked({ draft }: { draft: Draft }) {
  const run = preflight.value;
  if (!run?.result) return <span class="muted">not run</span>;
  if (run.key !== keyOf(draft)) return <span class="muted">run before the last changes</span>;
  const { tone, text } = VERDICTS[run.result.verdict];
  return (
    <>
      <Badge tone={tone}>{text}</Badge> {run.result.headline}
    </>
  );
}

function Row(props: { title: string; step: string; label?: string; children: ComponentChildren }) {
  return (
    <div class="review-row">
      <dt>{props.title}</dt>
      <dd>{props.children}</dd>
      <dd>
        <a href={`/new/${props.step}`} aria-label={`${props.label ?? "Edit"} ${props.title.toLowerCase()}`}>
          {props.label ?? "Edit"}
        </a>
      </dd>
    </div>
  );
}

function Missing() {
  return <span class="field-problem">not chosen</span>;
}

interface StartProps {
  draft: Draft;
  open: { step: { id: string; title: string }; problem: string }[];
  own: string[];
}

function Start({ draft, open, own }: StartProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  // One key for one draft: a request whose answer was lost, sent again, does not make a second job.
  const key = useRef({ body: "", value: "" });
  const verdict = preflight.value?.key === keyOf(draft) ? preflight.value.result?.verdict : undefined;
  const isDeveloper = may("developer");

  async function startJob(): Promise<void> {
    const body = JSON.stringify(requestOf(draft));
    if (key.current.body !== body)
      key.current = { body, value: crypto.randomUUID?.() ?? `${Date.now()}${Math.random()}` };
    setBusy(true);
    setError(undefined);
    try {
      const job = await api.post<{ id: string; name: string }>("/api/jobs", JSON.parse(body), {
        headers: { "idempotency-key": key.current.value },
      });
      discardDraft();
      tell(`Started ${job.name}.`, "good");
      navigate(`/jobs/${encodeURIComponent(job.id)}`);
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
      setBusy(false);
    }
  }

  return (
    <div class="stack tight">
      {!isDeveloper && <Note tone="warn">Your key may only read; jobs are started with a developer's key.</Note>}
      {open.length + own.length > 0 && (
        <div id="review-open">
          <Note tone="warn" title="Before it can start">
            <ul>
              {open.map(({ step, problem }) => (
                <li key={step.id + problem}>
                  <a href={`/new/${step.id}`}>{step.title}</a>: {problem}
                </li>
              ))}
              {own.map((problem) => (
                <li key={problem}>{problem}</li>
              ))}
            </ul>
          </Note>
        </div>
      )}
      {error && <ErrorNote title="The job was not started" error={error} />}
      <div class="row">
        <Button
          kind="primary"
          busy={busy}
          disabled={!isDeveloper || open.length + own.length > 0}
          aria-describedby={open.length + own.length ? "review-open" : undefined}
          onClick={startJob}
        >
          {verdict === "stop" || verdict === "caution" ? "Start anyway" : "Start job"}
        </Button>
        {verdict === "stop" && <span class="field-problem">The pre-flight says that training would be in vain.</span>}
        {verdict === "caution" && <span class="muted">The pre-flight has advice to read first.</span>}
      </div>
    </div>
  );
}

/** What is wrong in this step itself. */
export function problems(draft: Draft): string[] {
  const found: [string, string | null][] = [
    ["Job name", nameProblem(draft.name)],
    ["Model suffix", suffixProblem(draft.suffix)],
    ["Copy results to", outputProblem(draft.output_uri)],
  ];
  return found.flatMap(([field, problem]) => (problem ? [`${field}: ${problem}`] : []));
}
