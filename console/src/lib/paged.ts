/** Lists that come in pages by cursor: what was fetched so far, and fetching more. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api";

export interface PageOf<T, C> {
  data: T[];
  /** Where the next page begins; null on the last one. */
  next: C | null;
}

export interface Paged<T> {
  items: T[];
  error: ApiError | undefined;
  /** The first page is on its way. */
  isLoading: boolean;
  /** A further page is on its way. */
  isBusy: boolean;
  hasMore: boolean;
  more: () => void;
  /** Begin again; what is shown stays until the first page comes. */
  reload: () => void;
}

interface State<T, C> {
  key: string | null;
  items: T[];
  next: C | null;
  isWhole: boolean;
}

/** Fetches the first page when `key` changes; null fetches nothing. */
export function usePaged<T, C extends string | number>(
  key: string | null,
  fetcher: (after: C | null, signal: AbortSignal) => Promise<PageOf<T, C>>,
): Paged<T> {
  const [state, setState] = useState<State<T, C>>({ key, items: [], next: null, isWhole: false });
  const [error, setError] = useState<ApiError>();
  const [wanted, setWanted] = useState<{ after: C | null; round: number }>({ after: null, round: 0 });
  const [isBusy, setBusy] = useState(false);
  const latest = useRef(fetcher);
  latest.current = fetcher;
  const shown = useRef(key);

  useEffect(() => {
    if (key === null) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const after = shown.current === key ? wanted.after : null;
    shown.current = key;
    setBusy(after !== null);
    setError(undefined);
    latest.current(after, abort.signal).then(
      (page) => {
        if (abort.signal.aborted) return;
        setBusy(false);
        setState((before) => ({
          key,
          items: after === null ? page.data : [...before.items, ...page.data],
          next: page.next,
          isWhole: true,
        }));
      },
      (caught: unknown) => {
        if (abort.signal.aborted) return;
        setBusy(false);
        const known = caught instanceof ApiError ? caught : new ApiError(String(caught), -1);
        setError(known);
        if (known.status === 0 || known.status === 503)
          timer = setTimeout(() => setWanted((before) => ({ ...before, round: before.round + 1 })), 3000);
      },
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, wanted]);

  const isCurrent = state.key === key && state.isWhole;
  const next = isCurrent ? state.next : null;
  const more = useCallback(() => {
    if (next !== null) setWanted((before) => ({ after: next, round: before.round + 1 }));
  }, [next]);
  const reload = useCallback(() => setWanted((before) => ({ after: null, round: before.round + 1 })), []);
  return {
    items: isCurrent ? state.items : [],
    error,
    isLoading: key !== null && !isCurrent && error === undefined,
    isBusy,
    hasMore: next !== null,
    more,
    reload,
  };
}
