/** Something that is fetched: its data, its failure, and fetching it again. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api";

export interface Resource<T> {
  data: T | undefined;
  error: ApiError | undefined;
  isLoading: boolean;
  /** Fetch again; what is shown stays until the answer comes. */
  reload: () => void;
  /** Put in what is known already. */
  set: (data: T) => void;
}

/** Fetches when `key` changes; null fetches nothing. Unreachable servers are asked again every few seconds. */
export function useResource<T>(key: string | null, fetcher: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const [state, setState] = useState<{ key: string | null; data?: T | undefined; error?: ApiError | undefined }>({
    key,
  });
  const [round, setRound] = useState(0);
  const latest = useRef(fetcher);
  latest.current = fetcher;
  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    latest.current(abort.signal).then(
      (data) => {
        if (!abort.signal.aborted) setState({ key, data });
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(String(error), -1);
        setState((before) => ({ key, data: before.key === key ? before.data : undefined, error: known }));
        if (known.status === 0 || known.status === 503) timer = setTimeout(() => setRound((value) => value + 1), 3000);
      },
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, round]);

  const reload = useCallback(() => setRound((value) => value + 1), []);
  const set = useCallback((data: T) => setState({ key, data }), [key]);
  const isCurrent = state.key === key;
  const data = isCurrent ? state.data : undefined;
  const error = isCurrent ? state.error : undefined;
  return { data, error, isLoading: key !== null && data === undefined && error === undefined, reload, set };
}
