/** What the server runs with, as `/api/settings` tells it to administrators. */

export interface ServerSettings {
  version: string;
  python: string;
  system: string;
  region: string;
  home: { path: string; free_bytes: number; total_bytes: number } | null;
  database: { kind: "sqlite" | "postgresql"; address: string; is_reachable: boolean } | null;
  storage: { kind: "folder" | "s3"; place: string | null; buckets: string[] | null } | null;
  tls: { certificate: string | null; ends_at: number | null } | null;
  judges: {
    provider: string;
    address: string | null;
    is_this_server: boolean;
    key_variable: string;
    has_key: boolean;
    models: Record<string, string>;
  } | null;
  models: {
    id: string;
    local: string | null;
    provider: string;
    managed_id: string;
    aliases: string[];
    is_loaded: boolean;
  }[];
  workers: Workers | null;
  settings: Setting[];
  libraries: { name: string; version: string; licence: string }[];
}

export interface Workers {
  started_here: number;
  slots: string[];
  tasks: Task[];
  waiting: number;
  states: Record<string, number>;
}

export interface Task {
  host: string;
  process: number | null;
  slot: string | null;
  state: string;
  job: { id: string; name: string; project_id: string; step: number | null; total_steps: number | null } | null;
  lease_expires_at: number;
}

export interface Setting {
  key: string;
  value: unknown;
  is_default: boolean;
  meaning: string;
}

export interface Key {
  id: string;
  kind: "api" | "access";
  project_id: string;
  name: string;
  role: "viewer" | "developer" | "admin";
  hint: string;
  created_at: number;
  expires_at: number | null;
  last_used_at: number | null;
  revoked_at: number | null;
}

export interface Project {
  id: string;
  name: string;
  account_id: string;
  created_at: number;
}

export interface AuditEntry {
  id: number;
  at: number;
  project_id: string | null;
  actor: string;
  action: string;
  target: string;
  status: number;
  request_id: string;
}

/** What has become of a key. */
export function standing(key: Key, now = Date.now() / 1000): "valid" | "revoked" | "expired" {
  if (key.revoked_at !== null) return "revoked";
  return key.expires_at !== null && key.expires_at <= now ? "expired" : "valid";
}

/** A value as it would stand in the configuration file. */
export function inFile(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}

export const DEFAULT_PROJECT = "proj_default";
