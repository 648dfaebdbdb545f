import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError, api } from "../../../lib/api";
import { ago, bytes } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { Button } from "../../../ui/button";
import { SelectField } from "../../../ui/field";
import { Icon } from "../../../ui/icon";
import { Progress } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import type { FileSource } from "../draft";
import { SourceName } from "../source-name";
import { PasteRows } from "./paste";
import type { SourceProps } from "./source-picker";
import { refusal, upload } from "./upload";

interface FileList {
  data: { id: string; filename: string; bytes: number; created_at: number }[];
}

interface Sending {
  name: string;
  size: number;
  sent: number;
}

const EARLIER = 50;

/** A file to drop, to choose, or to take from earlier uploads; or rows to paste. */
export function UploadForm({ purpose, method, value, onValue }: SourceProps<FileSource>) {
  const [sending, setSending] = useState<Sending>();
  const [error, setError] = useState<ApiError>();
  const [isOver, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const abort = useRef<AbortController | null>(null);
  const hint = useId();
  const earlier = useResource("fine-tune files", (signal) =>
    api.get<FileList>(`/v1/files?purpose=fine-tune&limit=${EARLIER}`, { signal }),
  );
  useEffect(() => () => abort.current?.abort(), []);

  async function take(file: File | undefined): Promise<void> {
    if (!file || sending) return;
    const reason = refusal(file);
    setError(reason ? new ApiError(reason, 400) : undefined);
    if (reason) return;
    abort.current = new AbortController();
    const { signal } = abort.current;
    setSending({ name: file.name, size: file.size, sent: 0 });
    try {
      const made = await upload(file, {
        signal,
        onProgress: (sent) => setSending({ name: file.name, size: file.size, sent: Math.min(sent, file.size) }),
      });
      onValue({ kind: "file", file_id: made.id });
      earlier.reload();
    } catch (caught) {
      if (!signal.aborted) setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    } finally {
      setSending(undefined);
    }
  }

  return (
    <div class="stack">
      <div
        role="group"
        aria-label={`Upload of ${purpose} rows`}
        class={isOver ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take(event.dataTransfer?.files[0]);
        }}
      >
        {value && !sending && (
          <p>
            <Icon name="check" /> <SourceName source={value} />
          </p>
        )}
        {sending ? (
          <div class="stack tight drop-progress">
            <Progress value={sending.sent} max={sending.size} label={`Uploading ${sending.name}`} />
            <div class="row spread">
              <span class="num">
                {sending.name}: {bytes(sending.sent)} of {bytes(sending.size)}
              </span>
              <Button size="small" onClick={() => abort.current?.abort()}>
                Cancel
              </Button>
            </div>
          </div>
        ) : (
          <>
            <div class="row">
              <Button aria-describedby={hint} onClick={() => input.current?.click()}>
                <Icon name="upload" /> {value ? "Choose another file" : "Choose a file"}
              </Button>
              <span class="muted">or drop it here</span>
            </div>
            <p class="field-hint" id={hint}>
              JSONL: one JSON object with <code>messages</code> on each line
              {method === "reinforcement" ? (
                <>
                  , and <code>reference_answer</code> where the grader compares
                </>
              ) : (
                ", answers of the assistant among them"
              )}
              .
            </p>
          </>
        )}
        <input
          ref={input}
          type="file"
          class="visually-hidden"
          accept=".jsonl"
          tabIndex={-1}
          aria-label={`File of ${purpose} rows`}
          onChange={(event) => {
            void take(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
      </div>
      <div aria-live="polite">{error && <ErrorNote title="The file was not taken" error={error} />}</div>
      {earlier.data && earlier.data.data.length > 0 && (
        <SelectField
          label="Earlier uploads"
          value={value?.file_id ?? ""}
          onValue={(id) => onValue(id ? { kind: "file", file_id: id } : null)}
          options={[
            { value: "", label: "None" },
            ...earlier.data.data.map((file) => ({
              value: file.id,
              label: `${file.filename} · ${bytes(file.bytes)} · ${ago(file.created_at)}`,
            })),
            ...(value && !earlier.data.data.some((file) => file.id === value.file_id)
              ? [{ value: value.file_id, label: value.file_id }]
              : []),
          ]}
        />
      )}
      <PasteRows purpose={purpose} method={method} isBusy={sending !== undefined} onFile={(file) => void take(file)} />
    </div>
  );
}
