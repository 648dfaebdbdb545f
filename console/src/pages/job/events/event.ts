/** What happened in a job, as `GET /api/jobs/{id}/events` answers. */

import { api, query } from "../../../lib/api";

export interface EventCard {
  seq: number;
  id: string;
  created_at: number;
  level: "info" | "warn" | "error";
  code: string;
  message: string;
  step: number | null;
  diagnosis: { code: string; severity: string; action: string | null } | null;
}

export interface EventPage {
  /** Newest first. */
  data: EventCard[];
  has_more: boolean;
}

export interface EventFilter {
  limit?: number;
  before?: number;
  after?: number;
  level?: string;
  code?: string;
  search?: string;
  metrics?: boolean;
}

export function fetchEvents(jobId: string, filter: EventFilter, signal?: AbortSignal): Promise<EventPage> {
  const path = `/api/jobs/${encodeURIComponent(jobId)}/events${query({ ...filter })}`;
  return api.get<EventPage>(path, signal ? { signal } : {});
}
