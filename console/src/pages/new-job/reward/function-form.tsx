import { useState } from "preact/hooks";
import { api } from "../../../lib/api";
import { useResource } from "../../../lib/resource";
import { type FunctionVersion, functionPath, getFunctions, type PageOf } from "../../../lib/rewards";
import { Check, SelectField, TextField } from "../../../ui/field";
import { Skeleton } from "../../../ui/layout";
import { ErrorNote, Note } from "../../../ui/note";
import type { GraderProps } from "./grader-form";

export function FunctionForm({ section, onSection }: GraderProps) {
  const reference = section.function ?? "";
  const [isElsewhere, setElsewhere] = useState(reference.startsWith("arn:"));
  const use = (next: string) => onSection({ ...section, function: next });
  return (
    <div class="stack">
      <Check
        label="By its ARN"
        hint="For functions on AWS Lambda, which the server calls with its own AWS credentials."
        checked={isElsewhere}
        onChecked={(checked) => {
          setElsewhere(checked);
          use("");
        }}
      />
      {isElsewhere ? (
        <TextField
          label="ARN"
          value={reference}
          onValue={use}
          placeholder="arn:aws:lambda:eu-central-1:123456789012:function:my-reward:3"
          spellcheck={false}
        />
      ) : (
        <Registered reference={reference} onReference={use} />
      )}
      <Check
        label="Reference answers as objects"
        hint="A reference that is a string is sent as {“text”: …}, as functions for Bedrock's open-weight models expect."
        checked={section.reference_answer === "text"}
        onChecked={(checked) => {
          const { reference_answer: _before, ...rest } = section;
          onSection(checked ? { ...rest, reference_answer: "text" } : rest);
        }}
      />
    </div>
  );
}

function Registered({ reference, onReference }: { reference: string; onReference: (next: string) => void }) {
  const [name = "", version = ""] = reference.split(":");
  const functions = useResource("functions", (signal) => getFunctions({ limit: 50 }, signal));
  const versions = useResource(name ? `versions ${name}` : null, (signal) =>
    api.get<PageOf<FunctionVersion>>(functionPath(name, "/versions?limit=100"), { signal }),
  );
  if (functions.error) return <ErrorNote error={functions.error} onRetry={functions.reload} />;
  if (!functions.data) return <Skeleton lines={2} label="Loading functions" />;
  const known = functions.data.data;
  if (!known.length) {
    return (
      <Note title="No function is registered in this project yet">
        <span>
          Write one as “Own code” above, or register one: with <a href="/functions">Functions and judges</a>, boto3, or
          the command <code>tuneward functions</code>.
        </span>
      </Note>
    );
  }
  const listed = known.map((one) => one.name);
  const names = name && !listed.includes(name) ? [name, ...listed] : listed;
  return (
    <div class="grid" style={{ "--column": "14rem" }}>
      <SelectField
        label="Function"
        value={name}
        onValue={(next) => {
          const newest = known.find((one) => one.name === next)?.newest_version;
          onReference(newest ? `${next}:${newest}` : next);
        }}
        options={[{ value: "", label: "Choose…", disabled: true }, ...names]}
        problem={versions.error ? versions.error.message : null}
      />
      <SelectField
        label="Version"
        value={version}
        disabled={!versions.data}
        onValue={(next) => onReference(next ? `${name}:${next}` : name)}
        hint="A published version never changes, so the job can be repeated."
        options={[
          { value: "", label: "$LATEST, may change while the job runs" },
          ...(versions.data?.data ?? []).flatMap((one) => [
            ...one.aliases.map((alias) => ({ value: alias, label: `${alias} → ${one.version}` })),
            ...(one.version === "$LATEST"
              ? []
              : [{ value: one.version, label: one.description ? `${one.version} · ${one.description}` : one.version }]),
          ]),
        ]}
      />
    </div>
  );
}
