/** Addresses and names that a job's pages share. */

import type { JobDetail } from "./detail";

/** Below the job in the API. */
export function apiPath(jobId: string, rest = ""): string {
  return `/api/jobs/${encodeURIComponent(jobId)}${rest}`;
}

export function tabPath(jobId: string, tab: string): string {
  return `/jobs/${encodeURIComponent(jobId)}/${tab}`;
}

export function clonePath(jobId: string): string {
  return `/new?clone=${encodeURIComponent(jobId)}`;
}

/** The base model beside another one. */
export function playgroundPath(job: JobDetail, model: string): string {
  return `/playground?models=${[job.base_model, model].map(encodeURIComponent).join(",")}`;
}

export function adapterPath(jobId: string, step: number): string {
  return apiPath(jobId, `/checkpoints/${step}/adapter`);
}

const DEPLOYMENT = /^(?:[0-9a-zA-Z][_-]?){1,63}$/;

/** Why a deployment cannot be called so; null when it can. */
export function nameProblem(name: string): string | null {
  if (!name) return "Give it a name.";
  if (name.length > 63) return "At most 63 characters.";
  if (DEPLOYMENT.test(name)) return null;
  return "Letters and digits, with single hyphens or underscores between them.";
}

/** A name that is allowed, from the job's own. */
export function suggestedName(job: Pick<JobDetail, "id" | "name" | "suffix">, step: number): string {
  const own = job.name.startsWith("ftjob-") ? job.suffix || "model" : job.name;
  const ending = `-step-${step}`;
  const plain = own
    .replace(/[^0-9a-zA-Z]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63 - ending.length)
    .replace(/-+$/, "");
  return `${plain || "model"}${ending}`;
}

/** Step of the checkpoint that the job is, or would be, worth: that of its model, else the best one. */
export function chosenStep(job: JobDetail): number | null {
  return job.tuned_model?.step ?? job.best_checkpoint;
}

/** A number of a record whose form the server does not promise; null when there is none. */
export function numberOf(record: Record<string, unknown> | null | undefined, name: string): number | null {
  const found = record?.[name];
  return typeof found === "number" && Number.isFinite(found) ? found : null;
}
