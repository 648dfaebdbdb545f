import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import type { PageProps } from "../../app";
import { api } from "../../lib/api";
import type { JobCard, LiveEvent } from "../../lib/jobs";
import { useLive } from "../../lib/live";
import { useResource } from "../../lib/resource";
import { StateBadge } from "../../ui/badge";
import { Empty, Page, Skeleton, TabLinks } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { JobActions } from "./actions";
import type { JobDetail } from "./detail";
import { JobHeader } from "./header";
import "./job.css";
import { MetricStore } from "./metrics";
import { Outcome } from "./outcome";
import Overview from "./overview";
import type { TabProps } from "./tab";

const TABS = [
  { id: "overview", label: "Overview" },
  { id: "rollouts", label: "Rollouts" },
  { id: "checkpoints", label: "Checkpoints" },
  { id: "events", label: "Events" },
  { id: "data", label: "Data" },
  { id: "configuration", label: "Configuration" },
] as const;

/** Every tab but the first is fetched when it is opened. */
const LOADERS = import.meta.glob<{ default: ComponentType<TabProps> }>(["./*/index.tsx", "!./overview/index.tsx"]);

export default function JobPage({ params }: PageProps) {
  return <OneJob key={params.id} id={params.id ?? ""} tab={params.tab ?? "overview"} />;
}

function OneJob({ id, tab }: { id: string; tab: string }) {
  const path = `/api/jobs/${encodeURIComponent(id)}`;
  const found = useResource(path, (signal) => api.get<JobDetail>(path, { signal }));
  const metrics = useMemo(() => new MetricStore(id), [id]);
  const pulse = useMemo(() => signal(0), []);
  useEffect(() => {
    void metrics.load();
    return () => metrics.close();
  }, [metrics]);

  const job = found.data;
  useLive(job ? `${path}/live` : null, {
    open: () => metrics.refresh(), // whatever came between the first request and the stream
    metrics: () => metrics.refresh(),
    message: (_event: LiveEvent) => {
      pulse.value += 1;
    },
    job: (card: JobCard) => {
      if (!job) return;
      if (card.state === job.state) found.set({ ...job, ...card });
      else found.reload();
    },
  });

  if (found.error?.status === 404) {
    return (
      <Page title="No such job">
        <Empty title="There is no such job in this project" action={<a href="/">Go to the jobs</a>}>
          <p>It may belong to another project, or the address may be incomplete.</p>
        </Empty>
      </Page>
    );
  }
  if (!job) {
    return (
      <Page title="Job">
        {found.error ? <ErrorNote error={found.error} onRetry={found.reload} /> : <Skeleton lines={8} />}
      </Page>
    );
  }
  return (
    <Page
      title={job.name}
      beside={<StateBadge state={job.state} />}
      subtitle={subtitle(job)}
      actions={<JobActions job={job} reload={found.reload} />}
    >
      <JobHeader job={job} />
      <TabLinks
        label="Job"
        current={tab}
        items={TABS.map((one) => ({ ...one, href: `/jobs/${encodeURIComponent(id)}/${one.id}` }))}
      />
      {tab === "overview" && <Outcome job={job} reload={found.reload} />}
      <Tab key={tab} name={tab} job={job} reload={found.reload} pulse={pulse} metrics={metrics} />
    </Page>
  );
}

function subtitle(job: JobDetail): string {
  const method = job.method === "supervised" ? "Supervised" : "Reinforcement";
  return `${method} fine-tuning of ${job.model} · ${job.id}`;
}

function Tab({ name, ...props }: TabProps & { name: string }) {
  const [Loaded, setLoaded] = useState<ComponentType<TabProps> | null>(() => (name === "overview" ? Overview : null));
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (Loaded) return;
    const load = LOADERS[`./${name}/index.tsx`];
    if (!load) setFailed(true);
    else
      load().then(
        (module) => setLoaded(() => module.default),
        () => setFailed(true),
      );
  }, [name, Loaded]);
  if (failed)
    return <Empty title="This part of the page cannot be shown" action={<a href={location.href}>Load again</a>} />;
  return Loaded ? <Loaded {...props} /> : <Skeleton lines={6} />;
}
