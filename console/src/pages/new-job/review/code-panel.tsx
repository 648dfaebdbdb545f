import { useState } from "preact/hooks";
import { api } from "../../../lib/api";
import { useResource } from "../../../lib/resource";
import { useSettled } from "../../../lib/settled";
import { Button } from "../../../ui/button";
import { CodeBlock } from "../../../ui/copy";
import { Panel, Skeleton } from "../../../ui/layout";
import { LocalTabs } from "../../../ui/local-tabs";
import { ErrorNote } from "../../../ui/note";
import { type Draft, requestOf } from "../draft";

type Kind = "config_yaml" | "openai" | "boto3" | "cli";
type Code = Record<Kind, string>;

const KINDS: readonly { id: Kind; label: string; file: string; type: string }[] = [
  { id: "config_yaml", label: "config.yaml", file: "config.yaml", type: "application/yaml" },
  { id: "openai", label: "openai", file: "start_job_openai.py", type: "text/x-python" },
  { id: "boto3", label: "boto3", file: "start_job_boto3.py", type: "text/x-python" },
  { id: "cli", label: "Command line", file: "start_job.sh", type: "text/x-shellscript" },
];

/** The same job as code, to be copied or kept. */
export function CodePanel({ draft, isComplete }: { draft: Draft; isComplete: boolean }) {
  const [kind, setKind] = useState<Kind>("config_yaml");
  const key = useSettled(isComplete ? JSON.stringify(requestOf(draft)) : null, 400);
  const { data, error, reload } = useResource(key, (signal) =>
    api.post<Code>("/api/jobs/code", JSON.parse(key ?? "{}"), { signal }),
  );
  const shown = KINDS.find((one) => one.id === kind)!;
  return (
    <Panel
      title="As code"
      actions={
        data && (
          <Button size="small" onClick={() => save(shown.file, shown.type, data[kind])}>
            Download {shown.file}
          </Button>
        )
      }
    >
      {!isComplete ? (
        <p class="muted">Once the job is complete, the code that starts it stands here.</p>
      ) : (
        <LocalTabs label="Kind of code" items={KINDS} current={kind} onCurrent={setKind}>
          {error ? (
            <ErrorNote error={error} onRetry={reload} />
          ) : data ? (
            <CodeBlock text={data[kind]} label={`The job as ${shown.label}`} maxHeight="30rem" />
          ) : (
            <Skeleton lines={8} />
          )}
        </LocalTabs>
      )}
    </Panel>
  );
}

function save(name: string, type: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
