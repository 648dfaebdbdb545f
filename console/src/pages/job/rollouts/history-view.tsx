import { useState } from "preact/hooks";
import { plural, reward } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { Badge } from "../../../ui/badge";
import { SelectField } from "../../../ui/field";
import { Skeleton, TableRegion } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { Changes } from "./changes";
import { Curve } from "./curve";
import type { HistoryEntry, Rollouts } from "./data";
import { Dots } from "./dots";

interface HistoryProps {
  source: Rollouts;
  row: string;
  /** The step that is looked at. */
  step: number;
}

/** How one prompt was answered from step to step, and what changed between two of them. */
export function HistoryView({ source, row, step }: HistoryProps) {
  const found = useResource(`history ${row} ${step}`, (signal) => source.history(row, signal));
  if (found.error) return <ErrorNote error={found.error} onRetry={found.reload} />;
  if (!found.data) return <Skeleton lines={6} label="Loading earlier answers" />;
  const entries = found.data.data;
  if (entries.length < 2)
    return (
      <p class="muted">
        This prompt was sampled in one step only. It comes again in every further epoch; more epochs give it a history.
      </p>
    );
  const rewards = entries.flatMap((entry) => [entry.reward_min, entry.reward_max]).filter((value) => value !== null);
  const low = Math.min(...rewards);
  const high = Math.max(...rewards);
  return (
    <div class="stack">
      <Curve points={entries} marked={[step]} label="Mean reward of this prompt" hasBand />
      <TableRegion label="This prompt step by step">
        <table class="table rollouts-history">
          <thead>
            <tr>
              <th scope="col">Step</th>
              <th scope="col" class="end">
                Mean
              </th>
              <th scope="col">Rewards</th>
              <th scope="col">Best answer</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => (
              <tr key={entry.step}>
                <td class="nowrap num">
                  <a
                    href={`?step=${entry.step}&row=${encodeURIComponent(row)}`}
                    aria-current={entry.step === step ? "true" : undefined}
                  >
                    {entry.step === 0 ? "base model" : entry.step}
                  </a>
                </td>
                <td class="end num">{reward(entry.reward_mean)}</td>
                <td>
                  <Dots rewards={entry.rewards} low={low} high={high} />
                </td>
                <td class="rollouts-answer">
                  {entry.best ? entry.best.text.slice(0, 200) : <span class="muted">not scored</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableRegion>
      {found.data.next !== null && <p class="muted">The first {plural(entries.length, "step")} are shown.</p>}
      <Comparison entries={entries} step={step} />
    </div>
  );
}

function Comparison({ entries, step }: { entries: readonly HistoryEntry[]; step: number }) {
  const [from, setFrom] = useState(entries[0]!.step);
  const [to, setTo] = useState(entries[0]!.step === step ? entries[entries.length - 1]!.step : step);
  const [which, setWhich] = useState<"best" | "worst">("best");
  const options = entries.map((entry) => ({
    value: String(entry.step),
    label: entry.step === 0 ? "Base model" : `Step ${entry.step}`,
  }));
  const before = entries.find((entry) => entry.step === from)?.[which];
  const after = entries.find((entry) => entry.step === to)?.[which];
  return (
    <section class="stack tight" aria-label="What changed between two steps">
      <h3>What changed</h3>
      <div class="rollouts-choices">
        <SelectField label="From" value={String(from)} options={options} onValue={(value) => setFrom(Number(value))} />
        <SelectField label="To" value={String(to)} options={options} onValue={(value) => setTo(Number(value))} />
        <SelectField
          label="Which answer"
          value={which}
          options={[
            { value: "best", label: "Highest reward" },
            { value: "worst", label: "Lowest reward" },
          ]}
          onValue={(value) => setWhich(value as "best" | "worst")}
        />
      </div>
      {before && after ? (
        <>
          <div class="row num">
            <Badge>{reward(before.reward)}</Badge>→<Badge tone="accent">{reward(after.reward)}</Badge>
            <span class="muted">
              {plural(before.tokens, "token")} → {plural(after.tokens, "token")}
            </span>
          </div>
          {before.text === after.text ? (
            <p class="muted">The two answers are the same.</p>
          ) : (
            <Changes before={before.text} after={after.text} label="Changes" />
          )}
        </>
      ) : (
        <p class="muted">One of the two has no graded answer.</p>
      )}
    </section>
  );
}
