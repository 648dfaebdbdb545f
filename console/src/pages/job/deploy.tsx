import { useState } from "preact/hooks";
import { ApiError, api } from "../../lib/api";
import { tell } from "../../lib/toast";
import { Button, LinkButton } from "../../ui/button";
import { CodeBlock } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { ErrorNote, Note } from "../../ui/note";
import type { JobDetail } from "./detail";
import { apiPath, nameProblem, playgroundPath, suggestedName } from "./links";

interface Deployed {
  id: string;
  name: string;
  status: "Creating" | "Active" | "Failed";
  failure: string | null;
  model: string;
}

interface DeployProps {
  job: JobDetail;
  step: number;
  /** Stop the job afterwards. */
  stops?: boolean;
  onClose: () => void;
  /** Something has changed. */
  onDone: () => void;
}

/** Serves a checkpoint under a name; tells how to call it. */
export function DeployDialog({ job, step, stops, onClose, onDone }: DeployProps) {
  const [name, setName] = useState(() => suggestedName(job, step));
  const [description, setDescription] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const [made, setMade] = useState<Deployed>();
  const problem = nameProblem(name);
  const isTraining = job.state === "running" || job.state === "pausing";

  async function deploy(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      const body = { name, ...(description.trim() ? { description: description.trim() } : {}) };
      const deployed = made ?? (await api.post<Deployed>(apiPath(job.id, `/checkpoints/${step}/deploy`), body));
      setMade(deployed);
      if (stops) await api.post(apiPath(job.id, "/stop"));
      tell(stops ? `Deployed as ${name}; the job is stopping.` : `Deployed as ${name}.`, "good");
      onDone();
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
    }
    setBusy(false);
  }

  if (made && !error && !busy) return <DeployedDialog {...{ job, made, onClose }} />;
  return (
    <Dialog title={stops ? `Stop here, at step ${step}` : `Deploy step ${step}`} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (!problem && !busy) void deploy();
        }}
      >
        {stops ? (
          <p>
            The checkpoint of step {step} is deployed under this name and kept for good. Then the job{" "}
            {isTraining ? "stops after its current step, and its best checkpoint becomes its tuned model" : "ends"}. It
            cannot be resumed.
          </p>
        ) : (
          <p>
            The checkpoint of step {step} is served under this name and kept for good, however many better ones come.
            Another model can be put behind the name later.
          </p>
        )}
        <TextField label="Name" value={name} onValue={setName} problem={problem} maxLength={63} spellcheck={false} />
        <TextField label="Description (optional)" value={description} onValue={setDescription} maxLength={2048} />
        {error && <ErrorNote error={error} />}
        <div class="actions">
          <Button onClick={onClose}>Back</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={problem !== null}>
            {stops ? "Deploy and stop the job" : "Deploy"}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function DeployedDialog({ job, made, onClose }: { job: JobDetail; made: Deployed; onClose: () => void }) {
  return (
    <Dialog title={`${made.name} is deployed`} onClose={onClose}>
      {made.failure ? (
        <Note tone="bad" title="It cannot be served">
          {made.failure}
        </Note>
      ) : (
        <p>It answers now. The OpenAI API, and the playground, call it by the name of its model:</p>
      )}
      <CodeBlock text={made.model} label="Name of the model" />
      <p class="muted">Bedrock's runtime calls it by the deployment's ARN, which Models lists.</p>
      <div class="actions">
        <LinkButton href="/models/deployments">Models and deployments</LinkButton>
        <LinkButton href={playgroundPath(job, made.model)}>Try in the playground</LinkButton>
        <Button kind="primary" onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}
