import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, api } from "../../../lib/api";
import { ago, count, moment } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { search, setQuery } from "../../../lib/router";
import { Badge, type Tone } from "../../../ui/badge";
import { Check, SelectField, TextField } from "../../../ui/field";
import { Empty, Panel, Skeleton, TableRegion } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { LoadMore } from "../../../ui/paging";
import type { TabProps } from "../tab";
import { type EventCard, type EventFilter, fetchEvents } from "./event";

const PAGE = 50;
const TONES: Record<EventCard["level"], Tone> = { info: undefined, warn: "warn", error: "bad" };
const LEVELS = [
  { value: "", label: "Every level" },
  { value: "info", label: "Info" },
  { value: "warn", label: "Warning" },
  { value: "error", label: "Error" },
];

interface Kinds {
  data: { code: string; level: string; count: number }[];
}

/** What happened in a job, newest first; what happens now appears on top. */
export default function Events({ job, pulse }: TabProps) {
  const text = search.value.get("search") ?? "";
  const level = search.value.get("level") ?? "";
  const code = search.value.get("code") ?? "";
  const withMetrics = search.value.get("metrics") === "1";
  const isFiltered = Boolean(text || level || code);
  const { events, hasMore, error, isLoading, more } = useEvents(
    job.id,
    { search: text, level, code, metrics: withMetrics },
    pulse.value,
  );
  const path = `/api/jobs/${encodeURIComponent(job.id)}/events/kinds`;
  const kinds = useResource(path, (signal) => api.get<Kinds>(path, { signal }));
  return (
    <>
      <fieldset class="job-filters">
        <legend class="visually-hidden">Which events are shown</legend>
        <TextField
          label="Search events"
          hideLabel
          type="search"
          placeholder="Search events"
          value={text}
          onValue={(value) => setQuery({ search: value })}
        />
        <SelectField
          label="Level"
          hideLabel
          value={level}
          onValue={(value) => setQuery({ level: value })}
          options={LEVELS}
        />
        <SelectField
          label="Kind"
          hideLabel
          value={code}
          onValue={(value) => setQuery({ code: value })}
          options={[{ value: "", label: "Every kind" }, ...codes(kinds.data, code)]}
        />
        <Check
          label="Steps and evaluations"
          checked={withMetrics}
          onChecked={(checked) => setQuery({ metrics: checked ? "1" : null })}
        />
      </fieldset>
      {error && <ErrorNote error={error} onRetry={more} />}
      {isLoading && !events.length && !error && <Skeleton lines={8} />}
      {!isLoading && !events.length && !error && (
        <Empty title={isFiltered ? "No event matches" : "Nothing has happened yet"}>
          <p>
            {isFiltered ? "Take a filter away to see more." : "Events appear here as soon as a worker takes the job."}
          </p>
        </Empty>
      )}
      {events.length > 0 && (
        <Panel flush>
          <TableRegion label="Events">
            <table class="table job-events">
              <thead>
                <tr>
                  <th scope="col">When</th>
                  <th scope="col">Level</th>
                  <th scope="col" class="end">
                    Step
                  </th>
                  <th scope="col">Kind</th>
                  <th scope="col">What happened</th>
                </tr>
              </thead>
              <tbody>
                {events.map((event) => (
                  <tr key={event.seq}>
                    <td class="nowrap muted">
                      <time dateTime={new Date(event.created_at * 1000).toISOString()} title={moment(event.created_at)}>
                        {ago(event.created_at)}
                      </time>
                    </td>
                    <td>
                      <Badge tone={TONES[event.level]}>{event.level}</Badge>
                    </td>
                    <td class="num end">{event.step === null ? "" : count(event.step)}</td>
                    <td class="mono">{event.diagnosis?.code ?? event.code}</td>
                    <td class="job-event-words">{event.message}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableRegion>
          <LoadMore hasMore={hasMore} busy={isLoading} onMore={more} />
        </Panel>
      )}
    </>
  );
}

function codes(kinds: Kinds | undefined, chosen: string): { value: string; label: string }[] {
  const counts = new Map<string, number>();
  for (const kind of kinds?.data ?? []) counts.set(kind.code, (counts.get(kind.code) ?? 0) + kind.count);
  if (chosen && !counts.has(chosen)) counts.set(chosen, 0);
  return [...counts].map(([code, amount]) => ({ value: code, label: `${code} (${count(amount)})` }));
}

interface Found {
  events: EventCard[];
  hasMore: boolean;
  error: ApiError | undefined;
  isLoading: boolean;
  /** Fetch older ones, or try again. */
  more: () => void;
}

/** A list that grows at its end when asked to, and at its beginning when something happens. */
function useEvents(jobId: string, filter: EventFilter, pulse: number): Found {
  const key = JSON.stringify([jobId, filter]);
  const [state, setState] = useState({ key, events: [] as EventCard[], hasMore: true });
  const [error, setError] = useState<ApiError>();
  const [isLoading, setLoading] = useState(false);
  const current = useRef(key);
  current.current = key;
  const known = state.key === key ? state.events : [];

  const load = useCallback(
    async (place: Pick<EventFilter, "before" | "after">, signal?: AbortSignal) => {
      setLoading(true);
      try {
        const page = await fetchEvents(jobId, { ...filter, ...place, limit: PAGE }, signal);
        setError(undefined);
        setState((before) => joined(before.key === key ? before : { key, events: [], hasMore: true }, page, place));
      } catch (caught) {
        if (current.current !== key || signal?.aborted) return;
        setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
      } finally {
        if (current.current === key) setLoading(false);
      }
    },
    [key],
  );

  useEffect(() => {
    const abort = new AbortController();
    const wait = setTimeout(() => void load({}, abort.signal), filter.search ? 250 : 0);
    return () => {
      clearTimeout(wait);
      abort.abort();
    };
  }, [load, filter.search]);

  useEffect(() => {
    const newest = known[0];
    if (pulse > 0 && newest) void load({ after: newest.seq });
  }, [pulse]);

  const last = known[known.length - 1];
  return {
    events: known,
    hasMore: state.key === key && state.hasMore,
    error,
    isLoading,
    more: () => void load(last ? { before: last.seq } : {}),
  };
}

interface Listed {
  key: string;
  events: EventCard[];
  hasMore: boolean;
}

/** A list with another page of it; an event that is there already is not there twice. */
function joined(
  list: Listed,
  page: { data: EventCard[]; has_more: boolean },
  place: Pick<EventFilter, "after">,
): Listed {
  const seen = new Set(list.events.map((event) => event.seq));
  const fresh = page.data.filter((event) => !seen.has(event.seq));
  const events = [...list.events, ...fresh].sort((a, b) => b.seq - a.seq);
  return { ...list, events, hasMore: place.after === undefined ? page.has_more : list.hasMore };
}
