import { expect, it } from "vitest";
import { block, inline, shown } from "./shapes";

it("writes plain values on one line and leaves the others to a block", () => {
  expect(["a", 1e-4, true, null, [1, 2], []].map(inline)).toEqual(["a", "0.0001", "yes", "–", "1, 2", "none"]);
  expect([{ a: 1 }, "a\nb", "x".repeat(201), [{ a: 1 }]].map(inline)).toEqual([null, null, null, null]);
  expect(block("a\nb")).toBe("a\nb");
  expect(block({ a: 1 })).toBe('{\n  "a": 1\n}');
});

it("shows what differs from the defaults, without empty sections", () => {
  const setting = (name: string, is_changed: boolean) => ({ name, value: 1, default: 2, is_changed, description: "" });
  const sections = [
    { name: "data", description: "", settings: [setting("shuffle", false)] },
    { name: "training", description: "", settings: [setting("epochs", true), setting("beta", false)] },
  ];
  expect(shown(sections, true).map((one) => [one.name, one.settings.length])).toEqual([["training", 1]]);
  expect(shown(sections, false)).toEqual(sections);
});
