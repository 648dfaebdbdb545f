import { NumberField, TextField } from "../../../ui/field";
import type { GraderProps } from "./grader-form";

export function EndpointForm({ section, onSection }: GraderProps) {
  const endpoint = section.endpoint ?? { url: "" };
  return (
    <div class="grid" style={{ "--column": "18rem" }}>
      <TextField
        label="Address"
        type="url"
        value={endpoint.url}
        onValue={(url) => onSection({ ...section, endpoint: { ...endpoint, url } })}
        placeholder="https://grader.example.com/score"
        hint="Gets the event of a reward function as a JSON POST, and answers its scores. Private addresses are refused."
      />
      <NumberField
        label="Requests at the same time"
        value={endpoint.concurrency ?? null}
        placeholder="8"
        min={1}
        step={1}
        onValue={(concurrency) => {
          const { concurrency: _before, ...rest } = endpoint;
          onSection({ ...section, endpoint: concurrency === null ? rest : { ...rest, concurrency } });
        }}
      />
    </div>
  );
}
