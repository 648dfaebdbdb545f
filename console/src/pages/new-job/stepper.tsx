import { plural } from "../../lib/format";
import { Icon } from "../../ui/icon";
import type { Draft } from "./draft";
import { modules, problemsOf, type Step, type StepId } from "./steps";

interface StepperProps {
  steps: readonly Step[];
  current: StepId;
  draft: Draft;
}

/** Where one is among the steps, and a way to each of them. */
export function Stepper({ steps, current, draft }: StepperProps) {
  const place = steps.findIndex((step) => step.id === current);
  return (
    <nav aria-label="Steps of the new job">
      <ol class="stepper">
        {steps.map((step, index) => {
          const open = problemsOf(step.id, draft).length;
          const isDone = index < place && !open && modules.value[step.id] !== undefined;
          return (
            <li key={step.id} class={isDone ? "done" : undefined}>
              <a href={`/new/${step.id}`} aria-current={step.id === current ? "step" : undefined}>
                <span class="stepper-mark">{isDone ? <Icon name="check" /> : index + 1}</span>
                <span class="stepper-title">{step.title}</span>
                <span class="visually-hidden">
                  {isDone ? ", done" : index < place && open ? `, ${plural(open, "thing")} still to do` : ""}
                </span>
              </a>
            </li>
          );
        })}
      </ol>
    </nav>
  );
}
