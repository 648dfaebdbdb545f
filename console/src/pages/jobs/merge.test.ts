import { describe, expect, it } from "vitest";
import type { JobCard } from "../../lib/jobs";
import { choices, refreshed, replaced, statesIn, taken, toggled } from "./merge";

function card(number: number, changes: Partial<JobCard> = {}): JobCard {
  return {
    id: `ftjob-${number}`,
    name: `job ${number}`,
    state: "running",
    method: "reinforcement",
    model: "tiny",
    base_model: "tiny",
    dialect: "openai",
    created_at: number,
    started_at: null,
    finished_at: null,
    updated_at: number,
    step: null,
    total_steps: null,
    estimated_finish: null,
    metric: "reward",
    newest: null,
    validation: { base: null, best: null, best_step: null },
    trend: { every: 1, values: [] },
    error: null,
    ...changes,
  };
}

const ids = (items: readonly JobCard[]) => items.map((item) => item.created_at);

describe("a list takes in a change", () => {
  const list = [card(5), card(3), card(1)];

  it("in the row that it concerns, and only there", () => {
    const after = replaced(list, card(3, { state: "failed" }));
    expect(ids(after)).toEqual([5, 3, 1]);
    expect(after[1]!.state).toBe("failed");
    expect(after[0]).toBe(list[0]);
    expect(replaced(list, card(4))).toBe(list);
  });

  it("at the place of a job that was not there", () => {
    expect(ids(taken(list, card(9), true))).toEqual([9, 5, 3, 1]);
    expect(ids(taken(list, card(4), true))).toEqual([5, 4, 3, 1]);
    expect(ids(taken([], card(4), false))).toEqual([4]);
  });

  it("but not behind the last row while there are pages that were not fetched", () => {
    expect(ids(taken(list, card(0), true))).toEqual([5, 3, 1]);
    expect(ids(taken(list, card(0), false))).toEqual([5, 3, 1, 0]);
  });

  it("without a second row for a job that is there", () => {
    expect(ids(taken(list, card(3), false))).toEqual([5, 3, 1]);
  });
});

describe("a first page that comes again", () => {
  it("replaces what it covers and leaves what lies behind", () => {
    const after = refreshed([card(5), card(4), card(2), card(1)], [card(6), card(5), card(3)]);
    expect(ids(after)).toEqual([6, 5, 3, 2, 1]);
  });

  it("that has nothing in common with the list replaces it, as jobs may be missing between them", () => {
    expect(ids(refreshed([card(2), card(1)], [card(9), card(8)]))).toEqual([9, 8]);
  });

  it("without any job empties the list", () => {
    expect(refreshed([card(1)], [])).toEqual([]);
  });
});

describe("states to filter by", () => {
  it("are those that jobs are in, and those that are chosen", () => {
    expect(choices({ failed: 2, running: 1, queued: 0 }, ["paused"])).toEqual(["running", "paused", "failed"]);
  });

  it("are read from an address, whatever stands there", () => {
    expect(statesIn("failed,running,nonsense,")).toEqual(["running", "failed"]);
    expect(statesIn(null)).toEqual([]);
  });

  it("are chosen one by one", () => {
    expect(toggled(["running"], "failed")).toEqual(["running", "failed"]);
    expect(toggled(["running", "failed"], "running")).toEqual(["failed"]);
  });
});
