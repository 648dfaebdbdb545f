/** The list of jobs as it is filtered, page by page, kept up to date by the live stream. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, api, query } from "../../lib/api";
import type { JobCard, JobState, StateCounts } from "../../lib/jobs";
import { useLive } from "../../lib/live";
import { refreshed, replaced, taken } from "./merge";

export interface Filter {
  search: string;
  states: readonly JobState[];
  model: string;
  method: string;
}

interface Overview {
  states: StateCounts;
  models: string[];
}

interface JobPage {
  data: JobCard[];
  next: string | null;
  overview: Overview | null;
}

interface State {
  key: string;
  items: readonly JobCard[];
  next: string | null;
  overview: Overview;
}

export interface JobList {
  items: readonly JobCard[];
  overview: Overview;
  isLoading: boolean;
  isBusy: boolean;
  error: ApiError | undefined;
  hasMore: boolean;
  more: () => void;
  reload: () => void;
  /** What an action answered is known before the stream tells of it. */
  put: (card: JobCard) => void;
}

const PAGE = 50;
const SETTLE_MS = 400;
const AGAIN_MS = 3000;
const DRAW_MS = 100;
const NOTHING: Overview = { states: {}, models: [] };

export function useJobs(filter: Filter): JobList {
  const asked = {
    search: filter.search.trim(),
    state: [...filter.states].sort(),
    model: filter.model,
    method: filter.method,
  };
  const key = query(asked);
  const isFiltered = key !== "";
  const hasCounts = asked.search === "" && asked.model === "" && asked.method === "";
  const [state, setState] = useState<State>();
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const [round, setRound] = useState(0);
  const current = state?.key === key ? state : undefined;

  /** Begins with the first page; what lies behind it stays. */
  const reload = useCallback(() => setRound((value) => value + 1), []);
  const soon = useMemo(() => debounced(reload, SETTLE_MS), [reload]);
  useEffect(() => soon.cancel, [soon]);

  // A new round fetches again.
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    api.get<JobPage>(`/api/jobs${query({ ...asked, limit: PAGE })}`, { signal: abort.signal }).then(
      (page) => {
        setError(undefined);
        setState((before) => {
          const isSame = before?.key === key;
          const items = isSame && page.next !== null ? refreshed(before.items, page.data) : page.data;
          const next = items.length > page.data.length ? before!.next : page.next;
          return { key, items, next, overview: page.overview ?? NOTHING };
        });
      },
      (caught: unknown) => {
        if (abort.signal.aborted) return;
        const known = caught instanceof ApiError ? caught : new ApiError(String(caught), -1);
        setError(known);
        if (known.status === 0 || known.status === 503) timer = setTimeout(reload, AGAIN_MS);
      },
    );
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [key, round]);

  const busy = useRef(false);
  async function more(): Promise<void> {
    if (busy.current || !current?.next) return;
    busy.current = true;
    setBusy(true);
    try {
      const page = await api.get<JobPage>(`/api/jobs${query({ ...asked, limit: PAGE, after: current.next })}`);
      setState((before) => {
        if (before?.key !== key) return before;
        const known = new Set(before.items.map((item) => item.id));
        const items = [...before.items, ...page.data.filter((item) => !known.has(item.id))];
        return { ...before, items, next: page.next };
      });
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    }
    busy.current = false;
    setBusy(false);
  }

  function put(card: JobCard): void {
    setState((before) => before && { ...before, items: replaced(before.items, card) });
  }

  // Many jobs may change at once; the list is drawn once for all of them.
  const come = useRef<JobCard[]>([]);
  const draw = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(draw.current), []);
  const latestTakeIn = useRef(takeIn);
  latestTakeIn.current = takeIn;
  function takeIn(): void {
    draw.current = undefined;
    const cards = come.current.splice(0);
    const take = (items: readonly JobCard[], card: JobCard, hasMore: boolean) =>
      isFiltered ? replaced(items, card) : taken(items, card, hasMore);
    setState(
      (before) =>
        before && {
          ...before,
          items: cards.reduce((items, card) => take(items, card, before.next !== null), before.items),
        },
    );
    // Whether a job that is not in a filtered list belongs there, the server knows.
    const shown = new Set(current?.items.map((item) => item.id));
    if (isFiltered && cards.some((card) => !shown.has(card.id))) soon.call();
  }

  useLive("/api/live", {
    open: reload, // whatever was missed meanwhile
    job: (card: JobCard) => {
      come.current.push(card);
      draw.current ??= setTimeout(() => latestTakeIn.current(), DRAW_MS);
    },
    counts: (states: StateCounts) => {
      if (hasCounts) setState((before) => before && { ...before, overview: { ...before.overview, states } });
      else soon.call();
    },
  });

  return {
    items: current?.items ?? [],
    overview: (current ?? state)?.overview ?? NOTHING,
    isLoading: current === undefined && error === undefined,
    isBusy,
    error,
    hasMore: current !== undefined && current.next !== null,
    more: () => void more(),
    reload,
    put,
  };
}

function debounced(work: () => void, waitMs: number): { call: () => void; cancel: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    call: () => {
      clearTimeout(timer);
      timer = setTimeout(work, waitMs);
    },
    cancel: () => clearTimeout(timer),
  };
}
