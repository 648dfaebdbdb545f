import type { Reward } from "../../../lib/rewards";
import { Check, NumberField, SelectField } from "../../../ui/field";
import { GraderForm } from "./grader-form";
import { HELD_OUT } from "./kinds";

interface MoreProps {
  section: Reward;
  onSection: (section: Reward) => void;
}

/** Failures, limits, and a second grader that is only measured. */
export function More({ section, onSection }: MoreProps) {
  function set<K extends keyof Reward>(field: K, value: Reward[K] | undefined): void {
    const { [field]: _before, ...rest } = section;
    onSection((value === undefined ? rest : { ...rest, [field]: value }) as Reward);
  }
  return (
    <details>
      <summary>More: failures, limits, held-out grader</summary>
      <div class="stack" style={{ marginTop: "var(--space-3)" }}>
        <div class="grid" style={{ "--column": "14rem" }}>
          <SelectField
            label="When scoring an answer fails"
            value={section.on_failure ?? "exclude"}
            onValue={(value) => set("on_failure", value === "exclude" ? undefined : (value as "zero" | "fail"))}
            hint="After all retries."
            options={[
              { value: "exclude", label: "leave it out of its group" },
              { value: "zero", label: "give it 0" },
              { value: "fail", label: "stop the job" },
            ]}
          />
          <NumberField
            label="Stop above failures, %"
            value={section.error_budget === undefined ? null : Math.round(section.error_budget * 1000) / 10}
            placeholder="10"
            min={0}
            max={100}
            onValue={(value) => set("error_budget", value === null ? undefined : value / 100)}
            hint="Share of failed answers, over at least 50, that ends the job with the reason."
          />
          <NumberField
            label="Time limit of a call, s"
            value={section.timeout_s ?? null}
            placeholder="30"
            min={0}
            max={900}
            onValue={(value) => set("timeout_s", value ?? undefined)}
          />
          <NumberField
            label="Answers in a call"
            value={section.batch_size ?? null}
            placeholder="64"
            min={1}
            step={1}
            onValue={(value) => set("batch_size", value ?? undefined)}
          />
          <NumberField
            label="Retries"
            value={section.retries ?? null}
            placeholder="2"
            min={0}
            max={10}
            step={1}
            onValue={(value) => set("retries", value ?? undefined)}
          />
        </div>
        <Check
          label="Test the reward on 16 rows before the first step"
          hint="A job whose reward cannot be trained on then fails at once, with the reason."
          checked={section.check ?? true}
          onChecked={(checked) => set("check", checked ? undefined : false)}
        />
        <Check
          label="Measure a held-out grader beside the reward"
          hint="It is never trained on: a reward that rises while the held-out one does not is being gamed."
          checked={section.held_out !== undefined}
          onChecked={(checked) => set("held_out", checked ? { template: "" } : undefined)}
        />
        {section.held_out && (
          <section class="panel" aria-label="Held-out grader">
            <GraderForm
              legend="Kind of the held-out grader"
              isPart
              section={section.held_out}
              slot={HELD_OUT}
              onSection={(next) => set("held_out", next)}
            />
          </section>
        )}
      </div>
    </details>
  );
}
