/** How much curves are smoothed when nobody says. */

const LEAST_WINDOW = 2.5;
const MOST_WINDOW = 100;

/** A weight for the length of a run: an average over about a hundredth of its steps. */
export function weightFor(steps: number): number {
  const window = Math.min(MOST_WINDOW, Math.max(LEAST_WINDOW, steps / 100));
  return Math.round(100 * (1 - 1 / window)) / 100;
}
