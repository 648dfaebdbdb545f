/** Rewards as the server knows them: sections of a configuration, what they can be made of, and trying them. */

import { api, query } from "./api";

export interface Judge {
  model: string;
  rubric?: string;
  rubric_text?: string;
  scale?: [number, number];
  variables?: Record<string, string>;
  votes?: number;
  max_tokens?: number;
  cache?: boolean;
}

export interface Grader {
  template?: string;
  function?: string;
  endpoint?: { url: string; concurrency?: number };
  judge?: Judge;
  openai?: Record<string, unknown>;
  timeout_s?: number;
  batch_size?: number;
  retries?: number;
  reference_answer?: "raw" | "text";
}

export interface Part extends Grader {
  weight?: number;
  gate?: number;
  range?: [number, number];
}

export interface Compose {
  parts: Record<string, Part>;
  normalize?: boolean;
  gate_reward?: number;
  clip?: [number, number];
  length_penalty?: { free_characters: number; full_characters: number; weight?: number };
}

export interface Reward extends Grader {
  compose?: Compose;
  held_out?: Grader;
  on_failure?: "exclude" | "zero" | "fail";
  check?: boolean;
  error_budget?: number;
}

export interface Template {
  name: string;
  summary: string;
  documentation: string;
  row_fields: string[];
  settings: { name: string; value: string; meaning: string }[];
  source: string;
}

export interface Rubric {
  name: string;
  summary: string;
  row_format: string;
  variables: Record<string, string>;
  scale: [number, number];
  score_from: "judge" | "criteria";
  criteria: { name: string; met: string; weight: number; is_essential: boolean }[];
  text: string;
}

export interface Judges {
  data: { name: string; kind: "base" | "mapped" }[];
  place: "this server" | "another server" | "Amazon Bedrock";
  takes_any_name: boolean;
  concurrency: number;
  timeout_s: number;
}

export interface FunctionCard {
  name: string;
  arn: string;
  description: string;
  handler: string;
  timeout_s: number;
  memory_mb: number;
  last_modified: string;
  versions: number;
  newest_version: string | null;
  is_published: boolean;
  reserved_concurrency: number | null;
  used_by: { id: string; name: string; state: string; qualifier: string | null }[];
  problem: string | null;
}

export interface FunctionVersion {
  version: string;
  description: string;
  last_modified: string;
  code_sha256: string;
  code_bytes: number;
  handler: string;
  aliases: string[];
}

export interface FunctionCode {
  name: string;
  version: string;
  handler: string;
  description: string;
  revision: string;
  files: { path: string; bytes: number; text: string | null }[];
}

export interface FunctionCall {
  request_id: string;
  time: string;
  version: string;
  duration_ms: number;
  peak_memory_mb: number;
  error: string | null;
  output: string;
}

export interface PageOf<T> {
  data: T[];
  has_more: boolean;
}

export interface TestReceipt {
  grader: string;
  attempts: number;
  wall_ms: number;
  cpu_ms: number;
  peak_memory_bytes: number;
  stdout: string;
  stderr: string;
  limits: Record<string, number>;
  isolation: string;
}

export interface TestSample {
  row: number;
  completion: string;
  reward: number | null;
  held_out: number | null;
  components: Record<string, number>;
  metrics: Record<string, number>;
  verdict: "ok" | "error" | "timeout" | "oom" | "invalid";
  message: string;
  details: Record<string, unknown>;
  receipt: number;
}

export interface TestRow {
  id: string;
  prompt: string;
  reference_answer: string | null;
  row: Record<string, unknown> | null;
}

export interface CheckFinding {
  check: string;
  verdict: "pass" | "warn" | "fail" | "not applicable";
  message: string;
  advice: string | null;
  example: {
    row_id: string;
    completion: string;
    score: number | null;
    against: string | null;
    against_score: number | null;
  } | null;
}

export interface CheckReport {
  verdict: "pass" | "warn" | "fail";
  rows: number;
  scored: number;
  seconds: number;
  rendering: string | null;
  checks: CheckFinding[];
}

export interface RewardTest {
  grader: string | null;
  problem: string | null;
  seconds: number;
  rows: TestRow[];
  samples: TestSample[];
  receipts: TestReceipt[];
  report: CheckReport | null;
}

export interface RewardTestRequest {
  reward: Reward;
  code?: string;
  source?: unknown;
  rows?: unknown[];
  row_count?: number;
  completions?: string[][];
  answers?: ("reference" | "empty")[];
  texts?: string[];
  checks?: "none" | "quick" | "all";
}

export const testReward = (body: RewardTestRequest, signal?: AbortSignal) =>
  api.post<RewardTest>("/api/rewards/test", body, signal ? { signal } : {});

export const functionPath = (name: string, rest = "") => `/api/functions/${encodeURIComponent(name)}${rest}`;

export const getTemplates = (signal: AbortSignal) => api.get<{ data: Template[] }>("/api/reward-templates", { signal });
export const getRubrics = (signal: AbortSignal) => api.get<{ data: Rubric[] }>("/api/rubrics", { signal });
export const getJudges = (signal: AbortSignal) => api.get<Judges>("/api/judges", { signal });

export const getFunctions = (options: { after?: string; search?: string; limit?: number }, signal?: AbortSignal) =>
  api.get<PageOf<FunctionCard>>(`/api/functions${query(options)}`, signal ? { signal } : {});

/** Saves sources as a function's next version; makes the function when there is none. Returns the version. */
export async function saveFunction(
  name: string,
  files: Record<string, string>,
  options: { isNew: boolean; description?: string; revision?: string },
): Promise<string> {
  const description = options.description ? { description: options.description } : {};
  if (options.isNew) {
    const made = await api.post<FunctionCard>("/api/functions", { name, files, ...description });
    return made.newest_version ?? "1";
  }
  const revision = options.revision ? { revision: options.revision } : {};
  const version = await api.put<FunctionVersion>(functionPath(name, "/code"), { files, ...description, ...revision });
  return version.version;
}
