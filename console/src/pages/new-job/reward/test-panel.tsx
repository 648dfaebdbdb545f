import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../../lib/api";
import type { Reward, RewardTest, RewardTestRequest, TestSample } from "../../../lib/rewards";
import { testReward } from "../../../lib/rewards";
import { may } from "../../../lib/session";
import { Button } from "../../../ui/button";
import { Check, NumberField, TextArea } from "../../../ui/field";
import { Panel, Skeleton } from "../../../ui/layout";
import { ErrorNote, Note } from "../../../ui/note";
import { RewardChecks } from "../../../ui/reward-checks";
import { RewardSamples } from "../../../ui/reward-samples";
import type { Source } from "../draft";
import { codeDrafts, codeOf } from "./code-draft";
import { kindOf, rewardProblems, TOP, withGrader } from "./kinds";
import { joined, sampleAnswers } from "./sampling";
import { codeProblems, problemsIn } from "./test-problems";

interface TestPanelProps {
  reward: Reward;
  source: Source | null;
  model: string;
}

/** Grades sample answers, and puts the reward through the bench. */
export function TestPanel({ reward, source, model }: TestPanelProps) {
  const [count, setCount] = useState<number | null>(4);
  const [withReference, setReference] = useState(true);
  const [withEmpty, setEmpty] = useState(true);
  const [withSampled, setSampled] = useState(false);
  const [own, setOwn] = useState("");
  const [prompt, setPrompt] = useState("");
  const [answer, setAnswer] = useState("");
  const [state, setState] = useState<{ test?: RewardTest; error?: ApiError; busy?: string }>({});
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const top = codeDrafts.value[TOP];
  const isCode = kindOf(reward, top) === "code";
  const isJudge = reward.judge !== undefined;
  // Code at the top is tried as it stands in the editor; everything else as it would be saved.
  const problems = rewardProblems(
    reward,
    isCode && top
      ? { ...codeDrafts.value, [TOP]: { ...top, saved: { reference: "", text: top.text } } }
      : codeDrafts.value,
  );

  function body(checks: RewardTestRequest["checks"]): RewardTestRequest {
    const rows = source
      ? { source, row_count: count ?? 4 }
      : { rows: [{ messages: [{ role: "user", content: prompt }], ...(answer && { reference_answer: answer }) }] };
    const tried = isCode ? { reward: withGrader(reward, {}), code: codeOf(TOP).text } : { reward };
    return {
      ...tried,
      ...rows,
      answers: [...(withReference ? (["reference"] as const) : []), ...(withEmpty ? (["empty"] as const) : [])],
      texts: own ? [own] : [],
      ...(checks ? { checks } : {}),
    };
  }

  async function run(checks: "quick" | "all"): Promise<void> {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setState({ busy: checks === "all" ? "Scoring, with all checks…" : "Scoring…" });
    try {
      const wanted = body(checks);
      let test = await testReward(wanted, abort.signal);
      if (withSampled && model && !test.problem) {
        setState({ test, busy: "Sampling answers of the base model…" });
        const sampled = await sampleAnswers(
          model,
          test.rows,
          (done, of) => setState({ test, busy: `Sampling answers of the base model: row ${done + 1} of ${of}…` }),
          abort.signal,
        );
        if (sampled.length) {
          const { source: _source, row_count: _count, answers: _answers, texts: _texts, ...rest } = wanted;
          const second = await testReward(
            {
              ...rest,
              rows: sampled.map((one) => one.row),
              completions: sampled.map((one) => one.answers),
              checks: "none",
            },
            abort.signal,
          );
          test = joined(test, second);
        }
      }
      setState({ test });
      codeProblems.value = { ...codeProblems.value, [TOP]: isCode ? problemsIn(test) : [] };
    } catch (caught) {
      if (abort.signal.aborted) return;
      const error = caught instanceof ApiError ? caught : new ApiError(String(caught), -1);
      setState(({ test }) => (test ? { test, error } : { error }));
    }
  }

  const texts = { own, model };
  const canRun = may("developer") && problems.length === 0 && (source !== null || prompt !== "");
  return (
    <Panel title="Test">
      <div class="stack">
        {source ? (
          <p class="muted">The first rows of your data are answered in the ways that you choose, and scored.</p>
        ) : (
          <div class="grid" style={{ "--column": "18rem" }}>
            <TextArea
              label="Prompt"
              rows={3}
              value={prompt}
              onValue={setPrompt}
              hint="Or choose training data first."
            />
            <TextArea label="Reference answer" rows={3} value={answer} onValue={setAnswer} />
          </div>
        )}
        <div class="grid" style={{ "--column": "15rem" }}>
          {source && (
            <NumberField label="Rows" value={count} onValue={setCount} min={1} max={16} step={1} hint="1 to 16." />
          )}
          <TextArea
            label="A text of your own, for each row"
            rows={2}
            value={own}
            onValue={setOwn}
            placeholder="Something that should earn nothing, or everything"
          />
        </div>
        <fieldset>
          <legend>Answers that are scored</legend>
          <div class="row" style={{ gap: "var(--space-4)" }}>
            <Check label="the reference answer" checked={withReference} onChecked={setReference} />
            <Check label="an empty answer" checked={withEmpty} onChecked={setEmpty} />
            <Check
              label={
                model ? "two answers of the base model, for 4 rows" : "answers of the base model (choose one first)"
              }
              checked={withSampled && Boolean(model)}
              disabled={!model}
              onChecked={setSampled}
            />
          </div>
        </fieldset>
        <div class="row">
          <Button kind="primary" disabled={!canRun} busy={state.busy !== undefined} onClick={() => run("quick")}>
            Test
          </Button>
          <Button disabled={!canRun || state.busy !== undefined} onClick={() => run("all")}>
            Test with all checks
          </Button>
          <span class="muted" role="status">
            {state.busy ?? (problems.length ? problems[0] : isJudge ? "A judge is asked some dozen times." : "")}
          </span>
        </div>
        {state.error && (
          <ErrorNote error={state.error} title="The reward could not be tested" onRetry={() => run("quick")} />
        )}
        {state.busy && !state.test && <Skeleton lines={4} label="Scoring answers" />}
        <div aria-live="polite" class="stack">
          {state.test && <Result test={state.test} kindOf={(sample) => kindOfAnswer(sample, state.test!, texts)} />}
        </div>
      </div>
    </Panel>
  );
}

function Result({ test, kindOf }: { test: RewardTest; kindOf: (sample: TestSample) => string }) {
  const scored = test.samples.filter((sample) => sample.reward !== null).map((sample) => sample.reward!);
  const isConstant = scored.length > 2 && scored.every((value) => value === scored[0]);
  return (
    <>
      {test.problem && (
        <Note tone="bad" title={test.grader ? "The test is not complete" : "The reward cannot be used as it is"}>
          <span class="mono">{test.problem}</span>
        </Note>
      )}
      {isConstant && (
        <Note tone="warn" title="Every answer here earned the same">
          <span>
            A group without differing rewards teaches nothing. Check that the reward tells these answers apart.
          </span>
        </Note>
      )}
      {test.samples.length > 0 && <RewardSamples test={test} kindOf={kindOf} />}
      {test.report && <RewardChecks report={test.report} />}
    </>
  );
}

function kindOfAnswer(sample: TestSample, test: RewardTest, texts: { own: string; model: string }): string {
  if (sample.completion === "") return "empty";
  if (sample.completion === test.rows[sample.row]?.reference_answer) return "reference";
  return sample.completion === texts.own ? "your text" : "sampled";
}
