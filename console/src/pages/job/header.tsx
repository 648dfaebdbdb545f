import { useEffect, useState } from "preact/hooks";
import { count, duration, percent, reward } from "../../lib/format";
import { isOver } from "../../lib/jobs";
import { Progress } from "../../ui/layout";
import type { JobDetail } from "./detail";

/** How far a job is, how long it will take, and what it has reached. */
export function JobHeader({ job }: { job: JobDetail }) {
  const { step, total_steps: total, validation } = job;
  const name = job.metric === "loss" ? "loss" : "reward";
  return (
    <section class="job-header" aria-label="Progress">
      <div class="job-progress">
        <div class="row spread">
          <span>
            <strong class="num">{step === null ? "–" : count(step)}</strong>
            <span class="muted num">{total === null ? " steps" : ` of ${count(total)} steps`}</span>
          </span>
          <Clock job={job} />
        </div>
        {total !== null && total > 0 && (
          <Progress value={Math.min(step ?? 0, total)} max={total} label={`Step ${step ?? 0} of ${total}`} />
        )}
      </div>
      <dl class="job-numbers">
        <Figure label={`Base validation ${name}`} value={validation.base} />
        <Figure label={`Training ${name} now`} value={job.newest} />
        <Figure
          label={`Best validation ${name}`}
          value={validation.best}
          base={validation.base}
          isLessBetter={job.metric === "loss"}
          note={
            validation.best_step === null
              ? ""
              : validation.best_step === 0
                ? "base model"
                : `step ${count(validation.best_step)}`
          }
        />
      </dl>
    </section>
  );
}

interface FigureProps {
  label: string;
  value: number | null;
  base?: number | null;
  isLessBetter?: boolean;
  note?: string;
}

function Figure({ label, value, base = null, isLessBetter = false, note = "" }: FigureProps) {
  const gain = value !== null && base !== null ? value - base : null;
  const isBetter = gain !== null && (isLessBetter ? gain < 0 : gain > 0);
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <strong class="num">{reward(value)}</strong>
        {gain !== null && gain !== 0 && (
          <span class={`num job-gain ${isBetter ? "good" : "bad"}`}>{reward(gain, { signed: true })}</span>
        )}
        {note && <span class="muted num">{note}</span>}
      </dd>
    </div>
  );
}

/** Elapsed and left, counting while the job runs. */
function Clock({ job }: { job: JobDetail }) {
  const [now, setNow] = useState(Date.now() / 1000);
  const isRunning = !isOver(job.state) && job.started_at !== null;
  useEffect(() => {
    if (!isRunning) return;
    const timer = setInterval(() => setNow(Date.now() / 1000), 1000);
    return () => clearInterval(timer);
  }, [isRunning]);
  const parts: string[] = [];
  if (job.step !== null && job.total_steps) parts.push(percent(job.step / job.total_steps, 0));
  if (job.started_at !== null) parts.push(`${duration((job.finished_at ?? now) - job.started_at)} elapsed`);
  if (job.state === "running" && job.estimated_finish !== null) {
    const left = job.estimated_finish - now;
    parts.push(left < 1 ? "nearly done" : `about ${duration(left)} left`);
  }
  return <span class="muted num">{parts.join(" · ")}</span>;
}
