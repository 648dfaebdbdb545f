import { expect, test } from "vitest";
import { partsOf, refusal } from "./upload";

test("parts cover the file once, in order", () => {
  expect(partsOf(10, 4)).toEqual([
    [0, 4],
    [4, 8],
    [8, 10],
  ]);
  expect(partsOf(8, 4)).toEqual([
    [0, 4],
    [4, 8],
  ]);
});

test("only files of lines are taken, whatever the case of their ending", () => {
  expect(refusal({ name: "rows.JSONL", size: 1 })).toBeNull();
  expect(refusal({ name: "rows.csv", size: 1 })).toContain("does not end in .jsonl");
  expect(refusal({ name: "rows.jsonl", size: 0 })).toContain("is empty");
});
