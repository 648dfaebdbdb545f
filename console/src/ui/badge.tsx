import type { ComponentChildren } from "preact";
import type { JobState } from "../lib/jobs";

export type Tone = "accent" | "good" | "warn" | "bad" | undefined;

export function Badge({ tone, live, children }: { tone?: Tone; live?: boolean; children: ComponentChildren }) {
  return <span class={["badge", tone, live && "live"].filter(Boolean).join(" ")}>{children}</span>;
}

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
