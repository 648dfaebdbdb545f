/** Jobs as `/api/jobs` and the live streams tell of them. */

export type JobState =
  | "validating"
  | "queued"
  | "running"
  | "pausing"
  | "paused"
  | "stopping"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "stopped";

export interface JobCard {
  /** `ftjob-…`. */
  id: string;
  name: string;
  state: JobState;
  method: "reinforcement" | "supervised";
  /** As it was asked for: a base model, or a tuned one. */
  model: string;
  base_model: string;
  dialect: string;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  updated_at: number;
  step: number | null;
  total_steps: number | null;
  /** When it is likely to be done, seconds since 1970. */
  estimated_finish: number | null;
  /** What the numbers below are. */
  metric: "reward" | "loss";
  newest: number | null;
  validation: { base: number | null; best: number | null; best_step: number | null };
  /** Means of `every` steps each. */
  trend: { every: number; values: (number | null)[] };
  error: string | null;
}

export type StateCounts = Partial<Record<JobState, number>>;

/** An event of one job: of type `message`, or `metrics`, whose `data` is the record of a step or an evaluation. */
export interface LiveEvent {
  seq: number;
  id: string;
  created_at: number;
  level: "info" | "warn" | "error";
  /** What kind of message; of metrics the record's kind. */
  code: string;
  message: string;
  step: number | null;
  data: Record<string, unknown>;
}

/** What may be done to a job in each state, as the server has it. */
export type JobAction = "pause" | "resume" | "stop" | "cancel";

const ACTIONS: Record<JobState, readonly JobAction[]> = {
  validating: ["stop", "cancel"],
  queued: ["pause", "stop", "cancel"],
  running: ["pause", "stop", "cancel"],
  pausing: ["stop", "cancel"],
  paused: ["resume", "stop", "cancel"],
  stopping: ["cancel"],
  succeeded: [],
  failed: [],
  cancelled: [],
  stopped: [],
};

export function actionsOf(state: JobState): readonly JobAction[] {
  return ACTIONS[state];
}

export function isOver(state: JobState): boolean {
  return ACTIONS[state].length === 0;
}
