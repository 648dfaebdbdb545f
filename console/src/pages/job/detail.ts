/** A job in full, as `GET /api/jobs/{id}` answers. */

import type { JobAction, JobCard } from "../../lib/jobs";

export interface SourceCard {
  kind: "file" | "uri" | "logs";
  name: string;
  filename: string | null;
  bytes: number | null;
  filters: Record<string, unknown> | null;
}

export interface RowProblem {
  file: "training" | "validation";
  /** 0: about the whole file. */
  line: number;
  field: string;
  severity: "error" | "warning" | "info";
  code: string;
  message: string;
  fix: string;
}

export interface JobFailure {
  code: string | null;
  message: string;
  param: string | null;
  remedy: string;
  problems: RowProblem[];
  has_more_problems: boolean;
}

export interface ModelCard {
  id: string;
  name: string;
  custom_name: string;
  step: number;
  created_at: number;
  deployments: string[];
}

export interface RunResult {
  base: Record<string, unknown>;
  tuned: Record<string, unknown> | null;
  comparison?: Record<string, unknown> | null;
  held_out?: Record<string, unknown> | null;
  verdict: string;
  steps: number;
  best_step: number;
  adapter_step: number;
  stopped_because: string;
  train_seconds: number;
  total_seconds: number;
  memory?: Record<string, unknown> | null;
}

export interface JobDetail extends JobCard {
  actions: JobAction[];
  created_by: string;
  phases: { name: string; started_at: number; ended_at: number | null }[];
  trained_tokens: number | null;
  plan: Record<string, unknown>;
  training: SourceCard;
  validation_sources: SourceCard[];
  suffix: string | null;
  metadata: Record<string, string> | null;
  output_uri: string | null;
  result_files: string[];
  failure: JobFailure | null;
  result: RunResult | null;
  tuned_model: ModelCard | null;
  best_checkpoint: number | null;
}
