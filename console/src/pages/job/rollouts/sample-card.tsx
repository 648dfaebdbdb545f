import { count, number, reward } from "../../../lib/format";
import { Badge } from "../../../ui/badge";
import { CopyButton } from "../../../ui/copy";
import { ColoredText } from "./colored";
import type { Sample } from "./data";
import { ReceiptDetails } from "./receipt";
import { FoldedText } from "./text";

interface SampleCardProps {
  sample: Sample;
  /** Of the whole group, for the length of the bar. */
  largestAdvantage: number;
  isBest: boolean;
  isWorst: boolean;
}

/** One completion: its reward and what it is made of, its advantage, its text and its receipt. */
export function SampleCard({ sample, largestAdvantage, isBest, isWorst }: SampleCardProps) {
  const components = sample.components.filter((name) => name in sample.metrics);
  const others = Object.keys(sample.metrics).filter((name) => !components.includes(name));
  const label = `Completion ${sample.index + 1}`;
  return (
    <article class="rollouts-sample" aria-label={label}>
      <header class="row spread">
        <div class="row">
          <h3 class="rollouts-sample-title">#{sample.index + 1}</h3>
          <strong class="rollouts-reward num">{reward(sample.reward)}</strong>
          {isBest && <Badge tone="good">best</Badge>}
          {isWorst && <Badge>lowest</Badge>}
          {sample.receipt.verdict !== "ok" && <Badge tone="bad">grader: {sample.receipt.verdict}</Badge>}
          {sample.finish_reason === "length" && <Badge tone="warn">truncated</Badge>}
        </div>
        <CopyButton text={sample.text} />
      </header>
      <Advantage value={sample.advantage} largest={largestAdvantage} />
      {components.length + others.length > 0 && (
        <dl class="rollouts-components">
          {[...components, ...others].map((name) => (
            <div key={name} class={components.includes(name) ? "part" : ""}>
              <dt>{name.replaceAll("_", " ")}</dt>
              <dd class="num">{number(sample.metrics[name])}</dd>
            </div>
          ))}
        </dl>
      )}
      {sample.pieces ? <ColoredText sample={sample} label={label} /> : <FoldedText text={sample.text} label={label} />}
      {sample.receipt.verdict !== "ok" && sample.receipt.message && (
        <p class="rollouts-failure">{sample.receipt.message}</p>
      )}
      <div class="muted num rollouts-sample-facts">
        {count(sample.tokens)} tokens
        {sample.entropy !== null && ` · entropy ${number(sample.entropy)} nats/token`}
        {sample.logprob !== null &&
          sample.tokens > 0 &&
          ` · log-prob ${number(sample.logprob / sample.tokens)} per token`}
      </div>
      <ReceiptDetails sample={sample} />
    </article>
  );
}

/** How much better than its group, as a bar to either side of zero. */
function Advantage({ value, largest }: { value: number | null; largest: number }) {
  if (value === null)
    return <p class="muted rollouts-advantage-none">No advantage: nothing was learned from this step.</p>;
  const share = largest > 0 ? Math.min(1, Math.abs(value) / largest) : 0;
  return (
    <div class="rollouts-advantage">
      <span class="muted">Advantage</span>
      <svg viewBox="-100 0 200 10" preserveAspectRatio="none" aria-hidden="true">
        <rect
          x={value < 0 ? -100 * share : 0}
          width={100 * share}
          y="1"
          height="8"
          fill={value < 0 ? "var(--series-2)" : "var(--series-1)"}
        />
        <line
          x1="0"
          x2="0"
          y1="0"
          y2="10"
          stroke="var(--border-strong)"
          stroke-width="1"
          vector-effect="non-scaling-stroke"
        />
      </svg>
      <span class="num">{reward(value, { signed: true })}</span>
    </div>
  );
}
