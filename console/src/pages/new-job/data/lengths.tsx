import { count, number, plural } from "../../../lib/format";
import { Button } from "../../../ui/button";
import { NumberField } from "../../../ui/field";
import { Panel } from "../../../ui/layout";
import { Histogram } from "../../../ui/small-charts";
import { numberSetting, type StepProps, withSetting } from "../draft";
import { type Inspected, limitField } from "../inspection";

interface LengthProps extends StepProps {
  found: Inspected;
}

/** How long rows are in tokens of the model, and the limit above which they are dropped. */
export function LengthPanel({ found, draft, update }: LengthProps) {
  const lengths = found.train.lengths;
  const field = limitField(draft);
  const what = draft.method === "supervised" ? "conversation" : "prompt";
  const given = numberSetting(draft.config, "data", field);
  const suggested = found.suggested_max_tokens;

  function setLimit(tokens: number | null): void {
    const value = tokens === null ? undefined : Math.max(1, Math.round(tokens));
    update({ config: withSetting(draft.config, "data", field, value) });
  }

  if (!lengths) {
    const reason = draft.model ? found.lengths_note : "Choose a model to see how many tokens the rows have.";
    return reason ? (
      <Panel title="Lengths">
        <p class="muted">{reason}</p>
      </Panel>
    ) : null;
  }
  const bins = lengths.histogram.map((bar) => ({ from: bar.first, to: bar.last + 1, count: bar.rows }));
  const isInSight = found.max_tokens <= 1.5 * lengths.max;
  return (
    <Panel title="Lengths">
      <div class="stack">
        <Histogram
          bins={bins}
          unit="tokens"
          label={`Training rows by tokens of the ${what}`}
          mark={isInSight ? { at: found.max_tokens, label: `limit ${count(found.max_tokens)}` } : undefined}
        />
        <dl class="length-facts num">
          {(
            [
              ["Shortest", lengths.min],
              ["Mean", lengths.mean],
              ["Half have at most", lengths.percentiles["50"]],
              ["95 % have at most", lengths.percentiles["95"]],
              ["99 % have at most", lengths.percentiles["99"]],
              ["Longest", lengths.max],
            ] as const
          ).map(([label, tokens]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{number(tokens)}</dd>
            </div>
          ))}
        </dl>
        <details>
          <summary>As a table</summary>
          <table class="table counts">
            <thead>
              <tr>
                <th scope="col">Tokens</th>
                <th scope="col" class="end">
                  Rows
                </th>
              </tr>
            </thead>
            <tbody>
              {lengths.histogram.map((bar) => (
                <tr key={bar.first}>
                  <th scope="row" class="num">
                    {bar.first === bar.last ? count(bar.first) : `${count(bar.first)} to ${count(bar.last)}`}
                  </th>
                  <td class="end num">{count(bar.rows)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
        <div class="limit">
          <NumberField
            label={`Longest ${what}, tokens`}
            hint={
              found.train.too_long
                ? `${plural(found.train.too_long, "row")} longer than this ${found.train.too_long === 1 ? "is" : "are"} dropped, never cut.`
                : "No row is longer. Longer ones would be dropped, never cut."
            }
            value={given ?? null}
            placeholder={`${found.max_tokens} (default)`}
            min={1}
            step={1}
            onValue={setLimit}
          />
          {suggested !== null && suggested !== found.max_tokens && (
            <Button onClick={() => setLimit(suggested)}>Use {count(suggested)}</Button>
          )}
        </div>
        {suggested !== null && suggested !== found.max_tokens && (
          <p class="field-hint">
            {suggested >= lengths.max
              ? `${count(suggested)} holds every row. A closer limit needs less memory.`
              : `${count(suggested)} holds 99 % of the rows; the others are far longer.`}
          </p>
        )}
      </div>
    </Panel>
  );
}
