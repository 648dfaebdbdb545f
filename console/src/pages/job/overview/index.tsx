import { useMemo, useState } from "preact/hooks";
import { bytes, number, percent } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { Chart, chartElement } from "../../../ui/chart";
import { type ChartBoard, chartBoard } from "../../../ui/chart-board";
import type { Mark } from "../../../ui/chart-marks";
import { Empty, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { type EventCard, fetchEvents } from "../events/event";
import { useReloadOn } from "../reload";
import type { TabProps } from "../tab";
import { type ChartGroup, chartsOf } from "./charts";
import { CompareDialog, ComparedJobs, comparedIds, useCompared } from "./compare";
import { Diagnosis, finding, severityOf, TONES } from "./diagnosis";
import { type Axis, type Drawn, domainOf, epochAt, linesOf, sayX, startOf, stridesOf, tickX } from "./lines";
import type { ChartPlan } from "./plans";
import { axisNow, Toolbar, useBoardFromAddress } from "./toolbar";

const MOST_WARNINGS = 50;
const NONE: readonly EventCard[] = [];
const FOUND_MS = 2500;
const ALL_MARKS = ["reward", "loss"];

/** The curves of a job, what its rules have noticed, and other jobs beside it. */
export default function Overview({ job, metrics, pulse }: TabProps) {
  const board = useMemo(chartBoard, []);
  const axis = axisNow();
  const others = useCompared(comparedIds(job.id));
  const [isComparing, setComparing] = useState(false);
  const found = useResource(`warnings ${job.id}`, (signal) =>
    fetchEvents(job.id, { code: "warning", limit: MOST_WARNINGS }, signal),
  );
  useReloadOn(pulse, found.reload);
  const warnings = found.data?.data ?? NONE;

  const now = metrics.now.value;
  useBoardFromAddress(board, now.step.steps.length);
  const all = [now, ...others.map((one) => one.store.now.value)];
  const names = [job.name, ...others.map((one) => one.card?.name ?? one.id)];
  const drawn: Drawn[] = all.map((one, index) => ({ name: names[index]!, metrics: one }));

  function show(event: EventCard): void {
    const plan = groups
      .flatMap((group) => group.charts)
      .find((one) => one.codes?.includes(event.diagnosis?.code ?? ""));
    const id = plan?.id ?? groups[0]?.charts[0]?.id;
    const element = document.getElementById(chartElement(id ?? ""));
    element?.closest("details")?.setAttribute("open", "");
    element?.scrollIntoView({ block: "center", behavior: "smooth" });
    element?.querySelector<HTMLElement>(".chart-plot")?.focus({ preventScroll: true });
    element?.classList.add("found");
    setTimeout(() => element?.classList.remove("found"), FOUND_MS);
    board.cursor.value = { at: placeOf(event, drawn[0]!, axis), from: "diagnosis" };
  }

  if (!now.isLoaded && now.error) return <ErrorNote error={now.error} onRetry={() => void metrics.load()} />;
  if (!now.isLoaded) return <Skeleton lines={8} />;
  const groups = chartsOf(all, job.method === "supervised");
  return (
    <>
      <Diagnosis warnings={warnings} jobId={job.id} hasRollouts={job.method === "reinforcement"} onShow={show} />
      {groups.length === 0 ? (
        <NoNumbers job={job} />
      ) : (
        <>
          <Toolbar board={board} onCompare={() => setComparing(true)} />
          <ComparedJobs job={job} others={others} />
          <Groups {...{ groups, drawn, axis, board, warnings }} />
        </>
      )}
      {isComparing && (
        <CompareDialog job={job} chosen={others.map((one) => one.id)} onClose={() => setComparing(false)} />
      )}
    </>
  );
}

function NoNumbers({ job }: Pick<TabProps, "job">) {
  const isWaiting = job.finished_at === null;
  return (
    <Empty title={isWaiting ? "No numbers yet" : "This job ended before its first numbers"}>
      <p>
        {isWaiting
          ? "Curves appear here with the evaluation of the base model and then with every step. The events say what the job is doing now."
          : "The events say how far it came."}
      </p>
      <a href={`/jobs/${encodeURIComponent(job.id)}/events`}>See the events</a>
    </Empty>
  );
}

interface GroupsProps {
  groups: readonly ChartGroup[];
  drawn: readonly Drawn[];
  axis: Axis;
  board: ChartBoard;
  warnings: readonly EventCard[];
}

function Groups({ groups, drawn, axis, board, warnings }: GroupsProps) {
  const domain = domainOf(drawn, axis);
  return (
    <>
      {groups.map((group) => (
        <details key={group.id} class="job-group" open>
          <summary>
            <h2>{group.title}</h2>
          </summary>
          <div class="grid job-charts">
            {group.charts.map((plan) => (
              <Planned key={plan.id} {...{ plan, drawn, axis, board, domain, warnings }} />
            ))}
          </div>
        </details>
      ))}
    </>
  );
}

interface PlannedProps extends Omit<GroupsProps, "groups"> {
  plan: ChartPlan;
  domain: readonly [number, number];
}

function Planned({ plan, drawn, axis, board, domain, warnings }: PlannedProps) {
  const key = [...drawn.map((one) => one.metrics), ...drawn.map((one) => one.name)];
  const lines = useMemo(() => linesOf(plan, drawn, axis), [plan.id, axis, drawn.length, ...key]);
  const marks = useMemo(() => marksOf(plan, warnings, drawn[0]!, axis), [plan.id, warnings, axis, drawn[0]?.metrics]);
  return (
    <Chart
      id={plan.id}
      title={plan.title}
      unit={plan.unit === "share" || plan.unit === "bytes" ? "" : plan.unit}
      reading={plan.reading}
      lines={lines}
      marks={marks}
      domain={domain}
      board={board}
      isBrief={drawn.length > 1}
      isStacked={!!plan.isStacked && drawn.length === 1}
      sayX={sayX(axis)}
      tickX={tickX(axis)}
      strides={stridesOf(axis)}
      nameX={axis === "time" ? "seconds" : axis}
      sayY={(value) => said(value, plan.unit)}
      tickY={(value) => ticked(value, plan.unit)}
    />
  );
}

function marksOf(plan: ChartPlan, warnings: readonly EventCard[], job: Drawn, axis: Axis): Mark[] {
  const own = warnings.filter(
    (event) => ALL_MARKS.includes(plan.id) || plan.codes?.includes(event.diagnosis?.code ?? ""),
  );
  return own.map((event) => ({
    id: event.id,
    at: placeOf(event, job, axis),
    tone: TONES[severityOf(event)] ?? "info",
    text: finding(event),
  }));
}

function placeOf(event: EventCard, { metrics }: Drawn, axis: Axis): number {
  if (axis === "time") return Math.max(0, event.created_at - startOf(metrics));
  return axis === "epoch" ? epochAt(metrics, event.step ?? 0) : (event.step ?? 0);
}

function said(value: number, unit: string): string {
  if (unit === "share") return percent(value);
  if (unit === "bytes") return bytes(value);
  return number(value);
}

function ticked(value: number, unit: string): string {
  if (unit === "share") return `${number(value * 100)} %`;
  return unit === "bytes" ? bytes(value) : number(value);
}
