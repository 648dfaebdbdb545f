import { describe, expect, it } from "vitest";
import { type Metrics, NOTHING } from "../metrics";
import { chartsOf } from "./charts";
import { domainOf, epochAt, linesOf, stridesOf, tickX } from "./lines";
import type { ChartPlan } from "./plans";
import { weightFor } from "./weight";

const metrics: Metrics = {
  step: {
    last: 3,
    steps: [1, 2, 4],
    times: [100, 110, 130],
    series: { reward_mean: [0.1, 0.2, 0.4], epoch: [0.25, 0.5, 1], verdict_oom: [0, 0, 0], "metric/a": [1, null, 1] },
  },
  evaluation: { last: 4, steps: [0, 4], times: [95, 131], series: { reward_mean: [0.05, 0.3] } },
  isLoaded: true,
  error: undefined,
};

const chart: ChartPlan = {
  id: "reward",
  title: "Reward",
  unit: "",
  reading: "",
  curves: [
    { kind: "step", key: "reward_mean", label: "training" },
    { kind: "step", key: "verdict_oom", label: "oom", isRare: true },
    { kind: "step", key: "absent", label: "absent" },
    { kind: "evaluation", key: "reward_mean", label: "validation" },
  ],
};

describe("lines", () => {
  it("of one job are told apart by what they are, without those that say nothing", () => {
    const lines = linesOf(chart, [{ name: "one", metrics }], "step");
    expect(lines.map((line) => [line.label, line.color])).toEqual([
      ["training", "--series-1"],
      ["validation", "--series-2"],
    ]);
  });
  it("of several jobs are told apart by whose they are", () => {
    const lines = linesOf(
      chart,
      [
        { name: "one", metrics },
        { name: "two", metrics },
      ],
      "step",
    );
    expect(lines.map((line) => [line.label, line.color, line.dashed])).toEqual([
      ["one", "--series-1", false],
      ["one, validation", "--series-1", true],
      ["two", "--series-2", false],
      ["two, validation", "--series-2", true],
    ]);
  });
  it("stand on the time since the job's first record", () => {
    const [training, validation] = linesOf(chart, [{ name: "one", metrics }], "time");
    expect(training!.x).toEqual([5, 15, 35]);
    expect(validation!.x).toEqual([0, 36]);
    expect(domainOf([{ name: "one", metrics }], "time")).toEqual([0, 36]);
  });
  it("stand on epochs, also where a record does not say its own", () => {
    const [training, validation] = linesOf(chart, [{ name: "one", metrics }], "epoch");
    expect(training!.x).toEqual([0.25, 0.5, 1]);
    expect(validation!.x).toEqual([0, 1]);
    expect(epochAt(metrics, 3)).toBeCloseTo(0.75);
  });
  it("keep one axis for all charts of the same numbers", () => {
    const [a] = linesOf(chart, [{ name: "one", metrics }], "time");
    const [b] = linesOf(chart, [{ name: "one", metrics }], "time");
    expect(a!.x).toBe(b!.x);
  });
});

describe("charts", () => {
  it("without values are left out, and parts of the reward get their own", () => {
    const groups = chartsOf([metrics], false);
    expect(groups.map((group) => [group.title, group.charts.map((one) => one.title)])).toEqual([
      ["Reward", ["Reward"]],
      ["Parts of the reward", ["a"]],
    ]);
  });
  it("of a job without numbers are none", () => {
    expect(chartsOf([{ ...metrics, step: NOTHING, evaluation: NOTHING }], false)).toEqual([]);
    expect(domainOf([], "step")).toEqual([0, 1]);
  });
});

it("says places on the axis in few characters", () => {
  expect([1, 2000].map(tickX("step"))).toEqual(["1", "2,000"]);
  expect([0, 30, 900, 5400, 172_800].map(tickX("time"))).toEqual(["0", "30 s", "15 min", "1.5 h", "2 d"]);
});

it("puts ticks of steps on whole steps and those of time in order", () => {
  expect(stridesOf("step")!.every(Number.isInteger)).toBe(true);
  const times = [...stridesOf("time")!];
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

it("is smoothed by the length of the run", () => {
  expect([0, 200, 1000, 5000, 1_000_000].map(weightFor)).toEqual([0.6, 0.6, 0.9, 0.98, 0.99]);
});
