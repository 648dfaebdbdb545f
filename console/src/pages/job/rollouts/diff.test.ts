import { describe, expect, test } from "vitest";
import { difference, MOST_WORDS, wordsOf } from "./diff";

const before = (parts: ReturnType<typeof difference>) =>
  parts.filter((part) => part.kind !== "added").map((part) => part.text);
const after = (parts: ReturnType<typeof difference>) =>
  parts.filter((part) => part.kind !== "removed").map((part) => part.text);

describe("difference", () => {
  test("keeps what both texts share and marks the rest", () => {
    expect(difference("The answer is 4.", "The right answer is 5.")).toEqual([
      { kind: "same", text: "The " },
      { kind: "added", text: "right " },
      { kind: "same", text: "answer is " },
      { kind: "removed", text: "4" },
      { kind: "added", text: "5" },
      { kind: "same", text: "." },
    ]);
  });

  test.each([
    ["", ""],
    ["", "new"],
    ["old", ""],
    ["a b c a b b a", "c b a b a c"],
    ["漢字 and 🎉 <b>", "漢字 or 🎉🎉 </b>\n"],
    ["x ".repeat(MOST_WORDS), `${"y ".repeat(MOST_WORDS)}x`],
  ])("loses nothing of either text", (first, second) => {
    const parts = difference(first, second);
    expect(before(parts).join("")).toBe(first);
    expect(after(parts).join("")).toBe(second);
  });

  test("equal texts have no changes", () => {
    expect(difference("same\nsame", "same\nsame")).toEqual([{ kind: "same", text: "same\nsame" }]);
  });
});

test("words joined are the text", () => {
  const text = "  It's 3.5 %\n\tof <x> 漢字!";
  expect(wordsOf(text).join("")).toBe(text);
});
