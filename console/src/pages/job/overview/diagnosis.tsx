import { plural } from "../../../lib/format";
import { Badge } from "../../../ui/badge";
import { Button, LinkButton } from "../../../ui/button";
import { Panel } from "../../../ui/layout";
import type { EventCard } from "../events/event";

export const TONES = { info: undefined, warning: "warn", stop: "bad" } as const;
const WORDS = { info: "note", warning: "look into it", stop: "stop advised" } as const;
const FOLDED = 3;

type Severity = keyof typeof WORDS;

export function severityOf(event: EventCard): Severity {
  const found = event.diagnosis?.severity;
  return found === "info" || found === "stop" ? found : "warning";
}

/** What is seen, without the advice that stands beside it. */
export function finding(event: EventCard): string {
  const advice = event.diagnosis?.action;
  return advice && event.message.endsWith(advice) ? event.message.slice(0, -advice.length).trim() : event.message;
}

interface ShownProps {
  jobId: string;
  /** Supervised jobs have none to read. */
  hasRollouts: boolean;
  onShow: (event: EventCard) => void;
}

interface DiagnosisProps extends ShownProps {
  /** Newest first. */
  warnings: readonly EventCard[];
}

/** What the run's own rules have noticed, most pressing first. */
export function Diagnosis({ warnings, ...shown }: DiagnosisProps) {
  if (!warnings.length) return null;
  const order: readonly Severity[] = ["stop", "warning", "info"];
  const sorted = [...warnings].sort((a, b) => order.indexOf(severityOf(a)) - order.indexOf(severityOf(b)));
  const entries = sorted.map((event) => <Entry key={event.seq} event={event} {...shown} />);
  return (
    <Panel title="Diagnosis" actions={<span class="muted">{plural(warnings.length, "finding")}</span>}>
      <ul class="job-findings">{entries.slice(0, FOLDED)}</ul>
      {entries.length > FOLDED && (
        <details class="job-more">
          <summary>{plural(entries.length - FOLDED, "more finding")}</summary>
          <ul class="job-findings">{entries.slice(FOLDED)}</ul>
        </details>
      )}
    </Panel>
  );
}

function Entry({ event, jobId, hasRollouts, onShow }: ShownProps & { event: EventCard }) {
  const severity = severityOf(event);
  return (
    <li>
      <div>
        <Badge tone={TONES[severity]}>{WORDS[severity]}</Badge>
      </div>
      <div class="grow">
        <p>{finding(event)}</p>
        {event.diagnosis?.action && <p class="muted">{event.diagnosis.action}</p>}
      </div>
      {event.step !== null && (
        <div class="row">
          <Button size="small" kind="quiet" onClick={() => onShow(event)}>
            {event.step === 0 ? "Before training" : `Show step ${event.step}`}
          </Button>
          {event.step > 0 && hasRollouts && (
            <LinkButton
              size="small"
              kind="quiet"
              href={`/jobs/${encodeURIComponent(jobId)}/rollouts?step=${event.step}`}
            >
              Rollouts
            </LinkButton>
          )}
        </div>
      )}
    </li>
  );
}
