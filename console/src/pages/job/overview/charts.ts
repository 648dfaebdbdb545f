/** Which charts a job has, in which groups. Charts without values are left out. */

import { hasValues, type Value } from "../../../ui/chart-data";
import type { Metrics } from "../metrics";
import { type ChartPlan, type Curve, LOSS, POLICY, REWARD, SERVICE, SIGNAL, SPEED, trained, validated } from "./plans";

export interface ChartGroup {
  id: string;
  title: string;
  charts: readonly ChartPlan[];
}

const MOST_PARTS = 24;

/** The charts of jobs that are looked at together; what one of them has is shown. */
export function chartsOf(all: readonly Metrics[], isSupervised: boolean): ChartGroup[] {
  const groups: ChartGroup[] = [
    { id: "loss", title: "Loss", charts: isSupervised ? LOSS : [] }, // a policy's loss says little
    { id: "reward", title: "Reward", charts: REWARD },
    { id: "parts", title: "Parts of the reward", charts: partsOf(all) },
    { id: "policy", title: "Policy", charts: POLICY },
    { id: "signal", title: "Signal", charts: SIGNAL },
    { id: "service", title: "Rewards service", charts: SERVICE },
    { id: "speed", title: "Speed", charts: SPEED },
  ];
  return groups
    .map((group) => ({ ...group, charts: group.charts.filter((chart) => isIn(chart, all)) }))
    .filter((group) => group.charts.length > 0);
}

function isIn(chart: ChartPlan, all: readonly Metrics[]): boolean {
  return all.some((metrics) => chart.curves.some((curve) => valuesOf(curve, metrics)));
}

/** Numbers that the reward itself reports: parts of a composition first, then what they tell of themselves. */
function partsOf(all: readonly Metrics[]): ChartPlan[] {
  const names = all.flatMap((one) => [...Object.keys(one.step.series), ...Object.keys(one.evaluation.series)]);
  const own = [...new Set(names)].filter((name) => name.startsWith("metric/") || name.startsWith("fault/"));
  own.sort((a, b) => a.split("/").length - b.split("/").length);
  return own.slice(0, MOST_PARTS).map((name) => ({
    id: name,
    title: titleOf(name),
    unit: name.startsWith("fault/") ? "share" : "",
    reading: name.startsWith("fault/")
      ? "Samples with this fault of the grader."
      : "Mean of what the reward reports beside its score.",
    curves: [trained(name), validated(name)],
  }));
}

/** `metric/math/steps_right` → math: steps right. */
export function titleOf(name: string): string {
  return name
    .replace(/^(metric|fault)\//, "")
    .replaceAll("/", ": ")
    .replaceAll("_", " ");
}

/** The values of a curve, where it has something to say. */
export function valuesOf(curve: Curve, metrics: Metrics): readonly Value[] | null {
  const y = metrics[curve.kind].series[curve.key];
  if (!y || !hasValues({ y }) || (curve.isRare && y.every((value) => !value))) return null;
  return y;
}
