import { may } from "../../lib/session";
import { Button } from "../../ui/button";
import { TextArea } from "../../ui/field";
import { Note } from "../../ui/note";
import type { Playground } from "./use-playground";

/** Where the next question is written. */
export function Composer({ playground, onRows }: { playground: Playground; onRows: () => void }) {
  const { conversation, question, isAsking, columns } = playground;
  const mayAsk = may("developer");
  const hasPlace = columns.length > 0;
  // A row may end with no question; then it is asked as it stands.
  const canSend = mayAsk && hasPlace && !isAsking && (question.trim() !== "" || endsOpen(playground));

  return (
    <form
      class="playground-composer"
      onSubmit={(event) => {
        event.preventDefault();
        if (canSend) void playground.send();
      }}
    >
      {!mayAsk && <Note>Asking models needs the role developer; your key has the role viewer.</Note>}
      <TextArea
        label="Your message"
        hideLabel
        value={question}
        onValue={playground.setQuestion}
        rows={3}
        placeholder={conversation.turns.length ? "Go on with the conversation" : "Ask something"}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && canSend) void playground.send();
        }}
      />
      <div class="row spread">
        <div class="row">
          <Button onClick={onRows}>Take a prompt from a job</Button>
          {conversation.turns.length > 0 && <Button onClick={playground.clear}>Begin anew</Button>}
        </div>
        <div class="row">
          <span class="muted playground-keys">Ctrl + Enter sends</span>
          {isAsking ? (
            <Button kind="danger" onClick={playground.stop}>
              Stop
            </Button>
          ) : (
            <Button kind="primary" type="submit" disabled={!canSend}>
              Send to {columns.length === 1 ? "the model" : `${columns.length} models`}
            </Button>
          )}
        </div>
      </div>
    </form>
  );
}

function endsOpen({ conversation }: Playground): boolean {
  return conversation.turns.length === 0 && conversation.given.length > 0;
}
