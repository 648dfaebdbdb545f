/** Who is signed in. */

import { signal } from "@preact/signals";
import { ApiError, api, whenSignedOut } from "./api";

export interface Caller {
  key_id: string;
  project_id: string;
  account_id: string;
  role: "viewer" | "developer" | "admin";
  version: string;
  region: string;
}

export type Session =
  | { state: "unknown" }
  | { state: "out"; reason: string | null }
  | { state: "in"; caller: Caller }
  | { state: "unreachable" };

export const session = signal<Session>({ state: "unknown" });

whenSignedOut((reason) => {
  const wasIn = session.value.state === "in";
  session.value = { state: "out", reason: wasIn ? `You were signed out: ${reason}` : null };
});

/** Ask the server who this is. */
export async function refresh(): Promise<void> {
  try {
    session.value = { state: "in", caller: await api.get<Caller>("/api/session") };
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return;
    session.value = { state: "unreachable" };
  }
}

/** Raises ApiError when the key is refused. */
export async function signIn(key: string, remember: boolean): Promise<void> {
  session.value = { state: "in", caller: await api.post<Caller>("/api/session", { key, remember }) };
}

export async function signOut(): Promise<void> {
  await api.delete("/api/session");
  session.value = { state: "out", reason: null };
}

const RANKS = { viewer: 0, developer: 1, admin: 2 };

/** Whether the caller has a role, or one above it. */
export function may(role: Caller["role"]): boolean {
  return session.value.state === "in" && RANKS[session.value.caller.role] >= RANKS[role];
}
