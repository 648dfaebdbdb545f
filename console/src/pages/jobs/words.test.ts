import { describe, expect, it } from "vitest";
import type { JobCard } from "../../lib/jobs";
import { done, progressOf, shortModel } from "./words";

const job = (changes: Partial<JobCard>) =>
  ({ state: "running", step: 3, estimated_finish: 160, started_at: 0, finished_at: null, ...changes }) as JobCard;

describe("how far a job is", () => {
  it("is the time left while it trains", () => {
    expect(progressOf(job({}), 100)).toBe("1 min 0 s left");
    expect(progressOf(job({ estimated_finish: 90 }), 100)).toBe("1.0 s left");
  });

  it("is what it waits for before", () => {
    expect(progressOf(job({ state: "queued" }), 100)).toBe("waiting for a free slot");
    expect(progressOf(job({ step: null, estimated_finish: null }), 100)).toBe("loading the model");
  });

  it("is how long it took afterwards", () => {
    expect(progressOf(job({ state: "succeeded", finished_at: 50 }), 100)).toBe("took 50 s");
    expect(progressOf(job({ state: "failed", started_at: null, finished_at: 50 }), 100)).toBe("");
  });
});

it("a model is called by the last part of its name", () => {
  expect(shortModel("HuggingFaceTB/SmolLM2-135M")).toBe("SmolLM2-135M");
  expect(shortModel("ft:tiny:acme::abc")).toBe("ft:tiny:acme::abc");
});

it("what was done depends on where the job was", () => {
  expect(done("pause", "running")).toContain("after its current step");
  expect(done("pause", "queued")).toBe("is paused.");
  expect(done("stop", "paused")).toBe("was stopped.");
});
