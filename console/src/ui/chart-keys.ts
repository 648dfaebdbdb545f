/** What keys do in a chart: arrows move the cursor, + and - zoom around it, Escape and 0 show all again. */

export const CHART_KEYS: readonly string[] = ["ArrowLeft", "ArrowRight", "Home", "End", "Escape", "+", "-", "0"];

type Range = readonly [number, number];

/** Where the cursor goes by a key. */
export function moved(
  places: readonly number[],
  from: number | null,
  event: Pick<KeyboardEvent, "key" | "shiftKey">,
): number | null {
  const last = places.length - 1;
  if (last < 0) return null;
  const found = from === null ? -1 : places.findIndex((at) => at >= from);
  const index = found < 0 ? last : found;
  const stride = event.shiftKey ? 10 : 1;
  if (event.key === "Home") return places[0]!;
  if (event.key === "End") return places[last]!;
  if (event.key === "ArrowLeft") return places[Math.max(0, index - stride)]!;
  if (event.key === "ArrowRight") return places[Math.min(last, index + stride)]!;
  return places[index]!;
}

/** A range narrowed or widened around a place; null: all of it. */
export function zoomed([min, max]: Range, [first, last]: Range, around: number, factor: number): Range | null {
  const low = Math.max(first, around - (around - min) * factor);
  const high = Math.min(last, around + (max - around) * factor);
  if (low <= first && high >= last) return null;
  return high - low > 1e-9 ? [low, high] : [min, max];
}
