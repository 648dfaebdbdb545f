import { useState } from "preact/hooks";
import { api } from "../../../lib/api";
import { useResource } from "../../../lib/resource";
import { Badge } from "../../../ui/badge";
import { CodeBlock } from "../../../ui/copy";
import { Check } from "../../../ui/field";
import { Panel, Skeleton, TableRegion } from "../../../ui/layout";
import { ErrorNote, Note } from "../../../ui/note";
import { Prose } from "../../../ui/prose";
import { apiPath } from "../links";
import type { TabProps } from "../tab";
import { LineagePanel, Plan } from "./lineage";
import { block, inline, type JobConfiguration, type Setting, type SettingSection, shown } from "./shapes";
import "../details.css";

/** The settings that the job runs with, and what it was made from. */
export default function Configuration({ job }: TabProps) {
  // Before training begins there is no lineage, so the answer differs afterwards.
  const key = `${job.id} ${job.started_at !== null} ${job.step !== null}`;
  const found = useResource<JobConfiguration>(key, (signal) => api.get(apiPath(job.id, "/configuration"), { signal }));
  const [onlyChanged, setOnlyChanged] = useState(true);
  if (found.isLoading) return <Skeleton lines={10} label="Loading the configuration" />;
  if (!found.data) return <ErrorNote error={found.error!} onRetry={found.reload} />;
  const { sections, yaml, changed_yaml, lineage } = found.data;
  const wanted = shown(sections, onlyChanged);
  return (
    <div class="stack">
      <Plan job={job} lineage={lineage} />
      {!sections.length && (
        <Note tone="warn" title="These settings cannot be used">
          One of them is wrong, which is why the job failed. They are shown below as they came.
        </Note>
      )}
      {sections.length > 0 && (
        <Panel
          flush
          title="Settings"
          actions={<Check label="Show defaults too" checked={!onlyChanged} onChecked={(all) => setOnlyChanged(!all)} />}
        >
          {wanted.length ? (
            wanted.map((section) => <Section key={section.name} section={section} />)
          ) : (
            <p class="muted job-padded">Every setting is the default.</p>
          )}
        </Panel>
      )}
      <Panel title={onlyChanged ? "As YAML, only what differs" : "As YAML"}>
        <CodeBlock text={onlyChanged ? changed_yaml : yaml} label="Configuration as YAML" maxHeight="28rem" />
      </Panel>
      <LineagePanel job={job} lineage={lineage} />
    </div>
  );
}

function Section({ section }: { section: SettingSection }) {
  return (
    <section class="job-section">
      <h3>{section.name}</h3>
      <p class="muted">
        <Prose text={section.description} />
      </p>
      <TableRegion label={`Settings of ${section.name}`}>
        <table class="table job-settings">
          <colgroup>
            <col class="job-setting-name" />
            <col />
            <col class="job-setting-default" />
          </colgroup>
          <thead class="visually-hidden">
            <tr>
              <th scope="col">Setting</th>
              <th scope="col">Value</th>
              <th scope="col">Default</th>
            </tr>
          </thead>
          <tbody>
            {section.settings.map((setting) => (
              <SettingRow key={setting.name} setting={setting} />
            ))}
          </tbody>
        </table>
      </TableRegion>
    </section>
  );
}

function SettingRow({ setting }: { setting: Setting }) {
  const text = inline(setting.value);
  return (
    <tr class={setting.is_changed ? "job-changed" : undefined}>
      <th scope="row">
        <span class="mono">{setting.name}</span>
        {setting.description && (
          <span class="job-meaning">
            <Prose text={setting.description} />
          </span>
        )}
      </th>
      <td>
        {text === null ? (
          <CodeBlock text={block(setting.value)} label={`Value of ${setting.name}`} maxHeight="16rem" />
        ) : (
          <span class="mono job-break">{text}</span>
        )}
      </td>
      <td>
        {setting.is_changed ? (
          <Badge tone="accent">
            {setting.default === null ? "set" : `default ${inline(setting.default) ?? "differs"}`}
          </Badge>
        ) : (
          <span class="muted">default</span>
        )}
      </td>
    </tr>
  );
}
