import { api, query } from "../../lib/api";
import type { JobCard } from "../../lib/jobs";
import { useResource } from "../../lib/resource";
import { SelectField } from "../../ui/field";
import { ErrorNote } from "../../ui/note";

interface Props {
  label: string;
  hint?: string;
  value: string | null;
  onValue: (id: string | null) => void;
  /** Only jobs with a reward. */
  withReward?: boolean;
}

/** One of the newest jobs of the project; one that an address names stands there too. */
export function JobSelect({ label, hint, value, onValue, withReward = false }: Props) {
  const method = withReward ? "reinforcement" : null;
  const found = useResource(`jobs ${method}`, (signal) =>
    api.get<{ data: JobCard[] }>(`/api/jobs${query({ limit: 100, method })}`, { signal }),
  );
  if (found.error) return <ErrorNote error={found.error} onRetry={found.reload} />;
  const jobs = found.data?.data ?? [];
  const isThere = value === null || jobs.some((job) => job.id === value);
  const options = [
    { value: "", label: found.isLoading ? "Loading…" : "Choose a job" },
    ...(isThere ? [] : [{ value: value ?? "", label: value ?? "" }]),
    ...jobs.map((job) => ({ value: job.id, label: `${job.name} (${job.model})` })),
  ];
  return (
    <SelectField
      label={label}
      hint={!found.isLoading && jobs.length === 0 ? "There is no job yet." : hint}
      value={value ?? ""}
      onValue={(id) => onValue(id || null)}
      options={options}
    />
  );
}
