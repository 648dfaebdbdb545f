import type { ComponentChildren } from "preact";

export type Tone = "accent" | "good" | "warn" | "bad" | undefined;

export function Badge({ tone, live, children }: { tone?: Tone; live?: boolean; children: ComponentChildren }) {
  return <span class={["badge", tone, live && "live"].filter(Boolean).join(" ")}>{children}</span>;
}

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

const TONES: Record<JobState, Tone> = {
  validating: "accent",
  queued: undefined,
  running: "accent",
  pausing: "warn",
  paused: "warn",
  stopping: "warn",
  succeeded: "good",
  failed: "bad",
  cancelled: undefined,
  stopped: "good",
};

const MOVING: readonly JobState[] = ["validating", "running", "pausing", "stopping"];

export function StateBadge({ state }: { state: JobState }) {
  return (
    <Badge tone={TONES[state]} live={MOVING.includes(state)}>
      {state}
    </Badge>
  );
}
