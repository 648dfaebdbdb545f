import { useState } from "preact/hooks";
import { Button } from "../../../ui/button";
import { TextField } from "../../../ui/field";
import type { UriSource } from "../draft";
import type { SourceProps } from "./source-picker";

const OBJECT = /^s3:\/\/[^/]+\/.*[^/]$/;

/** The address of a JSONL object. */
export function UriForm({ purpose, value, onValue }: SourceProps<UriSource>) {
  const [text, setText] = useState(value?.uri ?? "");
  const uri = text.trim();
  const isAddress = OBJECT.test(uri);

  return (
    <form
      class="stack tight"
      onSubmit={(event) => {
        event.preventDefault();
        if (isAddress) onValue({ kind: "uri", uri });
      }}
    >
      <TextField
        label={`Address of the ${purpose} rows`}
        hint="A JSONL object that the server's own storage account may read; it is read when the job starts, too."
        problem={uri && !isAddress && uri.length > 5 ? "Write s3://BUCKET/KEY." : null}
        placeholder="s3://bucket/rows.jsonl"
        spellcheck={false}
        value={text}
        onValue={setText}
      />
      <div class="row">
        <Button type="submit" disabled={!isAddress || uri === value?.uri}>
          {uri === value?.uri && uri ? "In use" : "Use this object"}
        </Button>
      </div>
    </form>
  );
}
