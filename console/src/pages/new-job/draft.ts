/** The job that is being put together: kept in the browser, so that it is there again after a reload. */

import { effect, signal } from "@preact/signals";
import { session } from "../../lib/session";

export interface FileSource {
  kind: "file";
  file_id: string;
}

export interface UriSource {
  kind: "uri";
  uri: string;
}

type Pairs = Record<string, string>;
export type Condition = { equals: Pairs } | { not_equals: Pairs };

/** Exactly one member is given. */
export interface Filters {
  equals?: Pairs | null;
  not_equals?: Pairs | null;
  and_all?: Condition[] | null;
  or_all?: Condition[] | null;
}

export interface LogsSource {
  kind: "logs";
  uri: string;
  use_prompt_response?: boolean;
  filters?: Filters | null;
}

export type Source = FileSource | UriSource | LogsSource;

export type Value = unknown;
export type Section = Record<string, Value>;
export type SectionName = "data" | "lora" | "training" | "evaluation" | "run" | "reward";
export type Config = Partial<Record<SectionName, Section>>;
export type Method = "reinforcement" | "supervised";

export interface Draft {
  /** Empty: the server makes one up. */
  name: string;
  method: Method;
  model: string;
  training: Source | null;
  /** Null: a share of the training rows is held out. */
  validation: Source | null;
  /** Only what differs from the defaults. */
  config: Config;
  /** The form that answers are asked to have, as a cloned job has it. */
  response_format: Record<string, unknown> | null;
  /** Part of the tuned model's name; empty: none. */
  suffix: string;
  /** Where results are copied to; empty: nowhere. */
  output_uri: string;
  metadata: Record<string, string>;
}

export type Change = Partial<Draft> | ((draft: Draft) => Partial<Draft>);
export type Update = (change: Change) => void;

export interface StepProps {
  draft: Draft;
  update: Update;
}

/** The body of `POST /api/jobs`, and of what is asked about a job before. */
export interface JobRequest {
  name?: string;
  method: Method;
  model?: string;
  training?: Source;
  validation?: Source;
  config: Config;
  response_format?: Record<string, unknown>;
  suffix?: string;
  output_uri?: string;
  metadata?: Record<string, string>;
}

const VERSION = 1;
const SECTIONS: readonly SectionName[] = ["data", "lora", "training", "evaluation", "run", "reward"];

export function emptyDraft(): Draft {
  return {
    name: "",
    method: "reinforcement",
    model: "",
    training: null,
    validation: null,
    config: {},
    response_format: null,
    suffix: "",
    output_uri: "",
    metadata: {},
  };
}

/** The body that makes the job; what was left empty is left out. */
export function requestOf(draft: Draft): JobRequest {
  const request: JobRequest = { method: draft.method, config: sectionsFor(draft) };
  if (draft.name.trim()) request.name = draft.name.trim();
  if (draft.model) request.model = draft.model;
  if (draft.training) request.training = draft.training;
  if (draft.validation) request.validation = draft.validation;
  if (draft.response_format && draft.method === "reinforcement") request.response_format = draft.response_format;
  if (draft.suffix.trim()) request.suffix = draft.suffix.trim();
  if (draft.output_uri.trim()) request.output_uri = draft.output_uri.trim();
  if (Object.keys(draft.metadata).length) request.metadata = draft.metadata;
  return request;
}

/** A draft that makes the same job again; its name is left to be chosen, as names are unique. */
export function draftOf(request: JobRequest): Draft {
  return {
    ...emptyDraft(),
    method: request.method === "supervised" ? "supervised" : "reinforcement",
    model: request.model ?? "",
    training: request.training ?? null,
    validation: request.validation ?? null,
    config: request.config ?? {},
    response_format: request.response_format ?? null,
    suffix: request.suffix ?? "",
    output_uri: request.output_uri ?? "",
    metadata: request.metadata ?? {},
  };
}

/** The configuration with a setting changed; undefined takes it back to its default. */
export function withSetting(config: Config, section: SectionName, field: string, value: Value | undefined): Config {
  const { [field]: _before, ...rest } = config[section] ?? {};
  const changed = value === undefined ? rest : { ...rest, [field]: value };
  const { [section]: _old, ...others } = config;
  return Object.keys(changed).length ? { ...others, [section]: changed } : others;
}

/** A setting that is a number; undefined where the default stands. */
export function numberSetting(config: Config, section: SectionName, field: string): number | undefined {
  const value = config[section]?.[field];
  return typeof value === "number" ? value : undefined;
}

/** Whether anything was chosen yet. */
export function isBegun(draft: Draft): boolean {
  return JSON.stringify(draft) !== JSON.stringify(emptyDraft());
}

/** What was stored, or null when it is nothing of this version. */
export function parseDraft(text: string | null): Draft | null {
  if (!text) return null;
  try {
    const kept = JSON.parse(text) as { version?: unknown; draft?: Partial<Draft> };
    if (kept.version !== VERSION || typeof kept.draft !== "object" || kept.draft === null) return null;
    const draft = { ...emptyDraft(), ...kept.draft };
    const isWhole =
      [draft.name, draft.model, draft.suffix, draft.output_uri].every((value) => typeof value === "string") &&
      (draft.method === "reinforcement" || draft.method === "supervised") &&
      isRecord(draft.config) &&
      isRecord(draft.metadata) &&
      [draft.training, draft.validation].every((source) => source === null || isSource(source));
    return isWhole ? draft : null;
  } catch {
    return null;
  }
}

export function storedDraft(draft: Draft): string {
  return JSON.stringify({ version: VERSION, draft });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSource(value: unknown): boolean {
  if (!isRecord(value)) return false;
  if (value.kind === "file") return typeof value.file_id === "string";
  return (value.kind === "uri" || value.kind === "logs") && typeof value.uri === "string";
}

/** Supervised jobs have no reward; what was set stays in the draft for the way back. */
function sectionsFor(draft: Draft): Config {
  const kept: Config = {};
  for (const name of SECTIONS) {
    const section = draft.config[name];
    if (section && Object.keys(section).length && !(name === "reward" && draft.method === "supervised"))
      kept[name] = section;
  }
  return kept;
}

const current = signal<Draft>(emptyDraft());
/** Where the draft in `current` is kept; null: nobody is signed in. */
let place: string | null = null;

effect(() => {
  const now = session.value;
  // Drafts of different projects name files and models of theirs.
  const next = now.state === "in" ? `tuneward.draft.${now.caller.project_id}` : null;
  if (next === place) return;
  place = next;
  current.value = (place !== null && parseDraft(read(place))) || emptyDraft();
});

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function update(change: Change): void {
  const before = current.peek();
  current.value = { ...before, ...(typeof change === "function" ? change(before) : change) };
  if (place === null) return;
  try {
    localStorage.setItem(place, storedDraft(current.value));
  } catch {
    // No room, or not allowed: the draft lives as long as the page.
  }
}

/** The draft, and what changes it. */
export function useDraft(): [Draft, Update] {
  return [current.value, update];
}

export function discardDraft(): void {
  update(emptyDraft());
}
