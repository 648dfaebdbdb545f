import { expect, it } from "vitest";
import { emptyDraft } from "../draft";
import { errorOf, keyOf } from "./run";

it("is another pre-flight only when something changed that it depends on", () => {
  const draft = { ...emptyDraft(), model: "tiny" };
  expect(keyOf({ ...draft, name: "a", suffix: "b", metadata: { c: "d" } })).toBe(keyOf(draft));
  expect(keyOf({ ...draft, config: { training: { temperature: 0.5 } } })).not.toBe(keyOf(draft));
});

it("says what the server said", () => {
  const error = errorOf('{"error": {"message": "No.", "code": "busy", "param": "prompts"}}');
  expect([error.message, error.code, error.param]).toEqual(["No.", "busy", "prompts"]);
  expect(errorOf("nonsense").message).toBe("The pre-flight failed.");
});
