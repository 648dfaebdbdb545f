import { useState } from "preact/hooks";
import { ApiError } from "../../lib/api";
import { useResource } from "../../lib/resource";
import { getJudges, type Judge, type RewardTest, testReward } from "../../lib/rewards";
import { may } from "../../lib/session";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { TextArea } from "../../ui/field";
import { Panel, Skeleton } from "../../ui/layout";
import { ErrorNote, Note } from "../../ui/note";
import { RewardSamples } from "../../ui/reward-samples";
import { JudgeFields } from "../new-job/reward/judge-form";
import { FIRST_JUDGE, judgeProblems } from "../new-job/reward/kinds";

/** Models that can judge, the rubrics, and a judgement to try. */
export function Judges() {
  const [judge, setJudge] = useState<Judge>(FIRST_JUDGE);
  return (
    <div class="stack">
      <Models />
      <Panel title="Try a judgement">
        <div class="stack">
          <p class="muted">
            Choose a model and a rubric, edit its text, and see what it makes of an answer. Nothing here is kept; copy a
            text that you like into the reward of a job.
          </p>
          <JudgeFields judge={judge} onJudge={setJudge} />
          <Trial judge={judge} />
        </div>
      </Panel>
    </div>
  );
}

function Models() {
  const judges = useResource("judges", getJudges);
  return (
    <Panel title="Models that can judge">
      {judges.error && <ErrorNote error={judges.error} onRetry={judges.reload} />}
      {judges.isLoading && <Skeleton lines={2} label="Loading models" />}
      {judges.data && (
        <div class="stack tight">
          <p class="muted">
            Judges are asked at {judges.data.place}, {judges.data.concurrency} calls at once, each for at most{" "}
            {judges.data.timeout_s} s. The operator sets this as <code>judges</code> in the server's configuration.
          </p>
          <ul class="row" aria-label="Models">
            {judges.data.data.map((one) => (
              <li key={one.name}>
                <Badge tone="accent">{one.name}</Badge>
              </li>
            ))}
            {judges.data.takes_any_name && <li class="muted">any other name is passed on as it is</li>}
            {!judges.data.data.length && !judges.data.takes_any_name && <li class="muted">none</li>}
          </ul>
        </div>
      )}
    </Panel>
  );
}

function Trial({ judge }: { judge: Judge }) {
  const [prompt, setPrompt] = useState("Name three rivers of Asia, one per line.");
  const [response, setResponse] = useState("");
  const [reference, setReference] = useState("");
  const [test, setTest] = useState<RewardTest>();
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const problem = judgeProblems(judge)[0] ?? (response ? null : "Write an answer to be judged.");

  async function run(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      const row = {
        messages: [{ role: "user", content: prompt }],
        ...(reference ? { reference_answer: reference } : {}),
      };
      setTest(await testReward({ reward: { judge }, rows: [row], completions: [[response]], checks: "none" }));
    } catch (caught) {
      setTest(undefined);
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    } finally {
      setBusy(false);
    }
  }

  const reasons = test?.samples[0]?.details.reasoning;
  return (
    <div class="stack">
      <div class="grid" style={{ "--column": "18rem" }}>
        <TextArea label="Prompt" rows={4} value={prompt} onValue={setPrompt} />
        <TextArea label="Answer to be judged" rows={4} value={response} onValue={setResponse} />
        <TextArea label="Reference answer, if the rubric uses one" rows={4} value={reference} onValue={setReference} />
      </div>
      <div class="row">
        <Button kind="primary" busy={isBusy} disabled={problem !== null || !prompt || !may("developer")} onClick={run}>
          Judge
        </Button>
        <span class="muted" role="status">
          {isBusy ? "The judge is reading…" : problem}
        </span>
      </div>
      {error && <ErrorNote error={error} title="The answer could not be judged" onRetry={run} />}
      <div class="stack" aria-live="polite">
        {test?.problem && <Note tone="bad">{test.problem}</Note>}
        {typeof reasons === "string" && <p class="verbatim">{reasons}</p>}
        {test && test.samples.length > 0 && <RewardSamples test={test} label="Judgement" />}
      </div>
    </div>
  );
}
