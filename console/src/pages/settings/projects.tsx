import { useState } from "preact/hooks";
import { api } from "../../lib/api";
import { moment } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { may, session } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Badge } from "../../ui/badge";
import { Button } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Confirm } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Panel, Skeleton, TableRegion } from "../../ui/layout";
import { ErrorNote, Note } from "../../ui/note";
import { isHead, NeedsAdmin } from "./server";
import type { Project } from "./settings";

export function Projects() {
  const mayRead = may("admin") && isHead();
  const projects = useResource(mayRead ? "projects" : null, (signal) =>
    api.get<{ data: Project[] }>("/api/projects", { signal }),
  );
  const [isMaking, setMaking] = useState(false);
  const [name, setName] = useState("");
  const caller = session.value.state === "in" ? session.value.caller : null;
  if (!may("admin")) return <NeedsAdmin what="Projects" />;
  if (!isHead())
    return (
      <Note title={`You are in ${caller?.project_id ?? "a project"}`}>
        Its account in ARNs is {caller?.account_id}. Projects are made by administrators of the default project.
      </Note>
    );
  return (
    <>
      <p class="muted">
        Jobs, models, files, functions and keys belong to one project and see nothing of another. A key belongs to the
        project that it was made for.
      </p>
      {projects.error && <ErrorNote error={projects.error} onRetry={projects.reload} />}
      {projects.isLoading && <Skeleton />}
      {projects.data && (
        <Panel flush title="Projects" actions={<Button onClick={() => setMaking(true)}>New project</Button>}>
          <TableRegion label="Projects">
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">Id</th>
                  <th scope="col">Account in ARNs</th>
                  <th scope="col">Made</th>
                </tr>
              </thead>
              <tbody>
                {projects.data.data.map((project) => (
                  <tr key={project.id}>
                    <th scope="row" class="settings-name">
                      <div class="row">
                        <span>{project.name}</span>
                        {project.id === caller?.project_id && <Badge tone="accent">yours</Badge>}
                      </div>
                    </th>
                    <td>
                      <code>{project.id}</code> <CopyButton text={project.id} />
                    </td>
                    <td class="num">{project.account_id}</td>
                    <td class="nowrap">{moment(project.created_at)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableRegion>
        </Panel>
      )}
      {isMaking && (
        <Confirm
          title="New project"
          action="Make project"
          disabled={!name.trim()}
          onConfirm={async () => {
            const made = await api.post<Project>("/api/projects", { name: name.trim() });
            tell(`${made.name} was made. Make a key for it next.`, "good");
            setName("");
            projects.reload();
          }}
          onClose={() => setMaking(false)}
        >
          <TextField label="Name" value={name} onValue={setName} maxLength={100} required />
          <p class="muted">Projects stay: their models and files may be named elsewhere by ARN.</p>
        </Confirm>
      )}
    </>
  );
}
