import { useState } from "preact/hooks";
import { api } from "../../lib/api";
import { ago, bytes, plural } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { tell } from "../../lib/toast";
import { Button } from "../../ui/button";
import { Confirm } from "../../ui/dialog";
import { SelectField, TextArea, TextField } from "../../ui/field";
import { ErrorNote } from "../../ui/note";
import { type Conversation, messagesFor, rowOf, type Turn } from "./conversation";
import { shortName } from "./names";

interface File {
  id: string;
  filename: string;
  bytes: number;
  created_at: number;
}

interface Saved {
  id: string;
  filename: string;
  rows: number;
  is_new: boolean;
  problems: { message: string }[];
}

interface Props {
  conversation: Conversation;
  turn: Turn;
  columns: readonly { id: string; model: string }[];
  reference: string;
  onClose: () => void;
}

const NEW = "";
const REMEMBERED = "tuneward.playground.file";

/** What was asked, with the answer it should get, as a row of a data file. */
export function SaveDialog({ conversation, turn, columns, reference, onClose }: Props) {
  const [column, setColumn] = useState(columns[0]?.id ?? "");
  const [answer, setAnswer] = useState(reference);
  const [file, setFile] = useState(remembered());
  const [name, setName] = useState("rows.jsonl");
  const files = useResource("files", (signal) =>
    api.get<{ data: File[] }>("/v1/files?purpose=fine-tune&limit=100", { signal }),
  );
  const known = files.data?.data ?? [];
  const chosen = known.some((one) => one.id === file) ? file : NEW;
  const messages = messagesFor(conversation, column, turn.id);
  const isSameForAll = conversation.turns[0]?.id === turn.id;

  async function confirm(): Promise<void> {
    const row = rowOf(conversation, column, turn.id, answer);
    const target = chosen === NEW ? { filename: name } : { file_id: chosen };
    const saved = await api.post<Saved>("/api/rows", { row, ...target });
    remember(saved.id);
    const what = saved.is_new ? "The row is kept" : "This row was kept before";
    tell(`${what}: ${saved.filename} has ${plural(saved.rows, "row")} (${saved.id}).`, "good");
    for (const problem of saved.problems) tell(problem.message);
  }

  return (
    <Confirm title="Save as a data row" action="Save row" onConfirm={confirm} onClose={onClose}>
      {!isSameForAll && (
        <SelectField
          label="With the answers so far of"
          value={column}
          onValue={setColumn}
          options={columns.map((one) => ({ value: one.id, label: one.model }))}
        />
      )}
      <div class="field">
        <span class="field-label">Prompt</span>
        <div class="verbatim" role="region" aria-label="Prompt" tabIndex={0} style={{ "--max-height": "10rem" }}>
          {messages.map((message, index) => (
            <div key={index}>
              <span class="muted">{message.role}: </span>
              {typeof message.content === "string" ? message.content : JSON.stringify(message.content)}
            </div>
          ))}
        </div>
      </div>
      <TextArea
        label="Reference answer"
        value={answer}
        onValue={setAnswer}
        rows={4}
        hint="What a right answer is; graders compare with it. It may be left empty when the grader needs none."
      />
      <div class="row">
        {columns.map((one) => {
          const text = turn.answers[one.id]?.text;
          return (
            text && (
              <Button key={one.id} size="small" onClick={() => setAnswer(text)}>
                Answer of {shortName(one.model)}
              </Button>
            )
          );
        })}
      </div>
      {files.error && <ErrorNote error={files.error} onRetry={files.reload} />}
      <SelectField
        label="File"
        value={chosen}
        onValue={setFile}
        options={[
          { value: NEW, label: "A new file" },
          ...known.map((one) => ({
            value: one.id,
            label: `${one.filename}, ${bytes(one.bytes)}, ${ago(one.created_at)}`,
          })),
        ]}
        hint="Files do not change, as jobs may have read them: saving makes a new file of the former rows and this one."
      />
      {chosen === NEW && <TextField label="Name" value={name} onValue={setName} maxLength={255} spellcheck={false} />}
    </Confirm>
  );
}

function remembered(): string {
  try {
    return localStorage.getItem(REMEMBERED) ?? NEW;
  } catch {
    return NEW;
  }
}

/** The next row is likely to go behind this one. */
function remember(id: string): void {
  try {
    localStorage.setItem(REMEMBERED, id);
  } catch {
    // Then it is to be chosen again.
  }
}
