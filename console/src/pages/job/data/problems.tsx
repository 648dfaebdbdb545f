import { useState } from "preact/hooks";
import { ApiError, api, query } from "../../../lib/api";
import { count, plural } from "../../../lib/format";
import { useResource } from "../../../lib/resource";
import { SelectField } from "../../../ui/field";
import { Panel, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { LoadMore } from "../../../ui/paging";
import type { RowProblem } from "../detail";
import { apiPath } from "../links";
import { ProblemTable } from "../problems";
import type { DataReport } from "./report";

interface ProblemPage {
  data: RowProblem[];
  next: number | null;
}

const SEVERITIES = { error: "errors", warning: "warnings", info: "remarks" } as const;

/** Every problem of the rows, a page at a time. */
export function Problems({ jobId, report }: { jobId: string; report: DataReport }) {
  const [severity, setSeverity] = useState("");
  const [file, setFile] = useState("");
  const total = report.errors + report.warnings + report.remarks;
  const key = `${jobId} ${severity} ${file} ${total}`;
  const path = (after?: number) => apiPath(jobId, "/data/problems") + query({ limit: 25, after, severity, file });
  const first = useResource<ProblemPage>(total ? key : null, (signal) => api.get(path(), { signal }));
  const [more, setMore] = useState<{ of: ProblemPage; data: RowProblem[]; next: number | null }>();
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();

  if (!total) {
    return (
      <Panel title="Problems">
        <p>Nothing was found: every row can be used as it is.</p>
      </Panel>
    );
  }
  const page = first.data;
  const further = page && more?.of === page ? more : page && { of: page, data: [] as RowProblem[], next: page.next };

  async function showMore(): Promise<void> {
    if (!further?.next) return;
    setBusy(true);
    setError(undefined);
    try {
      const next = await api.get<ProblemPage>(path(further.next));
      setMore({ of: further.of, data: [...further.data, ...next.data], next: next.next });
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    }
    setBusy(false);
  }

  const severities = (["error", "warning", "info"] as const).map((one) => {
    const found = report.counts.filter((entry) => entry.severity === one).reduce((sum, entry) => sum + entry.count, 0);
    return { value: one, label: `${SEVERITIES[one]} (${count(found)})`, disabled: found === 0 };
  });
  return (
    <Panel
      flush
      title="Problems"
      actions={
        <>
          <SelectField
            label="Severity"
            hideLabel
            value={severity}
            onValue={setSeverity}
            options={[{ value: "", label: `All severities (${count(total)})` }, ...severities]}
          />
          {report.validation && (
            <SelectField
              label="Rows"
              hideLabel
              value={file}
              onValue={setFile}
              options={[
                { value: "", label: "All rows" },
                { value: "training", label: "Training" },
                { value: "validation", label: "Validation" },
              ]}
            />
          )}
        </>
      }
    >
      <div aria-live="polite" class="visually-hidden">
        {page ? `${plural(page.data.length, "problem")} shown` : ""}
      </div>
      {first.error && <ErrorNote error={first.error} onRetry={first.reload} />}
      {first.isLoading && (
        <div class="job-padded">
          <Skeleton lines={4} label="Loading the problems" />
        </div>
      )}
      {page?.data.length === 0 && <p class="muted job-padded">None of this kind.</p>}
      {page && page.data.length > 0 && (
        <ProblemTable problems={[...page.data, ...(further?.data ?? [])]} label="Problems of the rows" />
      )}
      {error && <ErrorNote error={error} onRetry={showMore} />}
      <LoadMore hasMore={Boolean(further?.next)} busy={isBusy} onMore={showMore} />
    </Panel>
  );
}
