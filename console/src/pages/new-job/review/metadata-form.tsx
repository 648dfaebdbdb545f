import { useState } from "preact/hooks";
import { Button } from "../../../ui/button";
import { TextField } from "../../../ui/field";

const MOST = 16;

interface MetadataFormProps {
  metadata: Record<string, string>;
  onMetadata: (metadata: Record<string, string>) => void;
}

/** Texts by name that stand with the job, to find it by. */
export function MetadataForm({ metadata, onMetadata }: MetadataFormProps) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const problem = nameProblem(name, metadata);

  function add(): void {
    if (!name.trim() || problem) return;
    onMetadata({ ...metadata, [name.trim()]: value });
    setName("");
    setValue("");
  }

  function remove(gone: string): void {
    const { [gone]: _gone, ...rest } = metadata;
    onMetadata(rest);
  }

  return (
    <fieldset class="stack tight">
      <legend>Metadata</legend>
      {Object.entries(metadata).map(([key, text]) => (
        <div class="row" key={key}>
          <span class="grow">
            <span class="muted">{key}</span> {text}
          </span>
          <Button size="small" kind="quiet" aria-label={`Remove ${key}`} onClick={() => remove(key)}>
            Remove
          </Button>
        </div>
      ))}
      {Object.keys(metadata).length < MOST && (
        <div class="review-pair">
          <TextField label="Name" value={name} onValue={setName} problem={problem} maxLength={64} />
          <TextField
            label="Value"
            value={value}
            onValue={setValue}
            maxLength={512}
            onKeyDown={(event) => event.key === "Enter" && add()}
          />
          <Button onClick={add} disabled={!name.trim() || problem !== null}>
            Add
          </Button>
        </div>
      )}
    </fieldset>
  );
}

function nameProblem(name: string, metadata: Record<string, string>): string | null {
  return name.trim() in metadata ? "There is one of this name." : null;
}
