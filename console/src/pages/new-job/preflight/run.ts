/** A pre-flight: run on the server, followed as it goes on, and kept while the page is open. */

import { signal } from "@preact/signals";
import { ApiError, api, eventsOf } from "../../../lib/api";
import type { CheckReport, TestReceipt } from "../../../lib/rewards";
import { type Draft, requestOf } from "../draft";

export type Phase = "rows" | "reward" | "model" | "answers" | "checks";

export interface Progress {
  phase: Phase;
  prompts: number;
  answered: number;
  reward_mean: number | null;
}

export interface ExamplePrompt {
  row_id: string;
  prompt: string;
  reference_answer: string | null;
  completions: { text: string; reward: number | null; is_truncated: boolean; problem: string }[];
}

export interface Failure {
  row_id: string;
  completion: string;
  verdict: string;
  message: string;
  receipt: TestReceipt;
}

/** The event `result` of `POST /api/preflight`. */
export interface Result {
  verdict: "go" | "caution" | "stop";
  headline: string;
  advice: { code: string; severity: "info" | "warning" | "stop"; message: string; action: string }[];
  prompts: number;
  too_long: number;
  completions: number;
  scored: number;
  failed: number;
  reward_mean: number | null;
  reward_std: number | null;
  exact_share: number;
  mixed_groups_share: number;
  truncated_share: number;
  grading_p50_ms: number | null;
  grading_p95_ms: number | null;
  sampling_s: number;
  histogram: { low: number; high: number; count: number }[];
  examples: ExamplePrompt[];
  failures: Failure[];
  report: CheckReport | null;
}

export interface Run {
  /** What was tried. */
  key: string;
  progress: Progress | null;
  result: Result | null;
  error: ApiError | null;
  isRunning: boolean;
}

export const preflight = signal<Run | null>(null);

let abort: AbortController | null = null;

/** What a pre-flight depends on; a name does not change it. */
export function keyOf(draft: Draft): string {
  const { name: _name, suffix: _suffix, metadata: _metadata, output_uri: _uri, ...asked } = requestOf(draft);
  return JSON.stringify(asked);
}

export async function start(draft: Draft, prompts: number, samples: number): Promise<void> {
  cancel();
  const mine = new AbortController();
  abort = mine;
  const key = keyOf(draft);
  const set = (change: Partial<Run>) => {
    if (abort === mine && preflight.value) preflight.value = { ...preflight.value, ...change };
  };
  preflight.value = { key, progress: null, result: null, error: null, isRunning: true };
  try {
    const body = { ...(JSON.parse(key) as object), prompts, samples };
    const response = await api.open("POST", "/api/preflight", body, { signal: mine.signal });
    for await (const { event, data } of eventsOf(response)) {
      if (event === "progress") set({ progress: JSON.parse(data) as Progress });
      else if (event === "result") set({ result: JSON.parse(data) as Result, isRunning: false });
      else if (event === "error") set({ error: errorOf(data), isRunning: false });
    }
    if (preflight.value?.isRunning)
      set({ error: new ApiError("The server ended the pre-flight before it was done. Run it again.", 0) });
  } catch (caught) {
    if (mine.signal.aborted) return;
    set({ error: caught instanceof ApiError ? caught : new ApiError("The connection was lost. Run it again.", 0) });
  }
  set({ isRunning: false });
}

/** Hanging up ends it on the server as well. */
export function cancel(): void {
  abort?.abort();
  abort = null;
  if (preflight.value?.isRunning) preflight.value = null;
}

export function errorOf(data: string): ApiError {
  try {
    const { error } = JSON.parse(data) as { error: { message: string; code: string | null; param: string | null } };
    return new ApiError(error.message, 400, error.code, error.param);
  } catch {
    return new ApiError("The pre-flight failed.", 500);
  }
}
