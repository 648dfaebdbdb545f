/** What the server found in the rows that are chosen: asked once, for the data step and for all who need to know. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, api } from "../../lib/api";
import { type Draft, numberSetting } from "./draft";

export interface TokenLengths {
  count: number;
  min: number;
  mean: number;
  max: number;
  percentiles: Record<string, number>;
  histogram: { first: number; last: number; rows: number }[];
}

export interface FileCounts {
  bytes: number;
  rows: number;
  bad_lines: number;
  too_long: number;
  usable: number;
  duplicates: number;
  conflicts: number;
  without_reference: number;
  size: string;
  lengths: TokenLengths | null;
}

export interface LogCounts {
  objects: number;
  records: number;
  kept: number;
  skipped: Record<string, number>;
  complete: boolean;
}

export interface ProblemGroup {
  severity: "error" | "warning" | "info";
  code: string;
  count: number;
  examples: { file: "training" | "validation"; line: number; field: string; message: string; fix: string }[];
}

export interface PreviewRow {
  line: number;
  id: string;
  messages: { role: string; content: string; is_cut: boolean }[];
  reference_answer: string | null;
  metadata: string | null;
  tools: number;
  tokens: number | null;
}

/** Answer of `POST /api/data/inspect`. */
export interface Inspected {
  ok: boolean;
  errors: number;
  warnings: number;
  remarks: number;
  train: FileCounts;
  validation: FileCounts | null;
  overlap: { same: number; nearly: number } | null;
  split: { train: number; validation: number } | null;
  split_problem: string | null;
  max_tokens: number;
  suggested_max_tokens: number | null;
  lengths_note: string | null;
  problems: ProblemGroup[];
  rows: PreviewRow[];
  logs: LogCounts | null;
  validation_logs: LogCounts | null;
}

export interface Inspection {
  /** What was asked; null: there is nothing to look at. */
  key: string | null;
  /** Of the last answer; of an earlier question while `isBusy`. */
  data: Inspected | undefined;
  error: ApiError | undefined;
  isBusy: boolean;
}

const NOTHING: Inspection = { key: null, data: undefined, error: undefined, isBusy: false };
export const DEFAULT_SHARE = 0.1;
const SHOWN_ROWS = 20;
const SETTLED_MS = 350;

export const inspection = signal<Inspection>(NOTHING);

/** Name of the setting that holds the most tokens of a row. */
export function limitField(draft: Draft): "max_prompt_length" | "max_row_tokens" {
  return draft.method === "supervised" ? "max_row_tokens" : "max_prompt_length";
}

/** The body that asks about a draft's rows; null when none are chosen. */
export function questionOf(draft: Draft): Record<string, unknown> | null {
  if (draft.training === null) return null;
  const limit = numberSetting(draft.config, "data", limitField(draft));
  return {
    source: draft.training,
    ...(draft.validation ? { validation: draft.validation } : {}),
    method: draft.method,
    ...(draft.model ? { model: draft.model } : {}),
    ...(limit === undefined ? {} : { max_tokens: limit }),
    holdout_share: numberSetting(draft.config, "data", "holdout_share") ?? DEFAULT_SHARE,
    limit: SHOWN_ROWS,
  };
}

/** Keeps `inspection` true to a draft, for as long as the component is there. */
export function useInspector(draft: Draft): void {
  const question = questionOf(draft);
  const key = question && JSON.stringify(question);
  useEffect(() => ask(key), [key]);
}

let end = () => {};

/** Ask the same again. */
export function inspectAgain(): void {
  end();
  const { key } = inspection.peek();
  inspection.value = { ...inspection.peek(), key: null };
  end = ask(key);
}

/** Returns what ends it. */
function ask(key: string | null): () => void {
  const before = inspection.peek();
  if (key === null) {
    inspection.value = NOTHING;
    return () => {};
  }
  if (before.key === key && before.data && !before.isBusy) return () => {};
  // What is known of the same source stays while it is asked with other numbers.
  const isSame = before.key !== null && sourceOf(before.key) === sourceOf(key);
  inspection.value = { key, data: isSame ? before.data : undefined, error: undefined, isBusy: true };
  const abort = new AbortController();
  const timer = setTimeout(async () => {
    try {
      const data = await api.post<Inspected>("/api/data/inspect", JSON.parse(key), { signal: abort.signal });
      if (!abort.signal.aborted) inspection.value = { key, data, error: undefined, isBusy: false };
    } catch (caught) {
      if (abort.signal.aborted) return;
      const error = caught instanceof ApiError ? caught : new ApiError(String(caught), -1);
      inspection.value = { key, data: undefined, error, isBusy: false };
    }
  }, SETTLED_MS);
  return () => {
    clearTimeout(timer);
    abort.abort();
  };
}

function sourceOf(key: string): string {
  const { source, validation, method } = JSON.parse(key) as Record<string, unknown>;
  return JSON.stringify([source, validation, method]);
}

/** What is known of the rows, as `rows` of `POST /api/forecast`; undefined while nothing is. */
export function knownRows(): Record<string, number> | undefined {
  const { data, isBusy } = inspection.value;
  if (!data || isBusy || !data.split || data.split.train < 1) return undefined;
  const lengths = data.train.lengths;
  return {
    training: data.split.train,
    ...(data.split.validation > 0 ? { validation: data.split.validation } : {}),
    ...(lengths ? { longest_prompt: Math.min(lengths.max, data.max_tokens), mean_prompt: lengths.mean } : {}),
  };
}
