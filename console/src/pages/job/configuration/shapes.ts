/** What `GET /api/jobs/{id}/configuration` answers. */

export interface Setting {
  name: string;
  value: unknown;
  default: unknown;
  is_changed: boolean;
  description: string;
}

export interface SettingSection {
  name: string;
  description: string;
  settings: Setting[];
}

export interface Lineage {
  created: string | null;
  seed: number;
  versions: Record<string, string>;
  machine: Record<string, unknown>;
  base_model: string;
  weights: Record<string, string>;
  training_rows: number | null;
  training_sha256: string | null;
  validation_rows: number | null;
  validation_sha256: string | null;
  left_out_rows: number;
  left_out: string[];
  graders: string[];
  conventions: Record<string, unknown>;
  plan: Record<string, unknown>;
}

export interface JobConfiguration {
  sections: SettingSection[];
  yaml: string;
  changed_yaml: string;
  lineage: Lineage | null;
}

/** A value of a setting on one line; null for one that needs a block of its own. */
export function inline(value: unknown): string | null {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return value.includes("\n") || value.length > 200 ? null : value || '""';
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.join(", ") || "none";
  return null;
}

/** A value that needs a block of its own, as text. */
export function block(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

/** The sections with the settings that are to be shown; empty ones are left out. */
export function shown(sections: readonly SettingSection[], onlyChanged: boolean): SettingSection[] {
  return sections
    .map((section) => ({ ...section, settings: section.settings.filter((one) => one.is_changed || !onlyChanged) }))
    .filter((section) => section.settings.length > 0);
}
