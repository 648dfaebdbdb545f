import { expect, it } from "vitest";
import { appended, NOTHING } from "./metrics";

const more = { last: 9, steps: [3], times: [30], series: { b: [0.3], c: [1] } };

it("puts new numbers after those known, with gaps where a column has none", () => {
  const known = { last: 7, steps: [1, 2], times: [10, 20], series: { a: [5, null], b: [0.1, 0.2] } };
  expect(appended(known, more)).toEqual({
    last: 9,
    steps: [1, 2, 3],
    times: [10, 20, 30],
    series: { a: [5, null, null], b: [0.1, 0.2, 0.3], c: [null, null, 1] },
  });
});

it("stays the same object when nothing came", () => {
  expect(appended(NOTHING, { last: 0, steps: [], times: [], series: {} })).toBe(NOTHING);
});
