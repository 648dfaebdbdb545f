/** Numbers of jobs as the lines of charts, over steps, epochs or time. */

import { duration, number } from "../../../lib/format";
import type { Line, Value } from "../../../ui/chart-data";
import type { Columns, Metrics } from "../metrics";
import { valuesOf } from "./charts";
import type { ChartPlan, Curve } from "./plans";

export type Axis = "step" | "epoch" | "time";

export const AXES: readonly { value: Axis; label: string }[] = [
  { value: "step", label: "Step" },
  { value: "epoch", label: "Epoch" },
  { value: "time", label: "Time" },
];

const MOST_DOTS = 60;

/** A job whose curves are drawn. */
export interface Drawn {
  name: string;
  metrics: Metrics;
}

/** Lines of one job, told apart by what they are; or of several, told apart by whose they are. */
export function linesOf(chart: ChartPlan, jobs: readonly Drawn[], axis: Axis): Line[] {
  const [only] = jobs;
  if (jobs.length === 1 && only)
    return chart.curves.flatMap((curve, index) => {
      const line = lineOf(curve, only.metrics, axis, { label: curve.label, color: colourOf(chart, index) });
      return line ? [line] : [];
    });
  const compared = chart.compared ?? firstOf(chart);
  return jobs.flatMap((job, place) =>
    compared.flatMap((curve) => {
      const isSecond = curve.kind === "evaluation" && compared.length > 1;
      const look = { label: isSecond ? `${job.name}, validation` : job.name, color: `--series-${place + 1}` };
      const line = lineOf({ ...curve, dashed: isSecond }, job.metrics, axis, look);
      if (!line) return [];
      const { band: _, ...plain } = line; // bands of several jobs would hide each other
      return [{ ...plain, onlySmoothed: true }];
    }),
  );
}

/** Training curves are drawn by their order, validation always in the second colour. */
function colourOf(chart: ChartPlan, index: number): string {
  const curve = chart.curves[index]!;
  if (curve.kind === "evaluation") return "--series-2";
  const place = chart.curves.slice(0, index).filter((other) => other.kind === "step").length;
  return `--series-${place === 0 ? 1 : place + 2}`;
}

function firstOf(chart: ChartPlan): Curve[] {
  const step = chart.curves.find((curve) => curve.kind === "step");
  const evaluation = chart.curves.find((curve) => curve.kind === "evaluation");
  return [step, evaluation].filter((curve) => curve !== undefined);
}

function lineOf(curve: Curve, metrics: Metrics, axis: Axis, look: Pick<Line, "label" | "color">): Line | null {
  const columns = metrics[curve.kind];
  const y = valuesOf(curve, metrics);
  if (!y) return null;
  const low = curve.band && columns.series[curve.band[0]];
  const high = curve.band && columns.series[curve.band[1]];
  return {
    ...look,
    x: placesOf(columns, metrics, axis),
    y,
    dashed: !!curve.dashed,
    dots: y.length <= (curve.kind === "evaluation" ? MOST_DOTS : 1),
    isNoisy: !!curve.isNoisy,
    band: low && high ? { low, high } : undefined,
  };
}

const known = new WeakMap<Columns, Map<string, readonly number[]>>();

/** Places of a job's records on an axis; the same list for the same numbers, so that charts need not merge them. */
function placesOf(columns: Columns, metrics: Metrics, axis: Axis): readonly number[] {
  if (axis === "step") return columns.steps;
  const found = known.get(columns) ?? new Map<string, readonly number[]>();
  known.set(columns, found);
  const start = startOf(metrics);
  const key = `${axis} ${start}`;
  let places = found.get(key);
  if (!places) {
    places = axis === "time" ? columns.times.map((time) => time - start) : epochsOf(columns, metrics);
    found.set(key, places);
  }
  return places;
}

/** When a job's first record was written. */
export function startOf({ step, evaluation }: Metrics): number {
  return Math.min(step.times[0] ?? Number.POSITIVE_INFINITY, evaluation.times[0] ?? Number.POSITIVE_INFINITY);
}

function epochsOf(columns: Columns, metrics: Metrics): number[] {
  const own = columns.series.epoch ?? [];
  return columns.steps.map((step, index) => own[index] ?? epochAt(metrics, step));
}

/** Passes over the training rows after a step. */
export function epochAt({ step }: Metrics, at: number): number {
  const epochs: readonly Value[] = step.series.epoch ?? [];
  const last = step.steps.length - 1;
  const end = step.steps[last];
  const share = end ? (epochs[last] ?? 0) / end : 0;
  const index = step.steps.indexOf(at);
  return epochs[index] ?? at * share;
}

/** Both ends of an axis over all lines. */
export function domainOf(jobs: readonly Drawn[], axis: Axis): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const { metrics } of jobs)
    for (const columns of [metrics.step, metrics.evaluation])
      for (const place of placesOf(columns, metrics, axis)) {
        low = Math.min(low, place);
        high = Math.max(high, place);
      }
  return low < high ? [low, high] : Number.isFinite(low) ? [low - 0.5, low + 0.5] : [0, 1];
}

export function sayX(axis: Axis): (value: number) => string {
  if (axis === "time") return (value) => `after ${duration(Math.max(0, value))}`;
  if (axis === "epoch") return (value) => `epoch ${value.toFixed(2)}`;
  return (value) => `step ${number(value)}`;
}

export function tickX(axis: Axis): (value: number) => string {
  if (axis === "time") return short;
  if (axis === "epoch") return (value) => String(Number(value.toFixed(2)));
  return number;
}

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

/** Seconds on an axis: 30 s, 15 min, 1.5 h, 2 d. */
function short(seconds: number): string {
  if (seconds <= 0) return "0";
  if (seconds < MINUTE) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < HOUR) return `${Number((seconds / MINUTE).toFixed(1))} min`;
  return seconds < DAY ? `${Number((seconds / HOUR).toFixed(2))} h` : `${Number((seconds / DAY).toFixed(1))} d`;
}

const TENS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 1_000_000];

/** Distances of ticks: whole steps, and times that clocks have. */
export function stridesOf(axis: Axis): readonly number[] | undefined {
  if (axis === "step") return TENS;
  if (axis === "epoch") return undefined;
  const hours = [0.25, 0.5, 1, 2, 3, 6, 12].map((hours) => hours * HOUR);
  return [0.1, 1, 5, 10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, ...hours, ...TENS.slice(0, 12).map((days) => days * DAY)];
}
