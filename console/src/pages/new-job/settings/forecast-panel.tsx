import { bytes, count, duration, percent, plural } from "../../../lib/format";
import { Badge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import { Panel, Skeleton, TableRegion } from "../../../ui/layout";
import { ErrorNote, Note } from "../../../ui/note";
import type { StepProps } from "../draft";
import { withSetting } from "../draft";
import { type Forecast, useForecast } from "../forecast";
import { MemoryBar } from "../memory-bar";
import { placeOf, titleOf } from "./schema";

/** What the job would take with the settings as they are, and what has to change where that is too much. */
export function ForecastPanel({ draft, update }: StepProps) {
  const { forecast, error, isBusy } = useForecast(draft);
  return (
    <Panel title="Forecast" actions={isBusy ? <Badge>calculating</Badge> : undefined}>
      <div aria-live="polite" aria-busy={isBusy}>
        {error ? (
          <ErrorNote error={error} />
        ) : forecast ? (
          <Outlook
            forecast={forecast}
            isStale={isBusy}
            onChange={(setting, value) =>
              update(({ config }) => ({ config: withSetting(config, ...placeOf(setting), value) }))
            }
          />
        ) : draft.model ? (
          <Skeleton lines={5} label="Calculating the forecast" />
        ) : (
          <p class="muted">
            <a href="/new/model">Choose a model</a> to see what the job would take.
          </p>
        )}
      </div>
    </Panel>
  );
}

interface OutlookProps {
  forecast: Forecast;
  isStale: boolean;
  onChange: (setting: string, value: number) => void;
}

function Outlook({ forecast, isStale, onChange }: OutlookProps) {
  const { work, memory, time, disk } = forecast;
  return (
    <div class={isStale ? "stack new-job-stale" : "stack"}>
      {forecast.problem && <Note tone="warn">{forecast.problem}</Note>}
      {(time || work || disk) && (
        <dl class="forecast-figures">
          {time && (
            <div>
              <dt>Time, without early stopping</dt>
              <dd>
                {duration(time.low_s)} to {duration(time.high_s)}
              </dd>
              <dd class="muted">about {duration(time.step_s)} a step</dd>
            </div>
          )}
          {work && (
            <div>
              <dt>Steps</dt>
              <dd>{count(work.steps)}</dd>
              <dd class="muted">{plural(work.evaluations, "evaluation")} at most</dd>
            </div>
          )}
          {work && (
            <div>
              <dt>Tokens to train on</dt>
              <dd>{count(work.trained_tokens)}</dd>
              <dd class="muted">{plural(work.completions, "completion")}</dd>
            </div>
          )}
          {disk && (
            <div>
              <dt>Disk</dt>
              <dd class={disk.fits ? undefined : "field-problem"}>{bytes(disk.bytes)}</dd>
              <dd class={disk.fits ? "muted" : "field-problem"}>{bytes(disk.free_bytes)} free</dd>
            </div>
          )}
        </dl>
      )}
      {memory && <Memory memory={memory} onChange={onChange} />}
      {time && <p class="field-hint">{time.basis}</p>}
      {forecast.assumptions.length > 0 && (
        <ul class="field-hint">
          {forecast.assumptions.map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Memory({
  memory,
  onChange,
}: {
  memory: NonNullable<Forecast["memory"]>;
  onChange: (setting: string, value: number) => void;
}) {
  return (
    <div class="stack tight">
      <MemoryBar
        label={`Memory at most (${memory.device})`}
        needed={memory.peak_bytes}
        limit={memory.limit_bytes}
        fits={memory.fits !== "no"}
        parts={memory.parts}
      />
      {memory.problem && (
        <Note tone={memory.fits === "no" ? "bad" : "warn"} title={memory.fits === "no" ? "It does not fit" : "Not now"}>
          <span>{memory.problem}</span>
          {memory.changes.length > 0 && (
            <div class="row">
              {memory.changes.map((change) => (
                <Button size="small" key={change.setting} onClick={() => onChange(change.setting, change.value)}>
                  Set {lowered(titleOf(change.setting))} to {count(change.value)}
                </Button>
              ))}
            </div>
          )}
        </Note>
      )}
      <details>
        <summary>
          By part, in the {memory.peak_phase}, where it takes the most
          {memory.free_bytes !== null && `; ${bytes(memory.free_bytes)} may be taken now`}
        </summary>
        <TableRegion label="Memory by part">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Part</th>
                <th scope="col" class="end">
                  Memory
                </th>
                <th scope="col" class="end">
                  Share
                </th>
              </tr>
            </thead>
            <tbody>
              {memory.parts.map((part) => (
                <tr key={part.name}>
                  <td>{part.name}</td>
                  <td class="end num">{bytes(part.bytes)}</td>
                  <td class="end num">{percent(part.bytes / memory.peak_bytes, 0)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableRegion>
      </details>
    </div>
  );
}

function lowered(title: string): string {
  return title.startsWith("LoRA") ? title : title.charAt(0).toLowerCase() + title.slice(1);
}
