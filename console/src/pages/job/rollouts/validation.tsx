import { useState } from "preact/hooks";
import { count, plural, reward } from "../../../lib/format";
import { usePaged } from "../../../lib/paged";
import { setQuery } from "../../../lib/router";
import { useSettled } from "../../../lib/settled";
import { Badge } from "../../../ui/badge";
import { SelectField, TextField } from "../../../ui/field";
import { Empty, Panel, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { LoadMore } from "../../../ui/paging";
import { AskedView } from "./asked";
import { Changes } from "./changes";
import type { Evaluations, Rollouts, ValidationAnswer, ValidationRow } from "./data";
import type { Place } from "./place";
import { FoldedText } from "./text";

const ORDERS = [
  { value: "loss", label: "Lost most first" },
  { value: "gain", label: "Gained most first" },
  { value: "line", label: "Line in the file" },
  { value: "reward", label: "Highest reward" },
  { value: "lowest", label: "Lowest reward" },
] as const;

/** Validation rows: how they were answered at a step, beside the base model or another step. */
export function ValidationView({ source, place, pulse }: { source: Rollouts; place: Place; pulse: number }) {
  const sort = ORDERS.some((order) => order.value === place.sort) ? place.sort : "loss";
  const [text, setText] = useState("");
  const needle = useSettled(text);
  const [whole, setWhole] = useState<Evaluations>();
  const isNewest = place.step === null;
  const key = `${place.step} ${place.against} ${sort} ${needle} ${isNewest ? pulse : ""}`;
  const rows = usePaged<ValidationRow, number>(key, async (after, signal) => {
    const choice = { step: place.step, against: place.against, sort, search: needle };
    const page = await source.evaluations(choice, after ?? 0, signal);
    setWhole(page);
    return page;
  });

  if (rows.error && !rows.items.length) return <ErrorNote error={rows.error} onRetry={rows.reload} />;
  if (!whole) return <Skeleton lines={8} label="Loading the validation answers" />;
  if (whole.step === null) {
    return (
      <Empty title="No validation answers yet">
        <p>
          The base model is evaluated before the first step. Its answers appear here, and later the tuned ones beside
          them.
        </p>
      </Empty>
    );
  }
  const steps = whole.steps.map((step) => ({ value: String(step), label: step === 0 ? "Base model" : `Step ${step}` }));
  return (
    <div class="stack">
      <Panel>
        <div class="stack tight">
          <div class="rollouts-choices">
            <SelectField
              label="Answers of"
              value={String(whole.step)}
              options={steps}
              onValue={(value) => setQuery({ step: value })}
            />
            <SelectField
              label="Compared with"
              value={String(whole.against)}
              options={steps}
              onValue={(value) => setQuery({ against: value === "0" ? null : value })}
            />
            <SelectField
              label="Order"
              value={sort}
              options={ORDERS}
              onValue={(value) => setQuery({ sort: value === "loss" ? null : value })}
            />
            <TextField label="Search answers" type="search" value={text} onValue={setText} maxLength={200} />
          </div>
          <div class="row" aria-live="polite">
            <span>
              Mean reward <span class="num">{reward(whole.mean_before)}</span> →{" "}
              <strong class="num">{reward(whole.mean_after)}</strong>
            </span>
            <span class="muted">over {plural(whole.rows, "row")}:</span>
            <Badge tone="good">{count(whole.better)} better</Badge>
            <Badge tone="bad">{count(whole.worse)} worse</Badge>
          </div>
        </div>
      </Panel>
      {!rows.items.length && !rows.isLoading && <p class="muted">No row matches.</p>}
      <ol class="stack">
        {rows.items.map((row) => (
          <li key={row.row}>
            <Row row={row} before={name(whole.against)} after={name(whole.step)} />
          </li>
        ))}
      </ol>
      {rows.error && <ErrorNote error={rows.error} onRetry={rows.more} />}
      <LoadMore hasMore={rows.hasMore} busy={rows.isBusy} onMore={rows.more} />
    </div>
  );
}

function name(step: number | null): string {
  return step === 0 ? "Base model" : `Step ${step}`;
}

function Row({ row, before, after }: { row: ValidationRow; before: string; after: string }) {
  const [isDiff, setDiff] = useState(false);
  return (
    <details class="panel rollouts-validation">
      <summary>
        <span class="truncate">{row.preview || row.after.text || row.row}</span>
        <span class="row nowrap num">
          <span class="muted">{reward(row.before?.reward)} →</span> <strong>{reward(row.after.reward)}</strong>
          {row.gain !== null && row.gain !== 0 && (
            <Badge tone={row.gain > 0 ? "good" : "bad"}>{reward(row.gain, { signed: true })}</Badge>
          )}
        </span>
      </summary>
      <div class="stack">
        <div class="muted mono">{row.row}</div>
        {row.prompt && <AskedView asked={row.prompt} />}
        {isDiff && row.before ? (
          <Changes before={row.before.text} after={row.after.text} label={`Changes from ${before} to ${after}`} />
        ) : (
          <div class="rollouts-samples rollouts-pair">
            <Answer title={before} answer={row.before} />
            <Answer title={after} answer={row.after} />
          </div>
        )}
        {row.before && row.before.text !== row.after.text && (
          <label class="row">
            <input type="checkbox" checked={isDiff} onChange={(event) => setDiff(event.currentTarget.checked)} />
            Show as changes
          </label>
        )}
      </div>
    </details>
  );
}

function Answer({ title, answer }: { title: string; answer: ValidationAnswer | null }) {
  return (
    <article class="rollouts-sample" aria-label={title}>
      <header class="row spread">
        <h2 class="rollouts-sample-title">{title}</h2>
        {answer && (
          <div class="row">
            <strong class="rollouts-reward num">{reward(answer.reward)}</strong>
            {answer.held_out !== null && <Badge>held-out {reward(answer.held_out)}</Badge>}
            {answer.finish_reason === "length" && <Badge tone="warn">truncated</Badge>}
          </div>
        )}
      </header>
      {answer ? (
        <FoldedText text={answer.text} label={title} />
      ) : (
        <p class="muted">This evaluation does not have the row.</p>
      )}
      {answer && <div class="muted num rollouts-sample-facts">{plural(answer.completion_tokens, "token")}</div>}
    </article>
  );
}
