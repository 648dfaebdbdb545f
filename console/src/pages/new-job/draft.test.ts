import { describe, expect, test } from "vitest";
import { draftOf, emptyDraft, isBegun, parseDraft, requestOf, storedDraft, withSetting } from "./draft";

const draft = {
  ...emptyDraft(),
  name: " sums ",
  model: "smollm2-135m",
  training: { kind: "file", file_id: "file-1" } as const,
  config: { training: { epochs: 2 }, reward: { template: "math_answer" } },
};

describe("the request of a draft", () => {
  test("holds what was chosen and leaves out what was not", () => {
    expect(requestOf(draft)).toEqual({
      name: "sums",
      method: "reinforcement",
      model: "smollm2-135m",
      training: { kind: "file", file_id: "file-1" },
      config: { training: { epochs: 2 }, reward: { template: "math_answer" } },
    });
    expect(requestOf(emptyDraft())).toEqual({ method: "reinforcement", config: {} });
  });

  test("has no reward when the method is supervised, and has it again on the way back", () => {
    const supervised = { ...draft, method: "supervised" as const };
    expect(requestOf(supervised).config).toEqual({ training: { epochs: 2 } });
    expect(requestOf({ ...supervised, method: "reinforcement" }).config.reward).toEqual({ template: "math_answer" });
  });

  test("becomes the same draft again but for the name, which is unique", () => {
    expect(draftOf(requestOf(draft))).toEqual({ ...draft, name: "" });
  });
});

describe("a setting", () => {
  test("goes back to its default without a trace", () => {
    const changed = withSetting({}, "training", "epochs", 3);
    expect(changed).toEqual({ training: { epochs: 3 } });
    expect(withSetting(changed, "training", "epochs", undefined)).toEqual({});
  });

  test("leaves others as they are", () => {
    const config = { training: { epochs: 3, loss: "grpo" }, lora: { r: 4 } };
    expect(withSetting(config, "training", "epochs", undefined)).toEqual({
      training: { loss: "grpo" },
      lora: { r: 4 },
    });
    expect(config.training.epochs).toBe(3);
  });
});

describe("a stored draft", () => {
  test("is read back as it was", () => {
    expect(parseDraft(storedDraft(draft))).toEqual(draft);
  });

  test.each([
    null,
    "",
    "{oops",
    "[]",
    "null",
    JSON.stringify({ version: 0, draft }),
    JSON.stringify({ version: 1, draft: null }),
    JSON.stringify({ version: 1, draft: { ...draft, training: { kind: "carrier pigeon" } } }),
    JSON.stringify({ version: 1, draft: { ...draft, config: [] } }),
    JSON.stringify({ version: 1, draft: { ...draft, name: 7 } }),
  ])("of another form is not used: %s", (text) => {
    expect(parseDraft(text)).toBeNull();
  });

  test("that lacks what came later gets it", () => {
    const { metadata: _, ...older } = draft;
    expect(parseDraft(JSON.stringify({ version: 1, draft: older }))).toEqual(draft);
  });

  test("is begun once something was chosen", () => {
    expect(isBegun(emptyDraft())).toBe(false);
    expect(isBegun(draft)).toBe(true);
  });
});
