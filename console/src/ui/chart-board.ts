/** What the charts of a page share: the place pointed at, the zoom, smoothing and scale. */

import { type Signal, signal } from "@preact/signals";

export interface ChartBoard {
  /** Place on the horizontal axis that is pointed at, and the chart where; null: none. */
  cursor: Signal<{ at: number; from: string } | null>;
  /** The part of the horizontal axis that is shown; null: all. */
  range: Signal<readonly [number, number] | null>;
  /** Weight of the moving average; 0: none. */
  smoothing: Signal<number>;
  isLog: Signal<boolean>;
}

export function chartBoard(): ChartBoard {
  return { cursor: signal(null), range: signal(null), smoothing: signal(0.6), isLog: signal(false) };
}
