import { Badge } from "../../ui/badge";
import { CodeBlock } from "../../ui/copy";
import { Panel, TableRegion } from "../../ui/layout";
import { InTheFile } from "./server";
import type { ServerSettings } from "./settings";

const EXAMPLE = `models:
  - name: smollm2-135m
    aliases: [amazon.nova-2-lite-v1:0:256k]
`;

/** Which names lead to which base model, and where judges find theirs. */
export function Mapping({ data }: { data: ServerSettings }) {
  return (
    <div class="stack">
      <Panel flush title="Base models and their names">
        <TableRegion label="Base models and their names">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Model</th>
                <th scope="col">In ARNs</th>
                <th scope="col">Further names</th>
                <th scope="col">On this machine</th>
              </tr>
            </thead>
            <tbody>
              {data.models.map((model) => (
                <tr key={model.id}>
                  <th scope="row" class="settings-name">
                    <div class="row">
                      {model.id}
                      {model.is_loaded && <Badge tone="good">in memory</Badge>}
                    </div>
                  </th>
                  <td class="mono">{model.managed_id}</td>
                  <td class="mono">{model.aliases.join(", ") || "none"}</td>
                  <td class="mono">{model.local ?? "not shown"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableRegion>
      </Panel>
      <Panel title="Change the mapping">
        <div class="stack">
          <p>
            Programs that were written for a managed service keep the model names they use: give a base model these
            names as aliases, or write lines <code>NAME: MODEL</code> into a file of its own and name it as{" "}
            <code>model_map</code>.
          </p>
          <CodeBlock text={EXAMPLE} label="Example of a mapping" />
          <InTheFile keys={["models", "model_map"]} />
        </div>
      </Panel>
      {data.judges && (
        <Panel title="Judges">
          <dl class="facts">
            <dt>Models are asked at</dt>
            <dd class={data.judges.is_this_server ? undefined : "mono"}>
              {data.judges.is_this_server
                ? "this server"
                : (data.judges.address ?? `the provider ${data.judges.provider}`)}
            </dd>
            {!data.judges.is_this_server && data.judges.provider === "openai" && (
              <>
                <dt>Key</dt>
                <dd>
                  from the variable <code>{data.judges.key_variable}</code>
                  {!data.judges.has_key && (
                    <>
                      {" "}
                      <Badge tone="warn">not set</Badge>
                    </>
                  )}
                </dd>
              </>
            )}
            <dt>Mapped names</dt>
            <dd>
              {Object.entries(data.judges.models)
                .map(([name, target]) => `${name} → ${target}`)
                .join(", ") || "none"}
            </dd>
          </dl>
          <InTheFile keys={["judges"]} />
        </Panel>
      )}
    </div>
  );
}
