/** Looking again when something was told of a job, but not more often than a person can read. */

import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

const PAUSE_MS = 1000;

export function useReloadOn(pulse: Signal<number>, reload: () => void): void {
  const seen = useRef(pulse.value);
  const now = pulse.value;
  useEffect(() => {
    if (now === seen.current) return;
    const timer = setTimeout(() => {
      seen.current = now;
      reload();
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [now, reload]);
}
