/** What a row says of a job, in words. */

import { duration, number, reward } from "../../lib/format";
import { isOver, type JobAction, type JobCard, type JobState } from "../../lib/jobs";

/** A reward or a loss. */
export function measured(job: Pick<JobCard, "metric">, value: number | null): string {
  return job.metric === "reward" ? reward(value) : number(value);
}

/** How far it is, and how long it still takes. */
export function progressOf(job: JobCard, now: number): string {
  if (isOver(job.state)) {
    const from = job.started_at;
    return from !== null && job.finished_at !== null ? `took ${duration(job.finished_at - from)}` : "";
  }
  switch (job.state) {
    case "validating":
      return "checking data and reward";
    case "queued":
      return "waiting for a free slot";
    case "paused":
      return "";
    default:
      if (job.estimated_finish === null) return job.step === null ? "loading the model" : "";
      return `${duration(Math.max(1, job.estimated_finish - now))} left`;
  }
}

/** What a sparkline shows, for those who do not see it. */
export function trendOf(job: JobCard): string {
  const steps = job.trend.values.length * job.trend.every;
  return `Training ${job.metric} over ${Math.min(steps, job.step ?? steps)} steps, now ${measured(job, job.newest)}`;
}

/** `tiny` of `/models/tiny`; other names as they are. */
export function shortModel(name: string): string {
  return name.split("/").at(-1) || name;
}

/** What an action has done to a job that was in a state. */
export function done(action: JobAction, state: JobState): string {
  const isTraining = state === "running" || state === "pausing";
  switch (action) {
    case "pause":
      return isTraining ? "will pause after its current step." : "is paused.";
    case "stop":
      return isTraining ? "will stop after its current step and keep what it learned." : "was stopped.";
    case "resume":
      return "is queued again, and goes on from its newest checkpoint.";
    case "cancel":
      return "was cancelled.";
  }
}
