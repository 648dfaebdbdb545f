/** Addresses and times of functions. */

export const pageOf = (name: string, tab?: string): string =>
  `/functions/${encodeURIComponent(name)}${tab ? `/${tab}` : ""}`;

/** AWS's way to write a time, `2026-11-22T01:52:17.489+0000`, as seconds since 1970. */
export function secondsOf(time: string): number | null {
  const value = Date.parse(time.replace(/([+-]\d\d)(\d\d)$/, "$1:$2"));
  return Number.isNaN(value) ? null : value / 1000;
}
