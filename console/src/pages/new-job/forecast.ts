/** What the job would take, asked anew when the draft has come to rest. */

import { useEffect, useState } from "preact/hooks";
import { type ApiError, api } from "../../lib/api";
import { useResource } from "../../lib/resource";
import { useSettled } from "../../lib/settled";
import { type Draft, requestOf } from "./draft";
import { knownRows } from "./inspection";

/** Answer of `POST /api/forecast`, as far as the summary shows it. */
export interface Forecast {
  work: {
    train_rows: number;
    validation_rows: number;
    steps: number;
    evaluations: number;
    completions: number;
    step_tokens: number;
    trained_tokens: number;
  } | null;
  memory: {
    device: string;
    peak_bytes: number;
    peak_phase: string;
    /** Of the phase that takes the most, the largest first. */
    parts: { name: string; bytes: number }[];
    limit_bytes: number | null;
    free_bytes: number | null;
    fits: "yes" | "later" | "no";
    problem: string | null;
    /** Settings, each of which makes it fit. */
    changes: { setting: string; value: number }[];
  } | null;
  time: { step_s: number; job_s: number; low_s: number; high_s: number; basis: string; is_measured: boolean } | null;
  disk: { bytes: number; parts: { name: string; bytes: number }[]; free_bytes: number; fits: boolean } | null;
  assumptions: string[];
  problem: string | null;
}

const SETTLED_MS = 500;

export function useForecast(draft: Draft): {
  forecast: Forecast | undefined;
  error: ApiError | undefined;
  /** What is shown is of an earlier draft. */
  isBusy: boolean;
} {
  // A reward says nothing about steps and memory, and one that is being written would only be refused.
  const { name: _, config, ...request } = requestOf(draft);
  const { reward: __, ...sections } = config;
  const rows = knownRows();
  const now = draft.model ? JSON.stringify({ ...request, config: sections, ...(rows ? { rows } : {}) }) : null;
  const key = useSettled(now, SETTLED_MS);
  const [last, setLast] = useState<Forecast>();
  const { data, error } = useResource(key, (signal) =>
    api.post<Forecast>("/api/forecast", JSON.parse(key ?? "{}"), { signal }),
  );
  useEffect(() => {
    if (data) setLast(data);
  }, [data]);
  const isBusy = now !== null && (now !== key || (!data && !error));
  return { forecast: now === null || error ? undefined : (data ?? last), error, isBusy };
}
