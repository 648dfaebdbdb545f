/** Light, dark, or as the system says; charts listen to changes. */

import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEY = "tuneward.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export const theme = signal<Theme>(stored());
/** What is shown. */
export const isDark = signal(shown());

function stored(): Theme {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : "system";
  } catch {
    return "system";
  }
}

function shown(): boolean {
  return theme.value === "dark" || (theme.value === "system" && system.matches);
}

/** Colours hang on the root's `data-theme`, which is always one of the two. */
function show(): void {
  const dark = shown();
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  isDark.value = dark;
}

system.addEventListener("change", show);

export function setTheme(next: Theme): void {
  theme.value = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Private windows may keep nothing; the choice then lasts as long as the page.
  }
  show();
}

/** The value of a design token now, such as `--series-1`. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
