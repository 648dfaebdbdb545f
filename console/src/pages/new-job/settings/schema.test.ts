import { describe, expect, it } from "vitest";
import { found, problemOf, rangeOf, type Setting, titleOf, typedValue, wordsOf } from "./schema";

const RATE: Setting = {
  name: "training.learning_rate",
  type: "number",
  default: 1e-4,
  is_optional: false,
  minimum: 0,
  maximum: 1,
  excludes_minimum: true,
  excludes_maximum: false,
  choices: [],
  guidance: "AdamW step size for the adapter.",
};
const STEPS: Setting = {
  ...RATE,
  name: "training.max_steps",
  type: "integer",
  is_optional: true,
  minimum: 1,
  maximum: null,
  excludes_minimum: false,
};

describe("problemOf", () => {
  it("keeps to the range and says it", () => {
    expect(rangeOf(RATE)).toBe("more than 0 and at most 1");
    expect(problemOf(RATE, 0)).toBe("It must be more than 0 and at most 1.");
    expect(problemOf(RATE, 1)).toBeNull();
    expect(problemOf(RATE, 1.01)).not.toBeNull();
    expect(problemOf(RATE, "fast")).toContain("Enter a number");
  });

  it("takes whole numbers, and nothing where nothing may be given", () => {
    expect(problemOf(STEPS, 1.5)).toContain("whole number");
    expect(problemOf(STEPS, null)).toBeNull();
    expect(problemOf(RATE, null)).not.toBeNull();
    expect(problemOf(RATE, undefined)).toBeNull();
  });
});

describe("typedValue", () => {
  it("reads numbers as people write them", () => {
    expect(typedValue(RATE, " 3e-4 ")).toBe(3e-4);
    expect(typedValue(RATE, "")).toBeUndefined();
    expect(typedValue(RATE, "1..2")).toBe("1..2");
  });

  it("makes a list of texts between commas, and leaves one text alone", () => {
    const modules: Setting = { ...RATE, name: "lora.target_modules", type: "texts" };
    expect(typedValue(modules, "q_proj, v_proj,")).toEqual(["q_proj", "v_proj"]);
    expect(typedValue(modules, "all-linear")).toBe("all-linear");
  });
});

it("finds settings by any of their words", () => {
  expect(found([RATE, STEPS], "adamw STEP")).toEqual([RATE, STEPS]);
  expect(found([RATE, STEPS], "learning adapter")).toEqual([RATE]);
  expect(found([RATE, STEPS], "nothing")).toEqual([]);
});

it("speaks of fields, not of Python", () => {
  expect(wordsOf("Steps between evaluations; None: min(10, rows) (contract 1.6).")).toBe(
    "Steps between evaluations; Empty: min(10, rows).",
  );
  expect(titleOf("training.max_grad_norm")).toBe("Max grad norm");
});
