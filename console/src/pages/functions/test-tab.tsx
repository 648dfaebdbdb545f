import { useState } from "preact/hooks";
import { ApiError, api, query } from "../../lib/api";
import { useResource } from "../../lib/resource";
import { type FunctionVersion, functionPath, type PageOf } from "../../lib/rewards";
import { may } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { CodeEditor } from "../../ui/code-editor";
import { CodeBlock } from "../../ui/copy";
import { SelectField, TextField } from "../../ui/field";
import { Panel } from "../../ui/layout";
import { ErrorNote, Note } from "../../ui/note";
import { Verbatim } from "../../ui/verbatim";
import { EXAMPLE_EVENT, eventsOf, keepEvents, type NamedEvent } from "./test-events";

interface Answer {
  payload: string;
  /** The function's failure, or null. */
  failure: string | null;
  version: string;
  log: string;
}

/** Calls a function with an event, as AWS Lambda's Invoke does. */
export function TestTab({ name }: { name: string }) {
  const [events, setEvents] = useState<NamedEvent[]>(() => eventsOf(name));
  const [text, setText] = useState(events[0]?.text ?? EXAMPLE_EVENT);
  const [label, setLabel] = useState(events[0]?.label ?? "");
  const [version, setVersion] = useState("$LATEST");
  const [isBusy, setBusy] = useState(false);
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<ApiError>();
  const versions = useResource(`versions ${name}`, (signal) =>
    api.get<PageOf<FunctionVersion>>(functionPath(name, "/versions?limit=100"), { signal }),
  );
  const problem = jsonProblem(text);

  async function run(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      setAnswer(await invoke(name, version, JSON.parse(text)));
    } catch (caught) {
      setAnswer(undefined);
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    } finally {
      setBusy(false);
    }
  }

  function keep(): void {
    const next = [{ label, text }, ...events.filter((one) => one.label !== label)];
    setEvents(next);
    keepEvents(name, next);
    tell(`The event “${label}” is kept in this browser.`, "good");
  }

  return (
    <div class="functions-test">
      <Panel title="Event">
        <div class="stack">
          <div class="grid" style={{ "--column": "12rem" }}>
            <SelectField
              label="Event"
              value={events.some((one) => one.label === label) ? label : ""}
              onValue={(next) => {
                setLabel(next);
                setText(events.find((one) => one.label === next)?.text ?? EXAMPLE_EVENT);
              }}
              options={[{ value: "", label: "Example" }, ...events.map((one) => one.label)]}
            />
            <SelectField
              label="Version"
              value={version}
              onValue={setVersion}
              options={(versions.data?.data ?? []).map((one) => ({
                value: one.version,
                label: one.version === "$LATEST" ? "newest code" : one.version,
              }))}
            />
          </div>
          <CodeEditor label="Event, JSON" value={text} onValue={setText} language="json" height="20rem" />
          {problem && <span class="field-problem">{problem}</span>}
          <div class="row">
            <Button kind="primary" busy={isBusy} disabled={problem !== null || !may("developer")} onClick={run}>
              Run
            </Button>
            <div class="grow">
              <TextField
                label="Name of the event"
                hideLabel
                placeholder="Name, to keep it"
                value={label}
                onValue={setLabel}
                maxLength={60}
              />
            </div>
            <Button disabled={!label.trim() || problem !== null} onClick={keep}>
              Keep event
            </Button>
          </div>
        </div>
      </Panel>
      <Panel title="Result">
        <div class="stack" aria-live="polite">
          {error && <ErrorNote error={error} title="The function could not be called" onRetry={run} />}
          {!answer && !error && <p class="muted">Run the event to see what the function answers and prints.</p>}
          {answer && <Result answer={answer} />}
        </div>
      </Panel>
    </div>
  );
}

function Result({ answer }: { answer: Answer }) {
  const report = /REPORT .*\tDuration: ([\d.]+) ms.*Max Memory Used: (\d+) MB/.exec(answer.log);
  return (
    <>
      <div class="row">
        <Badge tone={answer.failure ? "bad" : "good"}>{answer.failure ? "failed" : "answered"}</Badge>
        <span class="muted">
          {answer.version === "$LATEST" ? "newest code" : `version ${answer.version}`}
          {report && ` · ${Math.round(Number(report[1]))} ms · ${report[2]} MB`}
        </span>
      </div>
      {answer.failure && <Note tone="bad">{answer.failure}</Note>}
      <CodeBlock text={answer.payload} label="Answer" maxHeight="20rem" />
      <h3>Log</h3>
      <Verbatim text={answer.log} label="Log" maxHeight="16rem" />
    </>
  );
}

async function invoke(name: string, version: string, event: unknown): Promise<Answer> {
  const path = `/2015-03-31/functions/${encodeURIComponent(name)}/invocations${query({ Qualifier: version })}`;
  const response = await api.open("POST", path, event, { headers: { "x-amz-log-type": "Tail" } });
  const text = await response.text();
  const tail = response.headers.get("x-amz-log-result") ?? "";
  const log = new TextDecoder().decode(Uint8Array.from(atob(tail), (sign) => sign.charCodeAt(0)));
  let failure: string | null = null;
  let payload = text;
  try {
    const parsed = JSON.parse(text) as Record<string, unknown>;
    payload = JSON.stringify(parsed, null, 2);
    if (response.headers.has("x-amz-function-error")) failure = `${parsed.errorType}: ${parsed.errorMessage}`;
  } catch {
    // Shown as it came.
  }
  return { payload, failure, version: response.headers.get("x-amz-executed-version") ?? version, log };
}

function jsonProblem(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `This is not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}
