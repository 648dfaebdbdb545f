import { useEffect, useRef, useState } from "preact/hooks";
import { Button } from "../../ui/button";
import { TextArea } from "../../ui/field";
import { AnswerView } from "./answer";
import type { Turn } from "./conversation";
import { SaveDialog } from "./save-dialog";
import type { Playground } from "./use-playground";

interface TurnProps {
  turn: Turn;
  /** 1 is the first. */
  number: number;
  playground: Playground;
  mayAsk: boolean;
}

/** One question, and beside each other what the models said. */
export function TurnView({ turn, number, playground, mayAsk }: TurnProps) {
  const { columns, job, isAsking } = playground;
  const [isEditing, setEditing] = useState(false);
  const [isSaving, setSaving] = useState(false);
  const hasAnswers = columns.some((column) => turn.answers[column.id]?.text);
  const isFree = mayAsk && !isAsking;
  const ref = useRef<HTMLElement>(null);
  useEffect(() => ref.current?.scrollIntoView({ block: "start" }), []);
  return (
    <section class="playground-turn" aria-label={`Turn ${number}`} ref={ref}>
      {isEditing ? (
        <Editor
          text={turn.user ?? ""}
          onCancel={() => setEditing(false)}
          onSend={(text) => {
            setEditing(false);
            void playground.again(turn.id, text);
          }}
        />
      ) : (
        <div class="playground-question">
          <div class="playground-text">
            {turn.user ?? <span class="muted">The conversation was asked as it stands.</span>}
          </div>
          <div class="row">
            {turn.user !== null && (
              <Button size="small" kind="quiet" disabled={!isFree} onClick={() => setEditing(true)}>
                Edit
              </Button>
            )}
            <Button
              size="small"
              kind="quiet"
              disabled={!isFree}
              onClick={() => void playground.again(turn.id, turn.user)}
            >
              Ask all again
            </Button>
            {hasAnswers && (
              <Button
                size="small"
                kind="quiet"
                disabled={!isFree || !job}
                title={job ? undefined : "Choose a job under Grading first."}
                onClick={() => void playground.grade(turn.id)}
              >
                Grade
              </Button>
            )}
            {hasAnswers && (
              <Button size="small" kind="quiet" disabled={!isFree} onClick={() => setSaving(true)}>
                Save as row
              </Button>
            )}
          </div>
        </div>
      )}
      <div class="playground-answers" style={{ "--columns": columns.length }}>
        {columns.map((column) => (
          <AnswerView
            key={column.id}
            model={column.model}
            answer={turn.answers[column.id]}
            mayAsk={isFree}
            onAsk={() => void playground.askOne(turn.id, column)}
            onReference={playground.setReference}
          />
        ))}
      </div>
      {isSaving && (
        <SaveDialog
          conversation={playground.conversation}
          turn={turn}
          columns={columns}
          reference={playground.reference}
          onClose={() => setSaving(false)}
        />
      )}
    </section>
  );
}

function Editor({
  text: first,
  onSend,
  onCancel,
}: {
  text: string;
  onSend: (text: string) => void;
  onCancel: () => void;
}) {
  const [text, setText] = useState(first);
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => ref.current?.querySelector("textarea")?.focus(), []);
  return (
    <div class="stack tight" ref={ref}>
      <TextArea
        label="Question"
        hideLabel
        value={text}
        onValue={setText}
        rows={4}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
        }}
      />
      <div class="row">
        <Button kind="primary" disabled={!text.trim()} onClick={() => onSend(text)}>
          Ask again with this
        </Button>
        <Button onClick={onCancel}>Cancel</Button>
        <span class="muted">What followed is taken back.</span>
      </div>
    </div>
  );
}
