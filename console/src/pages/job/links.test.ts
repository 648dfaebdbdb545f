import { describe, expect, it } from "vitest";
import { nameProblem, numberOf, playgroundPath, suggestedName } from "./links";

describe("names of deployments", () => {
  it("are made of the job's name, and always allowed", () => {
    for (const name of ["sums", "a b/../c", "--", "é", "x".repeat(80), "sums--2", "ftjob-abc"]) {
      const made = suggestedName({ id: "ftjob-abc", name, suffix: null }, 20);
      expect(nameProblem(made), made).toBeNull();
    }
    expect(suggestedName({ id: "ftjob-abc", name: "my sums", suffix: null }, 20)).toBe("my-sums-step-20");
    expect(suggestedName({ id: "ftjob-abc", name: "ftjob-abc", suffix: "sums" }, 5)).toBe("sums-step-5");
  });

  it("are refused with a reason", () => {
    expect(nameProblem("")).not.toBeNull();
    expect(nameProblem("a--b")).not.toBeNull();
    expect(nameProblem("ä")).not.toBeNull();
    expect(nameProblem("x".repeat(64))).toBe("At most 63 characters.");
  });
});

it("puts names into addresses so that they stay names", () => {
  const job = { base_model: "a,b&c" } as Parameters<typeof playgroundPath>[0];
  expect(playgroundPath(job, "ft:x:y")).toBe("/playground?models=a%2Cb%26c,ft%3Ax%3Ay");
});

it("takes only finite numbers from records", () => {
  expect(numberOf({ a: 1.5, b: "1", c: null }, "a")).toBe(1.5);
  expect(numberOf({ a: 1.5, b: "1", c: null }, "b")).toBeNull();
  expect(numberOf(null, "a")).toBeNull();
});
