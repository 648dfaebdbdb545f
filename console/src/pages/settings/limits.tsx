import { Panel } from "../../ui/layout";
import { InTheFile, SettingsTable } from "./server";
import type { ServerSettings } from "./settings";

export function Limits({ data }: { data: ServerSettings }) {
  return (
    <div class="stack">
      <Panel flush title="What one key or project may ask for">
        <SettingsTable data={data} prefix={/^limits\./} label="Limits" />
      </Panel>
      <Panel flush title="Inference">
        <SettingsTable data={data} prefix={/^serving\./} label="Inference" />
      </Panel>
      <InTheFile keys={["limits", "serving"]} />
    </div>
  );
}
