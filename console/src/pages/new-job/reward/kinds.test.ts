import { describe, expect, it } from "vitest";
import type { Reward } from "../../../lib/rewards";
import type { CodeDraft } from "./code-draft";
import { kindOf, nameProblem, rewardProblems, rubricVariables, withGrader } from "./kinds";

const saved: CodeDraft = {
  text: "a",
  name: "mine",
  isChosen: true,
  saved: { reference: "mine:1", text: "a" },
};

describe("the kind of a reward", () => {
  it("is what the section names", () => {
    expect(kindOf({ template: "math_answer" }, undefined)).toBe("template");
    expect(kindOf({ judge: { model: "a" } }, undefined)).toBe("judge");
    expect(kindOf({ compose: { parts: {} } }, undefined)).toBe("compose");
    expect(kindOf({}, undefined)).toBeNull();
  });

  it("is own code for the function that the code was saved as, and for code that is not saved yet", () => {
    expect(kindOf({ function: "mine:1" }, saved)).toBe("code");
    expect(kindOf({ function: "mine:2" }, saved)).toBe("function");
    expect(kindOf({ function: "mine:1" }, undefined)).toBe("function");
    expect(kindOf({}, { ...saved, saved: null })).toBe("code");
  });

  it("changes without losing what stands beside the grader", () => {
    const before: Reward = { template: "math_answer", on_failure: "zero", held_out: { template: "tool_call" } };
    expect(withGrader(before, { function: "mine:1" })).toEqual({
      function: "mine:1",
      on_failure: "zero",
      held_out: { template: "tool_call" },
    });
  });
});

describe("what is still wrong", () => {
  it.each<[Reward, string]>([
    [{}, "Choose a kind of reward."],
    [{ template: "" }, "Choose a template."],
    [{ function: "" }, "Choose a function."],
    [{ endpoint: { url: "localhost" } }, "Give the address of the endpoint."],
    [{ openai: {} }, "Give the grader as a JSON object with a type."],
    [{ judge: { model: "" } }, "Choose the model that judges."],
    [
      { judge: { model: "a", rubric_text: "Good?" } },
      "The rubric never shows the completion: put {{response}} where it belongs.",
    ],
    [{ judge: { model: "a", scale: [5, 1] } }, "The highest score must be above the lowest."],
    [{ compose: { parts: {} } }, "Add a part to the composition."],
    [{ compose: { parts: { a: { template: "" } } } }, "a: Choose a template."],
    [
      { compose: { parts: { a: { template: "b", weight: 0 } } } },
      "Every part has weight 0; give one of them a weight.",
    ],
    [{ compose: { parts: { a: { template: "b", range: [1, 0] } } } }, "a: The range must name its lower end first."],
    [{ template: "b", held_out: { template: "" } }, "Held-out grader: Choose a template."],
  ])("%j", (reward, problem) => {
    expect(rewardProblems(reward, {})).toEqual([problem]);
  });

  it("is nothing for rewards that can be used", () => {
    expect(rewardProblems({ template: "a" }, {})).toEqual([]);
    expect(rewardProblems({ function: "mine:1" }, { "": saved })).toEqual([]);
    expect(rewardProblems({ compose: { parts: { a: { template: "b" } } } }, {})).toEqual([]);
  });

  it("is code that was changed since it was saved", () => {
    expect(rewardProblems({ function: "mine:1" }, { "": { ...saved, text: "b" } })).toEqual([
      "Save the latest changes of your code, or undo them.",
    ]);
    expect(rewardProblems({}, { "": { ...saved, saved: null } })).toEqual(["Save your code as a function."]);
  });
});

it("names of parts are those that metrics can have", () => {
  expect(nameProblem("exact_match-2", [])).toBeNull();
  expect(nameProblem("", [])).not.toBeNull();
  expect(nameProblem("two words", [])).not.toBeNull();
  expect(nameProblem("gated", [])).not.toBeNull();
  expect(nameProblem("a", ["a"])).not.toBeNull();
});

it("variables of a rubric are found once, in order", () => {
  expect(rubricVariables("{{ prompt }} {{response}} {{prompt}} {{metadata.kind}}")).toEqual([
    "prompt",
    "response",
    "metadata.kind",
  ]);
});
