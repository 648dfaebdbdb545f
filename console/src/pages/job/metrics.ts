/** The numbers of a job, fetched once and then only what is new. */

import { type Signal, signal } from "@preact/signals";
import { ApiError, api, query } from "../../lib/api";
import type { Value } from "../../ui/chart-data";

export type Kind = "step" | "evaluation";

/** As `GET /api/jobs/{id}/metrics` answers. */
export interface MetricSeries {
  last: number;
  steps: number[];
  times: number[];
  series: Record<string, Value[]>;
}

/** Like an answer, and replaced as a whole when there is more, so that whoever compares sees it. */
export type Columns = MetricSeries;

export const NOTHING: Columns = { last: 0, steps: [], times: [], series: {} };

/** What was known, and what came since; columns that are new have gaps before, those that ended have gaps after. */
export function appended(known: Columns, more: MetricSeries): Columns {
  if (!more.steps.length) return known;
  const series: Record<string, Value[]> = {};
  for (const name of new Set([...Object.keys(known.series), ...Object.keys(more.series)])) {
    const before = known.series[name] ?? new Array<Value>(known.steps.length).fill(null);
    const after = more.series[name] ?? new Array<Value>(more.steps.length).fill(null);
    series[name] = before.concat(after);
  }
  return { last: more.last, steps: known.steps.concat(more.steps), times: known.times.concat(more.times), series };
}

export interface Metrics {
  step: Columns;
  evaluation: Columns;
  isLoaded: boolean;
  error: ApiError | undefined;
}

/** Keeps the numbers of one job. */
export class MetricStore {
  readonly now: Signal<Metrics> = signal({ step: NOTHING, evaluation: NOTHING, isLoaded: false, error: undefined });
  private readonly abort = new AbortController();
  private isBusy = false;
  private isAsked = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly jobId: string) {}

  /** Fetch what is new, soon: many calls in a row become one request per kind. */
  refresh(wait_ms = 250): void {
    if (this.isBusy) this.isAsked = true;
    else this.timer ??= setTimeout(() => void this.load(), wait_ms);
  }

  async load(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.isBusy = true;
    this.isAsked = false;
    const { step, evaluation } = this.now.value;
    try {
      const [steps, evaluations] = await Promise.all([this.fetch("step", step), this.fetch("evaluation", evaluation)]);
      const next = { step: appended(step, steps), evaluation: appended(evaluation, evaluations) };
      const { isLoaded, error } = this.now.value;
      const isNew = next.step !== step || next.evaluation !== evaluation;
      if (isNew || !isLoaded || error) this.now.value = { ...next, isLoaded: true, error: undefined };
    } catch (error) {
      if (this.abort.signal.aborted) return;
      const known = error instanceof ApiError ? error : new ApiError(String(error), -1);
      this.now.value = { ...this.now.value, error: known };
      if (known.status === 0 || known.status === 503) this.isAsked = true;
    }
    this.isBusy = false;
    if (this.isAsked && !this.abort.signal.aborted) this.refresh(this.now.value.error ? 3000 : 250);
  }

  close(): void {
    clearTimeout(this.timer);
    this.abort.abort();
  }

  private fetch(kind: Kind, known: Columns): Promise<MetricSeries> {
    const path = `/api/jobs/${encodeURIComponent(this.jobId)}/metrics`;
    return api.get(path + query({ kind, after: known.last }), { signal: this.abort.signal });
  }
}
