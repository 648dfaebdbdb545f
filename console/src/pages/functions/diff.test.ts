import { expect, it } from "vitest";
import { diffLines, withContext } from "./diff";
import { secondsOf } from "./words";

const shown = (before: string, after: string) =>
  diffLines(before, after).map((line) => `${{ same: " ", added: "+", removed: "-" }[line.kind]}${line.text}`);

it("a changed line is removed and added", () => {
  expect(shown("a\nb\nc\n", "a\nB\nc\n")).toEqual([" a", "-b", "+B", " c"]);
});

it("lines that moved are the shortest way to the new text", () => {
  expect(shown("a\nb\nc\nd", "b\nc\na\nd")).toEqual(["-a", " b", " c", "+a", " d"]);
});

it("equal texts have no changes, and empty ones are all new", () => {
  expect(diffLines("a\nb", "a\nb").every((line) => line.kind === "same")).toBe(true);
  expect(shown("", "a\nb")).toEqual(["-", "+a", "+b"]);
});

it("far from changes lines are left out, with one mark for each gap", () => {
  const text = Array.from({ length: 40 }, (_, line) => `line ${line}`);
  const found = withContext(diffLines(text.join("\n"), text.with(20, "other").join("\n")), 2);
  expect(found.filter((line) => line === null)).toHaveLength(2);
  expect(found).toHaveLength(2 + 2 + 2 + 2);
});

it("times are read as AWS writes them", () => {
  expect(secondsOf("1970-01-01T00:01:00.500+0000")).toBe(60.5);
  expect(secondsOf("never")).toBeNull();
});
