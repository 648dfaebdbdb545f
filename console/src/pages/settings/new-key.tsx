import { useState } from "preact/hooks";
import { ApiError, api } from "../../lib/api";
import { useResource } from "../../lib/resource";
import { session } from "../../lib/session";
import { Button } from "../../ui/button";
import { CodeBlock } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";
import { Choices, SelectField, TextField } from "../../ui/field";
import { ErrorNote, Note } from "../../ui/note";
import { isHead } from "./server";
import type { Key, Project } from "./settings";

type Made = Key & { secret: string };

const LIVES = [
  { value: "", label: "Never" },
  { value: "86400", label: "After a day" },
  { value: "604800", label: "After a week" },
  { value: "2592000", label: "After 30 days" },
  { value: "7776000", label: "After 90 days" },
  { value: "31536000", label: "After a year" },
];

/** Makes a key, and shows its secret this once. */
export function NewKeyDialog({ onMade, onClose }: { onMade: () => void; onClose: () => void }) {
  const [made, setMade] = useState<Made | null>(null);
  if (made) return <Secret made={made} onClose={onClose} />;
  return (
    <Form
      onMade={(key) => {
        setMade(key);
        onMade();
      }}
      onClose={onClose}
    />
  );
}

function Form({ onMade, onClose }: { onMade: (made: Made) => void; onClose: () => void }) {
  const caller = session.value.state === "in" ? session.value.caller : null;
  const [name, setName] = useState("");
  const [role, setRole] = useState<Key["role"]>("developer");
  const [kind, setKind] = useState<Key["kind"]>("api");
  const [life, setLife] = useState("");
  const [project, setProject] = useState(caller?.project_id ?? "");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const projects = useResource(isHead() ? "projects" : null, (signal) =>
    api.get<{ data: Project[] }>("/api/projects", { signal }),
  );

  async function make(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const expires = kind === "api" && life ? { expires_in_s: Number(life) } : {};
      onMade(await api.post<Made>("/api/keys", { name: name.trim(), role, kind, project, ...expires }));
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
      setBusy(false);
    }
  }

  return (
    <Dialog title="New key" onClose={onClose}>
      <form class="stack" onSubmit={make}>
        <TextField label="Name" value={name} onValue={setName} hint="Who or what uses it." maxLength={100} required />
        <Choices
          legend="Role"
          value={role}
          onValue={setRole}
          options={[
            { value: "viewer", title: "viewer", text: "looks" },
            { value: "developer", title: "developer", text: "starts jobs, asks models" },
            { value: "admin", title: "admin", text: "makes keys" },
          ]}
        />
        <SelectField
          label="Kind"
          value={kind}
          onValue={(value) => setKind(value as Key["kind"])}
          options={[
            { value: "api", label: "API key: for this console, openai, curl" },
            { value: "access", label: "Access key: for boto3, which signs its requests" },
          ]}
        />
        {kind === "api" ? (
          <SelectField label="Expires" value={life} onValue={setLife} options={LIVES} />
        ) : (
          <p class="muted">Access keys do not expire; revoke them when they are no longer needed.</p>
        )}
        {isHead() && projects.data && (
          <SelectField
            label="Project"
            value={project}
            onValue={setProject}
            options={projects.data.data.map((one) => ({ value: one.id, label: `${one.name} (${one.id})` }))}
          />
        )}
        {error && <ErrorNote error={error} />}
        <div class="actions">
          <Button onClick={onClose}>Back</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!name.trim()}>
            Make key
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Secret({ made, onClose }: { made: Made; onClose: () => void }) {
  const text =
    made.kind === "api"
      ? made.secret
      : `export AWS_ACCESS_KEY_ID=${made.id}\nexport AWS_SECRET_ACCESS_KEY=${made.secret}`;
  return (
    <Dialog title={`Key ${made.name}`} onClose={onClose}>
      <Note tone="warn" title="The secret is shown this once">
        Copy it now and keep it where secrets are kept. Who has lost it makes another key.
      </Note>
      <CodeBlock text={text} label="Secret" />
      <div class="actions">
        <Button kind="primary" onClick={onClose}>
          I have kept it
        </Button>
      </div>
    </Dialog>
  );
}
