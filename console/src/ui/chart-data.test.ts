import { describe, expect, it } from "vitest";
import { aligned, csv, inWords, type Line, nearest, smoothed, smoothedBand, stacked, thinned } from "./chart-data";

const line = (x: number[], y: (number | null)[], label = "a"): Line => ({ label, x, y, color: "--series-1" });

describe("smoothing", () => {
  it("changes nothing without weight", () => {
    expect(smoothed([1, null, 3], 0)).toEqual([1, null, 3]);
  });
  it("is not pulled to zero at its start", () => {
    expect(smoothed([5, 5, 5], 0.9)).toEqual([5, 5, 5].map((value) => expect.closeTo(value, 12)));
  });
  it("weighs the newest value by one minus the weight", () => {
    const [, second] = smoothed([0, 1], 0.5);
    expect(second).toBeCloseTo((0 * 0.5 * 0.5 + 1 * 0.5) / 0.75, 12);
  });
});

describe("the interval of a moving average", () => {
  it("is narrower by the root of the values it averages", () => {
    const noisy = { ...line([1, 2, 3], [1, 1, 1]), band: { low: [0, 0, 0], high: [3, null, 3] } };
    const { low, high } = smoothedBand(noisy, 0.6);
    expect(low.map((value) => value!.toFixed(3))).toEqual(["0.500", "0.500", "0.500"]);
    expect(high.map((value) => value?.toFixed(3))).toEqual(["2.000", undefined, "2.000"]);
  });
});

describe("aligning", () => {
  it("keeps columns of one axis as they are", () => {
    const x = [1, 2];
    const y = [3, 4];
    const [axis, ...columns] = aligned([
      { x, y },
      { x, y: [5, null] },
    ]);
    expect(axis).toBe(x);
    expect(columns[0]).toBe(y);
  });
  it("puts columns of several axes on their union", () => {
    const found = aligned([
      { x: [1, 3], y: [10, 30] },
      { x: [0, 3, 4], y: [1, null, 4] },
    ]);
    expect(found).toEqual([
      [0, 1, 3, 4],
      [null, 10, 30, null],
      [1, null, null, 4],
    ]);
  });
  it("takes axes on which time went back", () => {
    const [axis, column] = aligned([
      { x: [5, 2], y: [50, 20] },
      { x: [1], y: [1] },
    ]);
    expect(axis).toEqual([1, 2, 5]);
    expect(column).toEqual([null, 20, 50]);
  });
});

it("stacks lines on those before them", () => {
  const found = stacked([line([1, 2], [1, null]), line([1, 2], [2, 3])]);
  expect(found.map((one) => one.y)).toEqual([
    [1, null],
    [3, 3],
  ]);
});

describe("the nearest point", () => {
  it("passes over gaps", () => {
    expect(nearest(line([1, 2, 3, 10], [1, null, null, 4]), 3)).toBe(0);
    expect(nearest(line([1, 2, 3, 10], [1, null, null, 4]), 8)).toBe(3);
  });
  it("is none on an empty line", () => {
    expect(nearest(line([1], [null]), 1)).toBe(-1);
  });
});

it("is told in words", () => {
  const words = inWords(
    "Reward",
    [line([1, 2, 3], [0.5, 0.25, 1], "training"), line([1], [null], "validation")],
    (x) => `step ${x}`,
    String,
  );
  expect(words).toBe("Reward: training from 0.5 at step 1 to 1 at step 3, lowest 0.25 at step 2, highest 1 at step 3.");
});

it("is thinned evenly with both ends", () => {
  expect(thinned([0, 1, 2, 3, 4, 5, 6], 3)).toEqual([0, 3, 6]);
  expect(thinned([1], 3)).toEqual([1]);
});

it("is written as a table that spreadsheets do not calculate with", () => {
  expect(csv(["step", '=a"b'], [[1, null]])).toBe(`"step","'=a""b"\n1,`);
});
