import { useState } from "preact/hooks";
import { api, query } from "../../lib/api";
import { usePaged } from "../../lib/paged";
import { useSettled } from "../../lib/settled";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import { Skeleton } from "../../ui/layout";
import { ErrorNote } from "../../ui/note";
import { LoadMore } from "../../ui/paging";
import { type Row, shown } from "./conversation";
import { JobSelect } from "./job-select";

interface Props {
  job: string | null;
  onTake: (job: string, row: Row) => void;
  onClose: () => void;
}

/** Prompts of a job, to be asked here. */
export function RowsDialog({ job: first, onTake, onClose }: Props) {
  const [job, setJob] = useState(first);
  const [split, setSplit] = useState("validation");
  const [text, setText] = useState("");
  const search = useSettled(text.trim());
  const rows = usePaged<Row, number>(job && `${job} ${split} ${search}`, (after, signal) =>
    api.get(`/api/jobs/${encodeURIComponent(job ?? "")}/rows${query({ split, search, after, limit: 20 })}`, { signal }),
  );

  return (
    <Dialog title="Take a prompt from a job" onClose={onClose} wide>
      <div class="grid" style={{ "--column": "12rem" }}>
        <JobSelect label="Job" value={job} onValue={setJob} />
        <SelectField
          label="Rows"
          value={split}
          onValue={setSplit}
          options={[
            { value: "validation", label: "Validation set" },
            { value: "training", label: "Training set" },
          ]}
        />
        <TextField label="Find" type="search" value={text} onValue={setText} maxLength={200} />
      </div>
      <div class="playground-picks">
        {!job && <p class="muted">Choose the job whose prompts you want to see.</p>}
        {rows.error && <ErrorNote error={rows.error} onRetry={rows.reload} />}
        {rows.isLoading && job && <Skeleton lines={5} />}
        {job && !rows.isLoading && !rows.error && rows.items.length === 0 && (
          <p class="muted">{search ? "No row holds this." : "This set has no rows."}</p>
        )}
        <ul>
          {rows.items.map((row) => (
            <li key={row.line}>
              <button
                type="button"
                class="playground-pick"
                onClick={() => {
                  if (job) onTake(job, row);
                  onClose();
                }}
              >
                <span class="grow">
                  <span class="muted num">{row.id}</span>
                  <span class="playground-clamp">{lastText(row)}</span>
                  {shown(row.reference_answer) && (
                    <span class="playground-clamp muted">Reference: {shown(row.reference_answer)}</span>
                  )}
                </span>
              </button>
            </li>
          ))}
        </ul>
        <LoadMore hasMore={rows.hasMore} busy={rows.isBusy} onMore={rows.more} />
      </div>
      <div class="actions">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

function lastText(row: Row): string {
  const last = row.messages[row.messages.length - 1];
  return String(last?.content ?? "").slice(0, 2000);
}
