import { moment } from "../../lib/format";
import type { Resource } from "../../lib/resource";
import { may, session } from "../../lib/session";
import { Panel, TableRegion } from "../../ui/layout";
import { BUNDLED } from "./licences";
import { WithSettings } from "./server";
import type { ServerSettings } from "./settings";

/** Versions and licences. */
export function About({ settings }: { settings: Resource<ServerSettings> }) {
  const caller = session.value.state === "in" ? session.value.caller : null;
  return (
    <div class="stack">
      <Panel title="Tuneward">
        <dl class="facts">
          <dt>Version</dt>
          <dd class="num">{caller?.version}</dd>
          <dt>Licence</dt>
          <dd>Apache-2.0</dd>
          <dt>Region in ARNs</dt>
          <dd class="mono">{caller?.region}</dd>
          <dt>Description of the API</dt>
          <dd>
            <a href="/openapi.json">/openapi.json</a>
          </dd>
          {settings.data && (
            <>
              <dt>Python</dt>
              <dd class="num">
                {settings.data.python}, {settings.data.system}
              </dd>
            </>
          )}
          {settings.data?.tls && (
            <>
              <dt>TLS</dt>
              <dd>
                {settings.data.tls.certificate === null
                  ? "off: for this machine alone, or behind a proxy that encrypts"
                  : `on, certificate ends ${settings.data.tls.ends_at === null ? "at an unknown time" : moment(settings.data.tls.ends_at)}`}
              </dd>
            </>
          )}
        </dl>
      </Panel>
      <Panel
        flush
        title="Inside this console"
        actions={
          <a href="/assets/licenses.md" target="_blank" rel="noreferrer">
            Texts of the licences
          </a>
        }
      >
        <TableRegion label="Libraries of the console">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Library</th>
                <th scope="col">By</th>
                <th scope="col">Licence</th>
              </tr>
            </thead>
            <tbody>
              {BUNDLED.map((library) => (
                <tr key={library.title}>
                  <th scope="row" class="settings-name">
                    {library.title}
                  </th>
                  <td>{library.by}</td>
                  <td>{library.licence}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableRegion>
      </Panel>
      {may("admin") && (
        <WithSettings settings={settings}>
          {(data) => (
            <Panel flush title="On the server">
              <TableRegion label="Libraries of the server">
                <table class="table">
                  <thead>
                    <tr>
                      <th scope="col">Library</th>
                      <th scope="col">Version</th>
                      <th scope="col">Licence</th>
                    </tr>
                  </thead>
                  <tbody>
                    {data.libraries.map((library) => (
                      <tr key={library.name}>
                        <th scope="row" class="settings-name">
                          {library.name}
                        </th>
                        <td class="num">{library.version}</td>
                        <td>{library.licence || <span class="muted">not said</span>}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </TableRegion>
            </Panel>
          )}
        </WithSettings>
      )}
    </div>
  );
}
