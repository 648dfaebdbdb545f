import { api } from "../../lib/api";
import { bytes } from "../../lib/format";
import { useResource } from "../../lib/resource";
import type { Source } from "./draft";

/** A source as people know it: of an uploaded file, its name. */
export function SourceName({ source }: { source: Source }) {
  const id = source.kind === "file" ? source.file_id : null;
  const { data, error } = useResource(id, (signal) =>
    api.get<{ filename: string; bytes: number }>(`/v1/files/${encodeURIComponent(id ?? "")}`, { signal }),
  );
  if (source.kind === "uri") return <span class="mono">{source.uri}</span>;
  if (source.kind === "logs") {
    return (
      <>
        Calls logged under <span class="mono">{source.uri}</span>
      </>
    );
  }
  if (error?.status === 404) return <span class="field-problem">This file was deleted; choose another.</span>;
  return <span>{data ? `${data.filename} (${bytes(data.bytes)})` : source.file_id}</span>;
}
