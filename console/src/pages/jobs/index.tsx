import { count, plural } from "../../lib/format";
import type { JobState } from "../../lib/jobs";
import { search, setQuery } from "../../lib/router";
import { may } from "../../lib/session";
import { useSettled } from "../../lib/settled";
import { Button, LinkButton } from "../../ui/button";
import { Icon } from "../../ui/icon";
import { Empty, Page, Panel, Skeleton } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { LoadMore } from "../../ui/paging";
import { Filters } from "./filters";
import { FirstJob } from "./first-job";
import { JobCards, JobTable } from "./job-table";
import "./jobs.css";
import { statesIn } from "./merge";
import { useNarrow, useNow } from "./screen";
import { type Filter, type JobList, useJobs } from "./use-jobs";

export default function JobsPage() {
  const place = search.value;
  const filter: Filter = {
    search: place.get("search") ?? "",
    states: statesIn(place.get("states")),
    model: place.get("model") ?? "",
    method: place.get("method") ?? "",
  };
  const settled = useSettled(filter.search);
  const jobs = useJobs({ ...filter, search: settled });
  const isFiltered = Boolean(filter.search || filter.states.length || filter.model || filter.method);
  const isFirst = !isFiltered && !jobs.isLoading && !jobs.error && jobs.items.length === 0;

  function change(changes: Partial<Filter>): void {
    const { states, ...texts } = changes;
    setQuery({ ...texts, ...(states && { states: states.join(",") }) });
  }

  return (
    <Page
      title="Jobs"
      actions={
        may("developer") &&
        !isFirst && (
          <LinkButton href="/new" kind="primary">
            <Icon name="new" />
            New job
          </LinkButton>
        )
      }
    >
      {isFirst ? (
        <FirstJob />
      ) : (
        <>
          <Filters filter={filter} counts={jobs.overview.states} models={jobs.overview.models} onChange={change} />
          <List jobs={jobs} chosen={filter.states} onClear={() => change(CLEAR)} />
        </>
      )}
    </Page>
  );
}

const CLEAR: Filter = { search: "", states: [], model: "", method: "" };

interface ListProps {
  jobs: JobList;
  chosen: readonly JobState[];
  onClear: () => void;
}

function List({ jobs, chosen, onClear }: ListProps) {
  const now = useNow(10);
  const isNarrow = useNarrow();
  const Rows = isNarrow ? JobCards : JobTable;
  const all = Object.entries(jobs.overview.states);
  const total = all.reduce(
    (sum, [state, n]) => sum + (chosen.length && !chosen.includes(state as JobState) ? 0 : n),
    0,
  );
  return (
    <>
      {jobs.error && (
        <ErrorNote
          error={jobs.error}
          title={jobs.items.length ? "The list could not be brought up to date" : "The jobs could not be fetched"}
          onRetry={jobs.reload}
        />
      )}
      <p class="visually-hidden" aria-live="polite">
        {jobs.isLoading ? "" : plural(total, "job")}
      </p>
      {jobs.isLoading && (
        <Panel>
          <Skeleton lines={8} label="Loading the jobs" />
        </Panel>
      )}
      {!jobs.isLoading && !jobs.error && jobs.items.length === 0 && (
        <Panel>
          <Empty title="No job matches" action={<Button onClick={onClear}>Clear the filters</Button>}>
            <p>Search looks for part of a name, a model or a value of the metadata.</p>
          </Empty>
        </Panel>
      )}
      {jobs.items.length > 0 && (
        <>
          <Rows jobs={jobs.items} now={now} onChanged={jobs.reload} />
          <div class="jobs-foot muted">
            {count(jobs.items.length)} of {plural(Math.max(total, jobs.items.length), "job")}
          </div>
          <LoadMore hasMore={jobs.hasMore} busy={jobs.isBusy} onMore={jobs.more} />
        </>
      )}
    </>
  );
}
