/** Own code of a reward while it is written: kept in the browser, by the place in the reward where it stands. */

import { effect, signal } from "@preact/signals";
import { session } from "../../../lib/session";
import { STARTER } from "./starter";

export interface CodeDraft {
  text: string;
  /** Of the function that it is saved as. */
  name: string;
  /** The grader in this place is own code, not a function that was picked from a list. */
  isChosen: boolean;
  /** What was saved last: as NAME:VERSION, and the text then. */
  saved: { reference: string; text: string } | null;
}

export type CodeDrafts = Record<string, CodeDraft>;

export const isSavedAs = (code: CodeDraft, reference: string): boolean => code.saved?.reference === reference;

export function newCode(name: string): CodeDraft {
  return { text: STARTER, name, isChosen: false, saved: null };
}

/** What was stored, as far as it makes sense. */
export function parseDrafts(text: string | null): CodeDrafts {
  try {
    const kept = JSON.parse(text ?? "{}") as Record<string, Partial<CodeDraft>>;
    return Object.fromEntries(
      Object.entries(kept).flatMap(([slot, one]) =>
        typeof one?.text === "string" && typeof one.name === "string"
          ? [[slot, { text: one.text, name: one.name, isChosen: one.isChosen === true, saved: one.saved ?? null }]]
          : [],
      ),
    );
  } catch {
    return {};
  }
}

export const codeDrafts = signal<CodeDrafts>({});
let place: string | null = null;

effect(() => {
  const now = session.value;
  const next = now.state === "in" ? `tuneward.reward-code.${now.caller.project_id}` : null;
  if (next === place) return;
  place = next;
  codeDrafts.value = place === null ? {} : parseDrafts(read(place));
});

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function changeCode(slot: string, change: Partial<CodeDraft>): void {
  const before = codeDrafts.peek()[slot] ?? newCode(firstName(slot));
  keep({ ...codeDrafts.peek(), [slot]: { ...before, ...change } });
}

/** Another name for a place; `to` null: the place is gone. */
export function moveCode(from: string, to: string | null): void {
  const { [from]: moved, ...rest } = codeDrafts.peek();
  if (moved) keep(to === null ? rest : { ...rest, [to]: moved });
}

export function codeOf(slot: string): CodeDraft {
  return codeDrafts.value[slot] ?? newCode(firstName(slot));
}

function firstName(slot: string): string {
  const suffix = slot.replace("part:", "").replaceAll("_", "-");
  return suffix ? `reward-${suffix}` : "reward";
}

function keep(drafts: CodeDrafts): void {
  codeDrafts.value = drafts;
  if (place === null) return;
  try {
    localStorage.setItem(place, JSON.stringify(drafts));
  } catch {
    // No room, or not allowed: the code lives as long as the page.
  }
}
