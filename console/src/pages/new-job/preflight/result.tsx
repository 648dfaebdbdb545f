import { count, duration, number, percent, plural, reward } from "../../../lib/format";
import { Badge } from "../../../ui/badge";
import { Panel } from "../../../ui/layout";
import { Note } from "../../../ui/note";
import { Prose } from "../../../ui/prose";
import { RewardChecks } from "../../../ui/reward-checks";
import { Receipt } from "../../../ui/reward-samples";
import { Histogram } from "../../../ui/small-charts";
import type { ExamplePrompt, Failure, Result } from "./run";

const TONES = { go: "good", caution: "warn", stop: "bad" } as const;
const SEVERITIES = { info: undefined, warning: "warn", stop: "bad" } as const;

/** What the pre-flight found: its verdict in words, the numbers, and the answers themselves. */
export function ResultView({ result }: { result: Result }) {
  return (
    <div class="stack">
      <section class={`preflight-verdict ${TONES[result.verdict]}`} aria-label="Verdict">
        <h3>{result.headline}</h3>
        {result.verdict === "caution" && <p>You can start all the same; what is said below will limit the result.</p>}
        {result.verdict === "stop" && (
          <p>You can go on anyway, but expect a job that learns nothing, or that stops with what is said below.</p>
        )}
      </section>
      {result.advice.map((one) => (
        <Note key={one.code} tone={SEVERITIES[one.severity]} title={one.message}>
          <span>
            <Prose text={one.action} />
          </span>
        </Note>
      ))}
      <Panel title="Rewards before training">
        <Figures result={result} />
        {result.histogram.length > 1 ? (
          <Histogram
            label="Rewards of the completions"
            bins={result.histogram.map((bin) => ({ from: bin.low, to: bin.high, count: bin.count }))}
          />
        ) : result.histogram.length === 1 ? (
          <p class="muted">
            All {count(result.scored)} completions earned {reward(result.histogram[0]?.low)}.
          </p>
        ) : (
          <p class="muted">No completion was scored.</p>
        )}
      </Panel>
      {result.failures.length > 0 && <Failures failures={result.failures} failed={result.failed} />}
      <Panel title="Answers of the model">
        <div class="stack tight">
          {result.examples.map((example, index) => (
            <Example key={example.row_id} example={example} isOpen={index === 0} />
          ))}
        </div>
      </Panel>
      {result.report && (
        <Panel title="Checks of the reward">
          <RewardChecks report={result.report} />
        </Panel>
      )}
    </div>
  );
}

function Figures({ result }: { result: Result }) {
  const figures: [string, string, string][] = [
    ["Mean reward", reward(result.reward_mean), `± ${reward(result.reward_std)} between completions`],
    ["Prompts with differing rewards", percent(result.mixed_groups_share, 0), "what can be learned from"],
    ["Exact successes", percent(result.exact_share, 0), `of ${plural(result.scored, "completion")}`],
    ["Truncated", percent(result.truncated_share, 0), "hit the length limit"],
    [
      "Grader",
      result.grading_p50_ms === null ? "–" : `${number(result.grading_p50_ms)} ms`,
      result.failed ? `${plural(result.failed, "failure")}` : `p95 ${number(result.grading_p95_ms)} ms`,
    ],
    [
      "Answering and scoring",
      duration(result.sampling_s),
      `${plural(result.prompts, "prompt")}${result.too_long ? `, ${result.too_long} too long` : ""}`,
    ],
  ];
  return (
    <dl class="preflight-figures">
      {figures.map(([name, value, note]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
          <dd class="muted">{note}</dd>
        </div>
      ))}
    </dl>
  );
}

function Example({ example, isOpen }: { example: ExamplePrompt; isOpen: boolean }) {
  return (
    <details open={isOpen} class="preflight-example">
      <summary>
        <span class="truncate">{example.prompt || "(no text)"}</span>
        <span class="row">
          {example.completions.map((one, index) => (
            <Badge key={index} tone={one.reward === null ? "bad" : undefined}>
              {one.reward === null ? "failed" : reward(one.reward)}
            </Badge>
          ))}
        </span>
      </summary>
      <div class="stack tight">
        <dl class="facts">
          <dt>Prompt</dt>
          <dd class="preflight-text">{example.prompt}</dd>
          {example.reference_answer !== null && (
            <>
              <dt>Reference</dt>
              <dd class="preflight-text">{example.reference_answer}</dd>
            </>
          )}
        </dl>
        <ol class="preflight-completions">
          {example.completions.map((one, index) => (
            <li key={index} class="stack tight">
              <div class="row">
                {one.reward === null ? (
                  <Badge tone="bad">failed</Badge>
                ) : (
                  <Badge tone="accent">{reward(one.reward)}</Badge>
                )}
                {one.is_truncated && <Badge tone="warn">truncated</Badge>}
              </div>
              <div class="preflight-text">{one.text || <span class="muted">nothing</span>}</div>
              {one.problem && <div class="field-problem">{one.problem}</div>}
            </li>
          ))}
        </ol>
      </div>
    </details>
  );
}

function Failures({ failures, failed }: { failures: Failure[]; failed: number }) {
  return (
    <Panel title={`Failures of the reward: ${count(failed)}`}>
      <div class="stack tight">
        {failures.map((failure, index) => (
          <details key={index}>
            <summary>
              <Badge tone="bad">{failure.verdict}</Badge> {failure.message || `Row ${failure.row_id}`}
            </summary>
            <div class="stack tight">
              <p class="muted">
                Row {failure.row_id}, completion: {failure.completion ? <code>{failure.completion}</code> : "nothing"}
              </p>
              <Receipt receipt={failure.receipt} />
            </div>
          </details>
        ))}
        {failed > failures.length && <p class="muted">The first {failures.length} are shown.</p>}
      </div>
    </Panel>
  );
}
