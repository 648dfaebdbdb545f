import { useState } from "preact/hooks";
import { Button } from "../../../ui/button";
import { TextArea } from "../../../ui/field";
import type { Method } from "../draft";

const EXAMPLES: Record<Method, string> = {
  reinforcement: [
    '{"messages": [{"role": "user", "content": "What is 17 + 25?"}], "reference_answer": "42"}',
    '{"messages": [{"role": "user", "content": "What is 9 + 30?"}], "reference_answer": "39"}',
  ].join("\n"),
  supervised: [
    '{"messages": [{"role": "user", "content": "What is 17 + 25?"}, {"role": "assistant", "content": "42"}]}',
    '{"messages": [{"role": "user", "content": "What is 9 + 30?"}, {"role": "assistant", "content": "39"}]}',
  ].join("\n"),
};

interface PasteProps {
  purpose: string;
  method: Method;
  isBusy: boolean;
  onFile: (file: File) => void;
}

/** A few rows typed or pasted, for trying things out: they become an uploaded file. */
export function PasteRows({ purpose, method, isBusy, onFile }: PasteProps) {
  const [text, setText] = useState("");
  return (
    <details>
      <summary>Paste a few rows</summary>
      <div class="stack tight paste">
        <TextArea
          label={`Rows for ${purpose}`}
          hint="One JSON object on each line. They are uploaded as pasted.jsonl."
          class="mono"
          rows={6}
          spellcheck={false}
          placeholder={EXAMPLES[method]}
          value={text}
          onValue={setText}
        />
        <div class="row">
          <Button
            disabled={!text.trim()}
            busy={isBusy}
            onClick={() => onFile(new File([`${text.trim()}\n`], "pasted.jsonl", { type: "text/jsonl" }))}
          >
            Use these rows
          </Button>
          {!text && (
            <Button kind="quiet" onClick={() => setText(EXAMPLES[method])}>
              Insert an example
            </Button>
          )}
        </div>
      </div>
    </details>
  );
}
