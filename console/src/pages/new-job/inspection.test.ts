import { afterEach, describe, expect, test } from "vitest";
import { emptyDraft } from "./draft";
import { type Inspected, inspection, knownRows, questionOf } from "./inspection";

const file = { kind: "file", file_id: "file-1" } as const;

describe("what is asked about the rows of a draft", () => {
  test("is nothing before there are any", () => {
    expect(questionOf(emptyDraft())).toBeNull();
  });

  test("holds the defaults as long as nothing else was chosen", () => {
    expect(questionOf({ ...emptyDraft(), training: file })).toEqual({
      source: file,
      method: "reinforcement",
      holdout_share: 0.1,
      limit: 20,
    });
  });

  test("has the limit of the method", () => {
    const config = { data: { max_prompt_length: 100, max_row_tokens: 300, holdout_share: 0.2 } };
    const draft = { ...emptyDraft(), training: file, model: "tiny", config };
    expect(questionOf(draft)).toMatchObject({ model: "tiny", max_tokens: 100, holdout_share: 0.2 });
    expect(questionOf({ ...draft, method: "supervised" })).toMatchObject({ max_tokens: 300 });
  });
});

describe("what the forecast is told of the rows", () => {
  const lengths = { count: 10, min: 5, mean: 20.5, max: 900, percentiles: {}, histogram: [] };
  const found = { max_tokens: 512, split: { train: 8, validation: 2 }, train: { lengths } } as unknown as Inspected;
  const before = inspection.value;

  afterEach(() => {
    inspection.value = before;
  });

  test("has no prompt that would be dropped", () => {
    inspection.value = { key: "k", data: found, error: undefined, isBusy: false };
    expect(knownRows()).toEqual({ training: 8, validation: 2, longest_prompt: 512, mean_prompt: 20.5 });
  });

  test("is nothing while it is of an earlier question, or when no row is left", () => {
    inspection.value = { key: "k", data: found, error: undefined, isBusy: true };
    expect(knownRows()).toBeUndefined();
    inspection.value = {
      key: "k",
      data: { ...found, split: { train: 0, validation: 0 } },
      error: undefined,
      isBusy: false,
    };
    expect(knownRows()).toBeUndefined();
  });
});
