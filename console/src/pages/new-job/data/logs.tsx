import { useEffect, useState } from "preact/hooks";
import { api } from "../../../lib/api";
import { count, plural } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { Button } from "../../../ui/button";
import { Check, TextField } from "../../../ui/field";
import { Skeleton } from "../../../ui/layout";
import { ErrorNote, Note } from "../../../ui/note";
import type { LogsSource } from "../draft";
import { FilterBuilder, type LogKey } from "./filter-builder";
import type { SourceProps } from "./source-picker";

/** Answer of `POST /api/data/logs/keys`. */
interface LogKeys {
  calls: number;
  matching: number;
  keys: LogKey[];
  logs: { complete: boolean; objects: number };
}

interface Logging {
  loggingConfig?: { s3Config?: { bucketName?: string; keyPrefix?: string } };
}

const PREFIX = /^s3:\/\/[^/]+/;

/** Prompts of logged calls: where the logs are, which calls count, and whether their answers are kept. */
export function LogsForm({ purpose, method, value, onValue }: SourceProps<LogsSource>) {
  const [text, setText] = useState(value?.uri ?? "");
  const uri = text.trim();
  const isAddress = PREFIX.test(uri);
  const own = useResource("logging", (signal) => api.get<Logging>("/logging/modelinvocations", { signal }));
  const ownUri = addressOf(own.data);
  const needsAnswers = method === "supervised";

  function change(changes: Partial<LogsSource>): void {
    if (value) onValue({ ...value, ...changes });
  }

  useEffect(() => {
    if (value && needsAnswers && !value.use_prompt_response) change({ use_prompt_response: true });
  }, [needsAnswers, value?.uri]);

  return (
    <div class="stack">
      <form
        class="stack tight"
        onSubmit={(event) => {
          event.preventDefault();
          if (isAddress) onValue({ kind: "logs", uri, use_prompt_response: needsAnswers, filters: null });
        }}
      >
        <TextField
          label={`Prefix of the logs for ${purpose}`}
          hint="Calls logged by this server or by Amazon Bedrock. Each different prompt becomes a row."
          problem={uri.length > 5 && !isAddress ? "Write s3://BUCKET/PREFIX." : null}
          placeholder="s3://bucket/logs"
          spellcheck={false}
          value={text}
          onValue={setText}
        />
        <div class="row">
          <Button type="submit" disabled={!isAddress || uri === value?.uri}>
            {value && uri === value.uri ? "In use" : "Find calls"}
          </Button>
          {ownUri && ownUri !== uri && (
            <Button kind="quiet" onClick={() => setText(ownUri)}>
              Take this server's logs
            </Button>
          )}
        </div>
      </form>
      {value && (
        <>
          <Calls key={value.uri} value={value} change={change} />
          <Check
            label="Keep the logged answers"
            hint={
              needsAnswers
                ? "Supervised jobs learn them, so they are kept."
                : "Each becomes the reference answer of its row. Without them the grader has to do without."
            }
            checked={needsAnswers || value.use_prompt_response === true}
            disabled={needsAnswers}
            onChecked={(isKept) => change({ use_prompt_response: isKept })}
          />
        </>
      )}
    </div>
  );
}

function Calls({ value, change }: { value: LogsSource; change: (changes: Partial<LogsSource>) => void }) {
  const asked = JSON.stringify({ kind: "logs", uri: value.uri, filters: value.filters ?? null });
  const { data, error, reload } = useResource(asked, (signal) =>
    api.post<LogKeys>("/api/data/logs/keys", { source: JSON.parse(asked) }, { signal }),
  );
  // What was found stays while another filter is tried: whoever types must not lose the field.
  const [last, setLast] = useState<LogKeys>();
  useEffect(() => {
    if (data) setLast(data);
  }, [data]);
  const found = data ?? last;
  if (error) return <ErrorNote title="The logs cannot be read" error={error} onRetry={reload} />;
  if (!found) return <Skeleton lines={3} label="Reading logs" />;
  if (!found.calls) {
    return (
      <Note tone="warn" title="No logged calls here">
        {found.logs.objects
          ? "There are objects under this prefix, but no logs of model calls in them."
          : "There is nothing under this prefix. Check it, or switch invocation logging on under Settings."}
      </Note>
    );
  }
  return (
    <div class="stack tight">
      <p aria-live="polite" class="num">
        <strong>{count(found.matching)}</strong> of {plural(found.calls, "logged call")}{" "}
        {value.filters ? "match the filter" : "count, as there is no filter"}.
        {!found.logs.complete && " There are more calls than are looked at here; a job reads them all."}
      </p>
      <FilterBuilder keys={found.keys} value={value.filters ?? null} onValue={(filters) => change({ filters })} />
    </div>
  );
}

function addressOf(logging: Logging | undefined): string | null {
  const { bucketName, keyPrefix } = logging?.loggingConfig?.s3Config ?? {};
  if (!bucketName) return null;
  return keyPrefix ? `s3://${bucketName}/${keyPrefix.replace(/\/$/, "")}` : `s3://${bucketName}`;
}
