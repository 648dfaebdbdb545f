/** What `GET /api/jobs/{id}/data` answers. */

export interface FileRows {
  rows: number;
  bad_lines: number;
  too_long: number;
  usable: number;
  duplicates: number;
  conflicts: number;
  without_reference: number;
  prompt_tokens: {
    count: number;
    min: number;
    mean: number;
    p50: number;
    p95: number;
    max: number;
    histogram: { from: number; to: number; prompts: number }[];
  } | null;
}

export interface DataReport {
  ok: boolean;
  errors: number;
  warnings: number;
  remarks: number;
  max_prompt_length: number;
  train: FileRows;
  validation: FileRows | null;
  leaks: number;
  near_leaks: number;
  counts: { severity: "error" | "warning" | "info"; code: string; count: number }[];
  split: { training: number; validation: number } | null;
}
