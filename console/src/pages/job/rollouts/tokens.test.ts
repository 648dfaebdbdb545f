import { expect, test } from "vitest";
import { LEVELS, levelOf, shownTokens, visible } from "./tokens";

test.each([
  [0, 0],
  [Math.log(0.9), 0],
  [Math.log(0.89), 1],
  [Math.log(0.3), 2],
  [Math.log(0.05), 3],
  [Math.log(0.001), 4],
  [-60, 4],
])("a log-prob of %f has the level %i", (logprob, level) => {
  expect(levelOf(logprob)).toBe(level);
});

test("every level has words", () => {
  expect(new Set(LEVELS.map((level) => level.words)).size).toBe(5);
});

test("parts of a character are shown with what completes it, and the least likely counts", () => {
  expect(shownTokens(["a", "", "", "漢", "b", ""], [-0.1, -5, -1, -0.2, -0.3, -9])).toEqual([
    { index: 0, text: "a", logprob: -0.1 },
    { index: 3, text: "漢", logprob: -5 },
    { index: 4, text: "b", logprob: -0.3 },
  ]);
});

test("blanks can be seen", () => {
  expect(visible(" a\n")).toBe("␣a⏎");
  expect(visible("")).toBe("∅");
});
