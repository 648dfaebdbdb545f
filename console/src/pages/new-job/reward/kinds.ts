/** What kind of reward a section of the configuration is, and what is still wrong with it. */

import type { Compose, Grader, Judge, Reward } from "../../../lib/rewards";
import { type CodeDraft, isSavedAs } from "./code-draft";

export type Kind = "template" | "code" | "judge" | "function" | "endpoint" | "openai" | "compose";

/** Places in a reward where a grader stands: the reward itself, its parts, the held-out grader. */
export const TOP = "";
export const HELD_OUT = "held_out";
export const partSlot = (name: string): string => `part:${name}`;

export type Codes = Record<string, CodeDraft>;

const GRADERS = ["template", "function", "endpoint", "judge", "openai"] as const;

/** Own code that is not saved yet leaves no trace in the section; only its draft knows that it was chosen. */
export function kindOf(section: Reward, code: CodeDraft | undefined): Kind | null {
  if (section.compose) return "compose";
  if (section.function !== undefined) return code?.isChosen && isSavedAs(code, section.function) ? "code" : "function";
  const given = GRADERS.find((name) => section[name] !== undefined);
  return given ?? (code?.isChosen ? "code" : null);
}

/** The section with another grader; limits and what stands beside the grader stay. */
export function withGrader<S extends Reward>(section: S, grader: Partial<Reward>): S {
  const { template: _t, function: _f, endpoint: _e, judge: _j, openai: _o, compose: _c, ...rest } = section;
  return { ...rest, ...grader } as S;
}

export const FIRST_JUDGE: Judge = { model: "", rubric: "instruction_following" };

const FIRST_OPENAI = {
  type: "string_check",
  name: "exact",
  operation: "eq",
  input: "{{sample.output_text}}",
  reference: "{{item.reference_answer}}",
};

export function firstOf(kind: Kind, code: CodeDraft | undefined): Partial<Reward> {
  switch (kind) {
    case "template":
      return { template: "" };
    case "code":
      return code?.saved ? { function: code.saved.reference } : {};
    case "judge":
      return { judge: FIRST_JUDGE };
    case "function":
      return { function: "" };
    case "endpoint":
      return { endpoint: { url: "" } };
    case "openai":
      return { openai: FIRST_OPENAI };
    case "compose":
      return { compose: { parts: {} } };
  }
}

const PART_NAME = /^[A-Za-z0-9_-]+$/;
const RESERVED = ["gated", "length_penalty"];

/** Why a name cannot be a part's. */
export function nameProblem(name: string, others: readonly string[]): string | null {
  if (!name) return "Give the part a name.";
  if (!PART_NAME.test(name)) return "Use letters, digits, _ and -.";
  if (RESERVED.includes(name)) return `“${name}” is a metric of every composition; choose another name.`;
  if (others.includes(name)) return "Another part has this name.";
  return null;
}

/** Names in double braces. */
export function rubricVariables(text: string): string[] {
  return [...new Set([...text.matchAll(/\{\{(.*?)\}\}/gs)].map((found) => found[1]!.trim()))];
}

/** Why a job cannot start with this reward; empty: it can, as far as the browser knows. */
export function rewardProblems(section: Reward, codes: Codes): string[] {
  const found = section.compose ? composeProblems(section.compose, codes) : graderProblems(section, codes[TOP]);
  if (section.held_out) {
    found.push(...graderProblems(section.held_out, codes[HELD_OUT]).map((text) => `Held-out grader: ${text}`));
  }
  return found;
}

function graderProblems(section: Grader, code: CodeDraft | undefined): string[] {
  switch (kindOf(section, code)) {
    case null:
      return ["Choose a kind of reward."];
    case "template":
      return section.template ? [] : ["Choose a template."];
    case "code":
      if (!code?.saved) return ["Save your code as a function."];
      return code.text === code.saved.text ? [] : ["Save the latest changes of your code, or undo them."];
    case "function":
      return section.function ? [] : ["Choose a function."];
    case "endpoint":
      return /^https?:\/\/\S+$/.test(section.endpoint?.url ?? "") ? [] : ["Give the address of the endpoint."];
    case "openai":
      return typeof section.openai?.type === "string" ? [] : ["Give the grader as a JSON object with a type."];
    case "judge":
      return judgeProblems(section.judge!);
    default:
      return [];
  }
}

export function judgeProblems(judge: Judge): string[] {
  const found = [];
  if (!judge.model) found.push("Choose the model that judges.");
  if (judge.rubric_text !== undefined && !rubricVariables(judge.rubric_text).includes("response"))
    found.push("The rubric never shows the completion: put {{response}} where it belongs.");
  if (judge.scale && judge.scale[1] <= judge.scale[0]) found.push("The highest score must be above the lowest.");
  return found;
}

function composeProblems(compose: Compose, codes: Codes): string[] {
  const parts = Object.entries(compose.parts);
  if (!parts.length) return ["Add a part to the composition."];
  const found = parts.flatMap(([name, part]) => {
    const own = graderProblems(part, codes[partSlot(name)]);
    if (part.range && part.range[0] >= part.range[1]) own.push("The range must name its lower end first.");
    return own.map((text) => `${name}: ${text}`);
  });
  const weights = parts.map(([, part]) => part.weight ?? 1);
  if (weights.every((weight) => weight === 0)) found.push("Every part has weight 0; give one of them a weight.");
  else if (compose.normalize && weights.reduce((sum, weight) => sum + weight, 0) <= 0)
    found.push("To divide by the sum of the weights, the sum must be above 0.");
  if (compose.clip && compose.clip[0] >= compose.clip[1]) found.push("The cut must name its lower end first.");
  const penalty = compose.length_penalty;
  if (penalty && penalty.full_characters <= penalty.free_characters)
    found.push("The length penalty must be full at more characters than are free.");
  return found;
}
