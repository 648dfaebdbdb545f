import { useState } from "preact/hooks";
import { plural } from "../../../lib/format";
import { TextField } from "../../../ui/field";
import { Panel, Skeleton } from "../../../ui/layout";
import { ErrorNote } from "../../../ui/note";
import { type Draft, type StepProps, withSetting } from "../draft";
import { ForecastPanel } from "./forecast-panel";
import { found, GROUPS, givenValue, knownSchema, placeOf, problemOf, type Setting, titleOf, useSchema } from "./schema";
import { SettingField } from "./setting-field";
import "./settings.css";

/** How long, how fast, how far: every setting of a job, and what the job takes with them. */
export default function SettingsStep({ draft, update }: StepProps) {
  const { settings, error, reload } = useSchema(draft.method);
  const [words, setWords] = useState("");
  const [isOpen, setOpen] = useState(false);
  if (error) return <ErrorNote title="The settings cannot be listed" error={error} onRetry={reload} />;
  if (!settings) return <Skeleton lines={10} label="Loading the settings" />;

  const groups = GROUPS[draft.method];
  const common = new Set(groups.flatMap((group) => group.names));
  const byName = new Map(settings.map((setting) => [setting.name, setting]));
  // How a reward fails and how long it may take is said where the reward is chosen.
  const others = settings.filter((setting) => !common.has(setting.name) && !setting.name.startsWith("reward."));
  const shown = found(others, words);
  const changed = others.filter((setting) => givenValue(draft.config, setting.name) !== undefined).length;

  function field(setting: Setting, showName = false) {
    return (
      <SettingField
        key={setting.name}
        setting={setting}
        value={givenValue(draft.config, setting.name)}
        onValue={(value) => update(({ config }) => ({ config: withSetting(config, ...placeOf(setting.name), value) }))}
        showName={showName}
      />
    );
  }

  return (
    <div class="stack">
      <ForecastPanel draft={draft} update={update} />
      {groups.map((group) => (
        <Panel key={group.title} title={group.title}>
          <div class="settings-grid">
            {group.names.map((name) => byName.get(name)).map((setting) => setting && field(setting))}
          </div>
        </Panel>
      ))}
      <Panel>
        <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>
            Advanced: {plural(others.length, "further setting")}
            {changed > 0 && `, ${changed} changed`}
          </summary>
          {isOpen && (
            <div class="stack settings-advanced">
              <TextField
                label="Search in the advanced settings"
                type="search"
                value={words}
                onValue={setWords}
                placeholder="clip, KL, checkpoint…"
              />
              <p class="visually-hidden" role="status">
                {plural(shown.length, "setting")} found
              </p>
              {shown.length ? (
                <div class="settings-grid">{shown.map((setting) => field(setting, true))}</div>
              ) : (
                <p class="muted">No setting has these words. Search for one of them, or for part of one.</p>
              )}
            </div>
          )}
        </details>
      </Panel>
    </div>
  );
}

/** Why one cannot go on from here. */
export function problems(draft: Draft): string[] {
  return knownSchema(draft.method).flatMap((setting) => {
    const problem = problemOf(setting, givenValue(draft.config, setting.name));
    return problem ? [`${titleOf(setting.name)}: ${problem}`] : [];
  });
}
