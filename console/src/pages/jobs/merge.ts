/** How what is on the screen takes in what comes later. Lists are newest first, as the server has them. */

import type { JobCard, JobState, StateCounts } from "../../lib/jobs";

/** Whether a job stands before another in the list. */
function isBefore(one: JobCard, other: JobCard): boolean {
  return one.created_at !== other.created_at ? one.created_at > other.created_at : one.id > other.id;
}

/** The list with newer knowledge of one job, where it is in the list. */
export function replaced(items: readonly JobCard[], card: JobCard): readonly JobCard[] {
  const index = items.findIndex((item) => item.id === card.id);
  return index < 0 ? items : items.with(index, card);
}

/** The list with a job that may be new: in its place, unless that lies beyond what was fetched. */
export function taken(items: readonly JobCard[], card: JobCard, hasMore: boolean): readonly JobCard[] {
  if (items.some((item) => item.id === card.id)) return replaced(items, card);
  const place = items.findIndex((item) => isBefore(card, item));
  if (place < 0) return hasMore ? items : [...items, card];
  return items.toSpliced(place, 0, card);
}

/**
 * The list after its first page was fetched again: what lies behind that page stays, unless there may be a gap between
 * them.
 */
export function refreshed(items: readonly JobCard[], page: readonly JobCard[]): readonly JobCard[] {
  const last = page.at(-1);
  const known = new Set(items.map((item) => item.id));
  if (!last || !page.some((item) => known.has(item.id))) return page;
  return [...page, ...items.filter((item) => isBefore(last, item))];
}

export const STATES: readonly JobState[] = [
  "running",
  "validating",
  "queued",
  "pausing",
  "paused",
  "stopping",
  "succeeded",
  "stopped",
  "failed",
  "cancelled",
];

/** States to choose from: those that jobs are in, and those that are chosen. */
export function choices(counts: StateCounts, chosen: readonly JobState[]): JobState[] {
  return STATES.filter((state) => counts[state] || chosen.includes(state));
}

/** The states that an address names. */
export function statesIn(text: string | null): JobState[] {
  const given = (text ?? "").split(",");
  return STATES.filter((state) => given.includes(state));
}

/** One chosen or no longer chosen. */
export function toggled(chosen: readonly JobState[], state: JobState): JobState[] {
  return chosen.includes(state) ? chosen.filter((one) => one !== state) : [...chosen, state];
}
