import { useEffect, useState } from "preact/hooks";

/** A value that follows another one once it has been still for a while, as for searching while somebody types. */
export function useSettled<T>(value: T, waitMs = 250): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), waitMs);
    return () => clearTimeout(timer);
  }, [value, waitMs]);
  return settled;
}
