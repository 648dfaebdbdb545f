/** Metadata filters as rows of a form, and back. */

import type { Condition, Filters } from "../draft";

export interface FilterRow {
  key: string;
  isEqual: boolean;
  value: string;
}

export interface FilterForm {
  /** All of the rows hold, or any of them. */
  mode: "all" | "any";
  rows: FilterRow[];
}

/** What the rows ask for; those without a key are not finished and do not count. */
export function filtersOf({ mode, rows }: FilterForm): Filters | null {
  const conditions = rows.filter((row) => row.key).map(conditionOf);
  const [only] = conditions;
  if (!only) return null;
  if (conditions.length === 1) return only;
  return mode === "all" ? { and_all: conditions } : { or_all: conditions };
}

/** The rows that ask for the same; null: no rows can. */
export function formOf(filters: Filters | null | undefined): FilterForm | null {
  const { equals, not_equals, and_all, or_all } = filters ?? {};
  if (or_all) {
    const rows = or_all.map(rowsOf);
    return rows.every((found) => found.length === 1) ? { mode: "any", rows: rows.flat() } : null;
  }
  if (and_all) return { mode: "all", rows: and_all.flatMap(rowsOf) };
  return { mode: "all", rows: [...pairs(equals, true), ...pairs(not_equals, false)] };
}

function conditionOf({ key, isEqual, value }: FilterRow): Condition {
  return isEqual ? { equals: { [key]: value } } : { not_equals: { [key]: value } };
}

function rowsOf(condition: Condition): FilterRow[] {
  const both: { equals?: Record<string, string>; not_equals?: Record<string, string> } = condition;
  return [...pairs(both.equals, true), ...pairs(both.not_equals, false)];
}

function pairs(values: Record<string, string> | null | undefined, isEqual: boolean): FilterRow[] {
  return Object.entries(values ?? {}).map(([key, value]) => ({ key, isEqual, value }));
}
