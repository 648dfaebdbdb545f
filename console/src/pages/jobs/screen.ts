import { useEffect, useState } from "preact/hooks";

/** Seconds since 1970, renewed every so many seconds while somebody looks. */
export function useNow(everyS: number): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now() / 1000);
    }, everyS * 1000);
    return () => clearInterval(timer);
  }, [everyS]);
  return now;
}

const NARROW = matchMedia("(max-width: 46rem)");

/** Whether a wide table has no place here. */
export function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const change = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", change);
    return () => NARROW.removeEventListener("change", change);
  }, []);
  return isNarrow;
}
