/** The steps of a new job: each in a folder of its own, fetched when it is first looked at. */

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import type { Draft, Method, StepProps } from "./draft";

/** What `STEP/index.tsx` exports. */
export interface StepModule {
  default: ComponentType<StepProps>;
  /** Why one cannot go on, a sentence each; empty: one can. */
  problems: (draft: Draft) => string[];
}

export type StepId = "model" | "data" | "reward" | "settings" | "preflight" | "review";

export interface Step {
  id: StepId;
  title: string;
  /** What is decided in it. */
  text: string;
  load: () => Promise<StepModule>;
  method?: Method;
}

const ALL: readonly Step[] = [
  { id: "model", title: "Model", text: "What is to be tuned, and how.", load: () => import("./model") },
  { id: "data", title: "Data", text: "The rows to learn from, and those to measure on.", load: () => import("./data") },
  {
    id: "reward",
    title: "Reward",
    text: "How completions are scored.",
    load: () => import("./reward"),
    method: "reinforcement",
  },
  { id: "settings", title: "Settings", text: "How long, how fast, how far.", load: () => import("./settings") },
  {
    id: "preflight",
    title: "Pre-flight",
    text: "Whether there is something to learn, before it costs hours.",
    load: () => import("./preflight"),
    method: "reinforcement",
  },
  { id: "review", title: "Review", text: "All of it once more, as code too.", load: () => import("./review") },
];

/** The steps that a method has. */
export function stepsOf(method: Method): readonly Step[] {
  return ALL.filter((step) => step.method === undefined || step.method === method);
}

/** Steps that are here already. */
export const modules = signal<Partial<Record<StepId, StepModule>>>({});
/** Steps that could not be fetched. */
export const missing = signal<readonly StepId[]>([]);

export async function loadStep(step: Step): Promise<void> {
  if (modules.value[step.id]) return;
  try {
    const loaded = await step.load();
    modules.value = { ...modules.value, [step.id]: loaded };
    missing.value = missing.value.filter((id) => id !== step.id);
  } catch {
    missing.value = [...missing.value.filter((id) => id !== step.id), step.id];
  }
}

/** What is wrong in a step, as far as it is here. */
export function problemsOf(id: StepId, draft: Draft): string[] {
  return modules.value[id]?.problems(draft) ?? [];
}
