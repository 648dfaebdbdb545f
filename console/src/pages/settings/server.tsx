import type { ComponentChildren } from "preact";
import { api } from "../../lib/api";
import { type Resource, useResource } from "../../lib/resource";
import { may, session } from "../../lib/session";
import { Skeleton } from "../../ui/layout";
import { ErrorNote, Note } from "../../ui/note";
import { DEFAULT_PROJECT, inFile, type ServerSettings } from "./settings";

/** What the server runs with; nothing is asked for those who may not know. */
export function useServerSettings(): Resource<ServerSettings> {
  return useResource(may("admin") ? "settings" : null, (signal) =>
    api.get<ServerSettings>("/api/settings", { signal }),
  );
}

/** Shows a part of the server's settings, or why it is not there. */
export function WithSettings({
  settings,
  children,
}: {
  settings: Resource<ServerSettings>;
  children: (data: ServerSettings) => ComponentChildren;
}) {
  if (!may("admin")) return <NeedsAdmin what="These settings" />;
  if (settings.data)
    return (
      <>
        {settings.error && <ErrorNote error={settings.error} onRetry={settings.reload} />}
        {children(settings.data)}
      </>
    );
  return settings.error ? <ErrorNote error={settings.error} onRetry={settings.reload} /> : <Skeleton lines={6} />;
}

/** Why somebody does not see a section, and what to do. */
export function NeedsAdmin({ what }: { what: string }) {
  const role = session.value.state === "in" ? session.value.caller.role : "viewer";
  return (
    <Note title="For administrators">
      {what} need the role admin; your key has the role {role}. Ask an administrator of your project for a key, or sign
      in with another one.
    </Note>
  );
}

export function isHead(): boolean {
  return session.value.state === "in" && session.value.caller.project_id === DEFAULT_PROJECT;
}

export function ForTheHead({ what }: { what: string }) {
  return (
    <Note title="For administrators of the default project">
      {what} tell of the machine that the server runs on, and are shown to administrators of the default project alone.
    </Note>
  );
}

/** How these keys are changed. */
export function InTheFile({ keys }: { keys: readonly string[] }) {
  return (
    <p class="muted settings-below">
      Changed in the server's configuration file (<code>tuneward serve --config FILE</code>) under{" "}
      {keys.map((key, index) => (
        <span key={key}>
          {index > 0 && ", "}
          <code>{key}</code>
        </span>
      ))}
      ; a change counts after the server was started again.
    </p>
  );
}

/** Keys of the file with their values and meanings. */
export function SettingsTable({ data, prefix, label }: { data: ServerSettings; prefix: RegExp; label: string }) {
  const rows = data.settings.filter((setting) => prefix.test(setting.key));
  return (
    <div class="table-region" role="region" aria-label={label} tabIndex={0}>
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">Value</th>
            <th scope="col">Meaning</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((setting) => (
            <tr key={setting.key}>
              <th scope="row" class="settings-key">
                <code>{setting.key}</code>
              </th>
              <td class="num settings-value">
                {inFile(setting.value)}
                {setting.is_default && <span class="muted"> default</span>}
              </td>
              <td class="muted">
                <Meaning text={setting.meaning} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the documentation says of a key; its quoted names stand as code. */
function Meaning({ text }: { text: string }) {
  const parts = text.replace(/\bNone:/g, "Not set:").split("`");
  return <>{parts.map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}
