/** What a job may be told, as the server lists it: names, types, ranges, defaults and guidance. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, api } from "../../../lib/api";
import type { Config, Method, SectionName } from "../draft";

export interface Setting {
  /** `SECTION.FIELD`. */
  name: string;
  type: "integer" | "number" | "boolean" | "choice" | "text" | "texts";
  default: unknown;
  is_optional: boolean;
  minimum: number | null;
  maximum: number | null;
  excludes_minimum: boolean;
  excludes_maximum: boolean;
  choices: string[];
  guidance: string;
}

interface Loaded {
  settings?: Setting[];
  error?: ApiError;
}

const schemas = signal<Partial<Record<Method, Loaded>>>({});

async function load(method: Method): Promise<void> {
  if (schemas.peek()[method]?.settings) return;
  try {
    const { data } = await api.get<{ data: Setting[] }>(`/api/settings-schema?method=${method}`);
    schemas.value = { ...schemas.peek(), [method]: { settings: data } };
  } catch (caught) {
    const error = caught instanceof ApiError ? caught : new ApiError(String(caught), -1);
    schemas.value = { ...schemas.peek(), [method]: { error } };
  }
}

/** The settings of a method, fetched once. */
export function useSchema(method: Method): Loaded & { reload: () => void } {
  useEffect(() => void load(method), [method]);
  return { ...schemas.value[method], reload: () => void load(method) };
}

/** The settings as far as they are here; what is not known yet cannot be wrong. */
export function knownSchema(method: Method): readonly Setting[] {
  return schemas.value[method]?.settings ?? [];
}

export function placeOf(name: string): [SectionName, string] {
  const [section, field] = name.split(".") as [SectionName, string];
  return [section, field];
}

/** What the draft says; undefined: nothing, so that the default stands. */
export function givenValue(config: Config, name: string): unknown {
  const [section, field] = placeOf(name);
  return config[section]?.[field];
}

export interface Group {
  title: string;
  names: readonly string[];
}

/** What most people look at, in the order of thinking; the others are for those who search. */
export const GROUPS: Record<Method, readonly Group[]> = {
  reinforcement: [
    {
      title: "How long",
      names: ["training.epochs", "training.max_steps", "training.prompts_per_step", "training.samples_per_prompt"],
    },
    {
      title: "Prompts and completions",
      names: ["data.max_prompt_length", "training.max_completion_tokens", "training.temperature"],
    },
    { title: "Adapter", names: ["training.learning_rate", "lora.r", "lora.alpha"] },
    {
      title: "Evaluation",
      names: ["evaluation.every_steps", "evaluation.early_stopping", "evaluation.patience", "run.seed"],
    },
  ],
  supervised: [
    { title: "How long", names: ["training.epochs", "training.max_steps", "training.rows_per_step"] },
    { title: "Rows", names: ["data.max_row_tokens"] },
    { title: "Adapter", names: ["training.learning_rate", "lora.r", "lora.alpha"] },
    {
      title: "Evaluation",
      names: ["evaluation.every_steps", "evaluation.early_stopping", "evaluation.patience", "run.seed"],
    },
  ],
};

const TITLES: Record<string, string> = {
  "training.epochs": "Epochs",
  "training.max_steps": "Steps at most",
  "training.prompts_per_step": "Batch size (prompts per step)",
  "training.rows_per_step": "Batch size (rows per step)",
  "training.samples_per_prompt": "Samples per prompt (group size)",
  "data.max_prompt_length": "Longest prompt, tokens",
  "data.max_row_tokens": "Longest row, tokens",
  "training.max_completion_tokens": "Longest completion, tokens",
  "training.temperature": "Temperature",
  "training.learning_rate": "Learning rate",
  "lora.r": "LoRA rank",
  "lora.alpha": "LoRA alpha",
  "evaluation.every_steps": "Evaluate every … steps",
  "evaluation.early_stopping": "Early stopping",
  "evaluation.patience": "Patience, evaluations",
  "run.seed": "Seed",
};

/** `training.max_grad_norm` → Max grad norm. */
export function titleOf(name: string): string {
  const words = placeOf(name)[1].replaceAll("_", " ");
  return TITLES[name] ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** Guidance in a form's words: what a configuration calls None is an empty field here. */
export function wordsOf(guidance: string): string {
  return guidance
    .replace(/\s*\(contract [\d., ]+\)/g, "")
    .replace(/(^|[.;:] )None\b/g, "$1Empty")
    .replace(/\bNone\b/g, "empty");
}

/** A value as it stands in a field. */
export function shownValue(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "boolean" ? (value ? "on" : "off") : String(value);
}

/** What was typed as a value; undefined: nothing. Text that is no number stays text, for `problemOf` to refuse. */
export function typedValue(setting: Setting, text: string): unknown {
  const trimmed = text.trim();
  if (!trimmed) return undefined;
  if (setting.type === "integer" || setting.type === "number") {
    const number = Number(trimmed);
    return Number.isFinite(number) ? number : trimmed;
  }
  if (setting.type === "texts" && trimmed.includes(",")) {
    return trimmed
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean);
  }
  return trimmed;
}

/** `at least 1 and at most 50`; empty without limits. */
export function rangeOf(setting: Setting): string {
  const limits = [];
  if (setting.minimum !== null)
    limits.push(`${setting.excludes_minimum ? "more than" : "at least"} ${setting.minimum}`);
  if (setting.maximum !== null) limits.push(`${setting.excludes_maximum ? "less than" : "at most"} ${setting.maximum}`);
  return limits.join(" and ");
}

/** Why a value cannot be; null: it can. */
export function problemOf(setting: Setting, value: unknown): string | null {
  if (value === undefined || (value === null && setting.is_optional)) return null;
  if (setting.type === "choice") {
    return setting.choices.includes(String(value)) ? null : `Choose one of ${setting.choices.join(", ")}.`;
  }
  if (setting.type === "boolean") return typeof value === "boolean" ? null : "Choose on or off.";
  if (setting.type !== "integer" && setting.type !== "number") return null;
  const range = rangeOf(setting);
  if (typeof value !== "number") return `Enter a number${range && `, ${range}`}.`;
  if (setting.type === "integer" && !Number.isInteger(value)) return `Enter a whole number${range && `, ${range}`}.`;
  const { minimum: low, maximum: high } = setting;
  const isLow = low !== null && (setting.excludes_minimum ? value <= low : value < low);
  const isHigh = high !== null && (setting.excludes_maximum ? value >= high : value > high);
  return isLow || isHigh ? `It must be ${range}.` : null;
}

/** Settings whose name, title or guidance has all the words. */
export function found(settings: readonly Setting[], words: string): Setting[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return settings.filter((setting) => {
    const text = `${setting.name} ${titleOf(setting.name)} ${setting.guidance}`.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
