import { useState } from "preact/hooks";
import { count, plural, reward } from "../../../lib/format";
import { usePaged } from "../../../lib/paged";
import { setQuery } from "../../../lib/router";
import { Badge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { Check } from "../../../ui/field";
import { Empty, Skeleton } from "../../../ui/layout";
import { ErrorNote, Note } from "../../../ui/note";
import { LoadMore } from "../../../ui/paging";
import { AskedView } from "./asked";
import { TokenLegend } from "./colored";
import type { Group, Rollouts, Sample } from "./data";
import { HistoryView } from "./history-view";
import { SampleCard } from "./sample-card";

interface GroupViewProps {
  source: Rollouts;
  step: number;
  row: string;
}

/** A group: what was asked, its completions side by side, and how the prompt was answered in other steps. */
export function GroupView({ source, step, row }: GroupViewProps) {
  const [hasColors, setColors] = useState(() => localStorage.getItem(COLORS) === "on");
  const [isHistory, setHistory] = useState(false);
  const [group, setGroup] = useState<Group>();
  const samples = usePaged<Sample, number>(`${step} ${row} ${hasColors}`, async (after, signal) => {
    const found = await source.group(step, row, hasColors, after ?? 0, signal);
    setGroup(found);
    return found;
  });

  if (samples.error?.status === 404) {
    return (
      <Empty
        title="This prompt was not sampled in this step"
        action={<Button onClick={() => setQuery({ row: null })}>Show the step's first prompt</Button>}
      >
        <p>Each epoch visits every prompt once; other steps may have it.</p>
      </Empty>
    );
  }
  if (samples.error) return <ErrorNote error={samples.error} onRetry={samples.reload} />;
  if (!group || group.row !== row || group.step !== step) return <Skeleton lines={10} label="Loading the group" />;

  const rewards = group.rewards.filter((value) => value !== null);
  const best = Math.max(...rewards);
  const worst = Math.min(...rewards);
  const largest = Math.max(...samples.items.map((sample) => Math.abs(sample.advantage ?? 0)));
  return (
    <div class="stack">
      <section class="panel" aria-label="Prompt">
        <header>
          <h2 class="truncate">{group.row}</h2>
          <div class="row">
            {group.line > 0 && <span class="muted">line {count(group.line)}</span>}
            <span class="num">
              mean <strong>{reward(group.reward_mean)}</strong>
              {group.reward_std !== null && <span class="muted"> ± {reward(group.reward_std)}</span>}
            </span>
          </div>
        </header>
        <AskedView asked={group.prompt} />
      </section>

      <div class="row spread">
        <div class="rollouts-switch" role="group" aria-label="What to show of this prompt">
          <button type="button" aria-pressed={!isHistory} onClick={() => setHistory(false)}>
            {plural(group.samples, "completion")}
          </button>
          <button type="button" aria-pressed={isHistory} onClick={() => setHistory(true)}>
            Other steps
          </button>
        </div>
        {!isHistory && (
          <Check
            label="Colour tokens by probability"
            checked={hasColors}
            onChecked={(on) => {
              localStorage.setItem(COLORS, on ? "on" : "off");
              setColors(on);
            }}
          />
        )}
      </div>

      {isHistory ? (
        <section class="panel" aria-label="This prompt in other steps">
          <HistoryView source={source} row={row} step={step} />
        </section>
      ) : (
        <>
          {!group.is_mixed && (
            <Note title="No signal">
              All rewards of this group are the same, so no completion is better than the others and nothing is learned
              from it.
            </Note>
          )}
          {hasColors && <TokenLegend />}
          <div class="rollouts-samples">
            {samples.items.map((sample) => (
              <SampleCard
                key={sample.index}
                sample={sample}
                largestAdvantage={largest}
                isBest={group.is_mixed && sample.reward === best}
                isWorst={group.is_mixed && sample.reward === worst}
              />
            ))}
          </div>
          {samples.isLoading && <Skeleton lines={8} label="Loading the completions" />}
          <LoadMore hasMore={samples.hasMore} busy={samples.isBusy} onMore={samples.more} />
        </>
      )}
      {group.failed > 0 && rewards.length === 0 && (
        <Badge tone="bad">The grader failed on every completion of this group.</Badge>
      )}
    </div>
  );
}

const COLORS = "tuneward.token-colours";
