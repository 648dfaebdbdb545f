/** Base models as `GET /api/base-models` tells of them. */

export interface TuningMemory {
  needs_bytes: number;
  planned_bytes: number;
  limit_bytes: number | null;
  phase: string;
  parts: { name: string; bytes: number }[];
  fits: boolean;
  problem: string | null;
}

export interface BaseModel {
  id: string;
  managed_id: string;
  aliases: string[];
  provider: string;
  state: "here" | "absent" | "damaged";
  problem: string | null;
  loaded: boolean;
  architecture: string | null;
  parameters: number | null;
  layers: number | null;
  hidden: number | null;
  vocabulary: number | null;
  context_tokens: number | null;
  disk_bytes: number | null;
  /** Null until it was told. */
  memory: TuningMemory | null;
}

export interface BaseModels {
  data: BaseModel[];
  default: string | null;
}

/** Tuned models as `GET /api/models` tells of them, as far as they are shown here. */
export interface TunedModel {
  name: string;
  custom_name: string;
  base: { id: string };
  job: { id: string; name: string } | null;
  step: number;
  validation: { measure: "reward" | "loss"; base: number | null; tuned: number | null } | null;
  created_at: number;
}

export interface TunedModels {
  data: TunedModel[];
  next: string | null;
}

/** 134515008 → 135 M. */
export function parameters(amount: number | null): string {
  if (amount === null) return "–";
  if (amount >= 1e9) return `${(amount / 1e9).toPrecision(3)} B`;
  if (amount >= 1e6) return `${(amount / 1e6).toPrecision(3)} M`;
  return `${(amount / 1e3).toPrecision(3)} k`;
}
