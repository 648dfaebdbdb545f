import { useEffect, useMemo, useState } from "preact/hooks";
import { api, query } from "../../../lib/api";
import { isOver, type JobCard } from "../../../lib/jobs";
import { useResource } from "../../../lib/resource";
import { search, setQuery } from "../../../lib/router";
import { StateBadge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { Dialog } from "../../../ui/dialog";
import { TextField } from "../../../ui/field";
import { Icon } from "../../../ui/icon";
import { Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import type { JobDetail } from "../detail";
import { MetricStore } from "../metrics";

export const MOST_COMPARED = 5;
const REFRESH_MS = 10_000;

/** A job whose curves lie over those of the page's. */
export interface Compared {
  id: string;
  card: JobCard | null;
  store: MetricStore;
}

/** Ids that the address names beside the page's own. */
export function comparedIds(own: string): string[] {
  const ids = (search.value.get("compare") ?? "").split(",").filter((id) => id && id !== own);
  return [...new Set(ids)].slice(0, MOST_COMPARED);
}

export function compareWith(ids: readonly string[]): void {
  setQuery({ compare: ids.join(",") || null });
}

/** The other jobs and their numbers; those that still run are asked again every few seconds. */
export function useCompared(ids: readonly string[]): Compared[] {
  const key = ids.join(",");
  const stores = useMemo(() => ids.map((id) => ({ id, store: new MetricStore(id) })), [key]);
  const cards = useResource(key ? `cards ${key}` : null, () =>
    Promise.all(ids.map((id) => api.get<JobCard>(`/api/jobs/${encodeURIComponent(id)}`).catch(() => null))),
  );
  useEffect(() => {
    for (const { store } of stores) void store.load();
    return () => {
      for (const { store } of stores) store.close();
    };
  }, [stores]);
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.hidden) return;
      for (const [index, { store }] of stores.entries()) {
        const card = cards.data?.[index];
        if (card && !isOver(card.state)) store.refresh();
      }
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [stores, cards.data]);
  return stores.map((one, index) => ({ ...one, card: cards.data?.[index] ?? null }));
}

/** Which jobs are drawn in which colour. */
export function ComparedJobs({ job, others }: { job: JobDetail; others: readonly Compared[] }) {
  if (!others.length) return null;
  const ids = others.map((one) => one.id);
  return (
    <ul class="row job-compared" aria-label="Jobs that are compared">
      <li class="job-chip">
        <Dot place={1} />
        <span class="truncate">{job.name}</span>
      </li>
      {others.map((one, index) => (
        <li key={one.id} class="job-chip">
          <Dot place={index + 2} />
          <a class="truncate" href={`/jobs/${encodeURIComponent(one.id)}`}>
            {one.card?.name ?? one.id}
          </a>
          {one.store.now.value.error && <span class="muted">cannot be read</span>}
          <Button
            size="small"
            kind="quiet"
            class="icon-only"
            aria-label={`Take ${one.card?.name ?? one.id} away`}
            onClick={() => compareWith(ids.filter((id) => id !== one.id))}
          >
            <Icon name="close" />
          </Button>
        </li>
      ))}
      <li class="muted">Solid: training. Dashed: validation.</li>
    </ul>
  );
}

function Dot({ place }: { place: number }) {
  return (
    <svg width="10" height="10" aria-hidden="true">
      <circle cx="5" cy="5" r="4.5" fill={`var(--series-${place})`} />
    </svg>
  );
}

/** Choosing the jobs to compare with. */
export function CompareDialog({ job, chosen, onClose }: { job: JobDetail; chosen: string[]; onClose: () => void }) {
  const [text, setText] = useState("");
  const [ids, setIds] = useState(chosen);
  const path = `/api/jobs${query({ limit: 20, search: text.trim() })}`;
  const found = useResource(path, (signal) => api.get<{ data: JobCard[] }>(path, { signal }));
  const others = found.data?.data.filter((card) => card.id !== job.id);

  function toggle(id: string, isChosen: boolean): void {
    setIds(isChosen ? [...ids, id] : ids.filter((one) => one !== id));
  }

  return (
    <Dialog title="Compare jobs" onClose={onClose}>
      <p class="muted">
        Their curves are drawn over this job's, by step, epoch or time. Up to {MOST_COMPARED}; the address keeps them.
      </p>
      <TextField label="Search jobs" type="search" value={text} onValue={setText} />
      {found.error && <ErrorNote error={found.error} onRetry={found.reload} />}
      {!others && !found.error && <Skeleton lines={4} />}
      {others?.length === 0 && <p class="muted">{text ? "No other job matches." : "There is no other job yet."}</p>}
      <ul class="job-choices">
        {others?.map((card) => (
          <li key={card.id}>
            <label class="row">
              <input
                type="checkbox"
                checked={ids.includes(card.id)}
                disabled={!ids.includes(card.id) && ids.length >= MOST_COMPARED}
                onChange={(event) => toggle(card.id, event.currentTarget.checked)}
              />
              <span class="grow truncate">{card.name}</span>
              <span class="muted truncate">{card.base_model}</span>
              <StateBadge state={card.state} />
            </label>
          </li>
        ))}
      </ul>
      <div class="actions">
        <Button onClick={onClose}>Back</Button>
        <Button
          kind="primary"
          onClick={() => {
            compareWith(ids);
            onClose();
          }}
        >
          {ids.length ? `Compare with ${ids.length}` : "Compare with none"}
        </Button>
      </div>
    </Dialog>
  );
}
