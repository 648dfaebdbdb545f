/** Where the page is: path and query as signals over the browser's history. */

import { computed, signal } from "@preact/signals";

const place = signal(read());

function read(): { path: string; search: string } {
  return { path: location.pathname, search: location.search };
}

export const path = computed(() => place.value.path);
export const search = computed(() => new URLSearchParams(place.value.search));

addEventListener("popstate", () => {
  place.value = read();
});

/** Go to a path of the console. `replace`: without a new entry in the history. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (to === location.pathname + location.search) return;
  const before = location.pathname;
  history[options.replace ? "replaceState" : "pushState"](null, "", to);
  place.value = read();
  if (location.pathname !== before && !options.replace) scrollTo(0, 0);
}

/** Change parts of the query; null takes one away. */
export function setQuery(changes: Record<string, string | null>, options: { push?: boolean } = {}): void {
  const next = new URLSearchParams(place.value.search);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") next.delete(key);
    else next.set(key, value);
  }
  const text = next.toString();
  navigate(place.value.path + (text && `?${text}`), { replace: !options.push });
}

/** Clicks on links of the console stay in the page; with a modifier key, or to elsewhere, they are the browser's. */
export function interceptLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (/^\/(api|v1|openapi\.json)/.test(link.pathname) || link.getAttribute("href")?.startsWith("#")) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
}
