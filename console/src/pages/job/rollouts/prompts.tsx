import { useEffect, useState } from "preact/hooks";
import { reward } from "../../../lib/format";
import type { Paged } from "../../../lib/paged";
import { setQuery } from "../../../lib/router";
import { useSettled } from "../../../lib/settled";
import { Badge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { SelectField, TextField } from "../../../ui/field";
import { Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { WindowedList } from "../../../ui/windowed";
import { FILTERS, type GroupCard, type ShownStep, SORTS } from "./data";
import { Dots } from "./dots";
import type { Place } from "./place";

interface PromptsProps {
  groups: Paged<GroupCard>;
  /** What is shown: while another step is fetched, still those of the one before, so that the keyboard stays here. */
  items: readonly GroupCard[];
  step: ShownStep | null;
  place: Place;
  selected: string | null;
}

const ROW_HEIGHT = 64;

/** The prompts of a step, each with how its completions were rewarded. */
export function Prompts({ groups, items, step, place, selected }: PromptsProps) {
  const [text, setText] = useState(place.text);
  const settled = useSettled(text);
  useEffect(() => {
    if (settled !== place.text) setQuery({ q: settled || null, row: null });
  }, [settled]);
  const index = items.findIndex((group) => group.row === selected);
  const isFiltered = Boolean(place.text || place.only);

  return (
    <section class="panel flush rollouts-prompts" aria-label="Prompts of this step">
      <div class="rollouts-filters">
        <TextField
          label="Search prompts and completions"
          hideLabel
          type="search"
          placeholder="Search prompts and completions"
          maxLength={200}
          value={text}
          onValue={setText}
        />
        <SelectField
          label="Order"
          hideLabel
          value={place.sort || "line"}
          options={SORTS}
          onValue={(value) => setQuery({ sort: value === "line" ? null : value, row: null })}
        />
        <SelectField
          label="Which prompts"
          hideLabel
          value={place.only}
          options={FILTERS}
          onValue={(value) => setQuery({ only: value || null, row: null })}
        />
      </div>
      {groups.error && (
        <div class="rollouts-inset">
          <ErrorNote error={groups.error} onRetry={groups.reload} />
        </div>
      )}
      {groups.isLoading && !items.length && (
        <div class="rollouts-inset">
          <Skeleton lines={8} label="Loading the prompts" />
        </div>
      )}
      {!groups.isLoading && !groups.error && !items.length && (
        <div class="rollouts-inset stack tight">
          <p class="muted">{isFiltered ? "No prompt of this step matches." : "This step has no prompts."}</p>
          {isFiltered && (
            <div>
              <Button
                size="small"
                onClick={() => {
                  setText("");
                  setQuery({ q: null, only: null });
                }}
              >
                Show all prompts
              </Button>
            </div>
          )}
        </div>
      )}
      {items.length > 0 && (
        <WindowedList
          label="Prompts; arrow up and down choose one, left and right go to other steps"
          count={items.length}
          rowHeight={ROW_HEIGHT}
          selected={index}
          onSelect={(chosen) => setQuery({ row: items[chosen]!.row, step: String(items[chosen]!.step) })}
          onEnd={groups.hasMore && !groups.isBusy ? groups.more : undefined}
        >
          {(place) => <Entry group={items[place]!} step={step} />}
        </WindowedList>
      )}
    </section>
  );
}

function Entry({ group, step }: { group: GroupCard; step: ShownStep | null }) {
  return (
    <div class="rollouts-prompt">
      <div class="truncate">{group.preview || group.row}</div>
      <div class="row rollouts-prompt-spread">
        <Dots rewards={group.rewards} low={step?.reward_min ?? 0} high={step?.reward_max ?? 1} />
        <strong class="num">{reward(group.reward_mean)}</strong>
        <span class="muted truncate rollouts-row-id">{group.line ? `line ${group.line}` : group.row}</span>
        {!group.is_mixed && <Badge>no signal</Badge>}
        {group.truncated > 0 && <Badge tone="warn">{group.truncated} cut</Badge>}
        {group.failed > 0 && <Badge tone="bad">{group.failed} failed</Badge>}
      </div>
    </div>
  );
}
