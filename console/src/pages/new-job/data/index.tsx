import { useState } from "preact/hooks";
import { plural } from "../../../lib/format";
import { Badge } from "../../../ui/badge";
import { Choices } from "../../../ui/field";
import { Panel, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import type { Draft, StepProps } from "../draft";
import { inspectAgain, inspection } from "../inspection";
import "./data.css";
import { Findings } from "./findings";
import { SourcePicker } from "./source-picker";
import { SplitSlider } from "./split";

export function problems(draft: Draft): string[] {
  if (!draft.training) return ["Choose the rows to learn from."];
  const { data, error, isBusy } = inspection.value;
  if (error) return [error.message];
  if (!data || isBusy) return [];
  const found = [];
  const bad = data.train.bad_lines + (data.validation?.bad_lines ?? 0);
  if (bad) found.push(`Mend ${plural(bad, "line")} that cannot be used, or choose other rows.`);
  else if (!data.ok) found.push("Mend what keeps the rows from being used, or choose others.");
  if (data.split_problem) found.push(data.split_problem);
  return found;
}

/** Rows to learn from and rows to measure on, and what is found in them as they are chosen. */
export default function DataStep({ draft, update }: StepProps) {
  const { data, error, isBusy } = inspection.value;
  const [hasOwn, setOwn] = useState(draft.validation !== null);
  return (
    <div class="stack">
      <Panel title="Training rows">
        <SourcePicker
          purpose="training"
          method={draft.method}
          value={draft.training}
          onValue={(training) => update({ training })}
        />
      </Panel>
      <Panel title="Validation rows">
        <div class="stack">
          <Choices
            legend="Where validation rows come from"
            value={hasOwn ? "source" : "share"}
            onValue={(choice) => {
              setOwn(choice === "source");
              if (choice === "share") update({ validation: null });
            }}
            options={[
              {
                value: "share",
                title: "Hold out a share",
                text: "Rows of the same prompt stay on one side.",
              },
              {
                value: "source",
                title: "Rows of their own",
                text: "To compare jobs on the same rows.",
              },
            ]}
          />
          {hasOwn ? (
            <>
              <SourcePicker
                purpose="validation"
                method={draft.method}
                value={draft.validation}
                onValue={(validation) => update({ validation })}
              />
              {!draft.validation && (
                <p class="muted">Until they are chosen, a share of the training rows is held out.</p>
              )}
            </>
          ) : (
            <SplitSlider draft={draft} update={update} />
          )}
        </div>
      </Panel>
      <div aria-live="polite" aria-busy={isBusy} class="stack">
        {error && <ErrorNote title="The rows cannot be read" error={error} onRetry={inspectAgain} />}
        {isBusy && !data && (
          <Panel title="Looking at the rows">
            <Skeleton lines={6} label="Looking at the rows" />
          </Panel>
        )}
        {isBusy && data && (
          <p>
            <Badge live>looking again</Badge>
          </p>
        )}
        {data && (
          <div class={isBusy ? "stack new-job-stale" : "stack"}>
            <Findings found={data} draft={draft} update={update} />
          </div>
        )}
      </div>
    </div>
  );
}
