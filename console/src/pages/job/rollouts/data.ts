/** Rollouts and validation answers as `/api/jobs/{id}/rollouts` and `/api/jobs/{id}/evaluations` tell of them. */

import { api, query } from "../../../lib/api";

export interface RolloutStep {
  step: number;
  groups: number;
  samples: number;
  reward_mean: number | null;
  reward_min: number | null;
  reward_max: number | null;
  mixed: number;
  truncated: number;
  failed: number;
}

export interface RolloutSteps {
  data: RolloutStep[];
  count: number;
}

export interface ShownStep extends RolloutStep {
  previous: number | null;
  next: number | null;
}

export interface GroupCard {
  step: number;
  row: string;
  line: number;
  preview: string;
  samples: number;
  reward_mean: number | null;
  reward_std: number | null;
  reward_min: number | null;
  reward_max: number | null;
  rewards: (number | null)[];
  is_mixed: boolean;
  truncated: number;
  failed: number;
  tokens: number;
}

export interface RolloutPage {
  step: ShownStep | null;
  data: GroupCard[];
  next: number | null;
}

export interface Asked {
  messages: Record<string, unknown>[];
  reference_answer: unknown;
  metadata: Record<string, unknown>;
  tools: Record<string, unknown>[];
}

export interface Receipt {
  grader: string;
  verdict: string;
  message: string;
  attempts: number;
  wall_s: number | null;
  cpu_s: number | null;
  peak_memory_bytes: number;
  stdout_tail: string;
  stderr_tail: string;
  limits: Record<string, number | null>;
  isolation: string;
}

export interface ShortSample {
  text: string;
  tokens: number;
  finish_reason: string;
  reward: number | null;
}

export interface Sample extends ShortSample {
  index: number;
  end: string;
  logprob: number | null;
  entropy: number | null;
  advantage: number | null;
  metrics: Record<string, number | null>;
  components: string[];
  details: Record<string, unknown>;
  receipt: Receipt;
  pieces: string[] | null;
  logprobs: number[] | null;
}

export interface Group extends GroupCard {
  prompt: Asked;
  data: Sample[];
  next: number | null;
}

export interface HistoryEntry extends GroupCard {
  best: ShortSample | null;
  worst: ShortSample | null;
}

export interface History {
  data: HistoryEntry[];
  next: number | null;
}

export interface ValidationAnswer {
  text: string;
  reward: number | null;
  completion_tokens: number;
  finish_reason: string;
  held_out: number | null;
}

export interface ValidationRow {
  row: string;
  prompt: Asked | null;
  preview: string;
  before: ValidationAnswer | null;
  after: ValidationAnswer;
  gain: number | null;
}

export interface Evaluations {
  steps: number[];
  step: number | null;
  against: number | null;
  rows: number;
  better: number;
  worse: number;
  mean_before: number | null;
  mean_after: number | null;
  data: ValidationRow[];
  next: number | null;
}

export const SORTS = [
  { value: "line", label: "Line in the file" },
  { value: "reward", label: "Highest reward" },
  { value: "lowest", label: "Lowest reward" },
  { value: "spread", label: "Widest spread" },
] as const;

export const FILTERS = [
  { value: "", label: "All prompts" },
  { value: "mixed", label: "Rewards differ" },
  { value: "same", label: "No signal" },
  { value: "truncated", label: "Truncated" },
  { value: "failed", label: "Grader failed" },
] as const;

export interface GroupFilter {
  sort: string;
  only: string;
  search: string;
}

const PAGE = 50;

export class Rollouts {
  private readonly base: string;

  constructor(jobId: string) {
    this.base = `/api/jobs/${encodeURIComponent(jobId)}`;
  }

  steps(signal: AbortSignal): Promise<RolloutSteps> {
    return api.get(`${this.base}/rollouts/steps${query({ limit: 400 })}`, { signal });
  }

  page(step: number | null, filter: GroupFilter, after: number, signal?: AbortSignal): Promise<RolloutPage> {
    const path = `${this.base}/rollouts${query({ step, ...filter, after, limit: PAGE })}`;
    return api.get(path, signal ? { signal } : {});
  }

  group(step: number, row: string, withTokens: boolean, after: number, signal?: AbortSignal): Promise<Group> {
    const path = `${this.base}/rollouts/group${query({ step, row, tokens: withTokens, after, limit: 8 })}`;
    return api.get(path, signal ? { signal } : {});
  }

  history(row: string, signal: AbortSignal): Promise<History> {
    return api.get(`${this.base}/rollouts/history${query({ row, limit: 50 })}`, { signal });
  }

  evaluations(
    choice: { step: number | null; against: number; sort: string; search: string },
    after: number,
    signal?: AbortSignal,
  ): Promise<Evaluations> {
    const path = `${this.base}/evaluations${query({ ...choice, after, limit: 20 })}`;
    return api.get(path, signal ? { signal } : {});
  }
}
