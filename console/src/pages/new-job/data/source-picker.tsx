import { useState } from "preact/hooks";
import { LocalTabs } from "../../../ui/local-tabs";
import type { Method, Source } from "../draft";
import { LogsForm } from "./logs";
import { UploadForm } from "./upload-form";
import { UriForm } from "./uri-form";

export interface SourceProps<T extends Source = Source> {
  /** "training" or "validation", for labels. */
  purpose: string;
  method: Method;
  /** What is chosen, where it is of this kind. */
  value: T | null;
  onValue: (value: Source | null) => void;
}

/** Where rows come from: a file, an object, or logged calls. */
export function SourcePicker({ purpose, method, value, onValue }: SourceProps) {
  const [kind, setKind] = useState(value?.kind ?? "file");
  const same = { purpose, method, onValue };
  return (
    <LocalTabs
      label={`Source of the ${purpose} rows`}
      current={kind}
      onCurrent={setKind}
      items={[
        { id: "file", label: "Upload" },
        { id: "uri", label: "S3 object" },
        { id: "logs", label: "Invocation logs" },
      ]}
    >
      {kind === "file" && <UploadForm {...same} value={value?.kind === "file" ? value : null} />}
      {kind === "uri" && <UriForm {...same} value={value?.kind === "uri" ? value : null} />}
      {kind === "logs" && <LogsForm {...same} value={value?.kind === "logs" ? value : null} />}
    </LocalTabs>
  );
}
