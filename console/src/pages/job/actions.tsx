import { useState } from "preact/hooks";
import { ApiError, api } from "../../lib/api";
import { reward } from "../../lib/format";
import { isOver, type JobAction } from "../../lib/jobs";
import { may } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Button, LinkButton } from "../../ui/button";
import { Confirm } from "../../ui/dialog";
import { Icon } from "../../ui/icon";
import { DeployDialog } from "./deploy";
import type { JobDetail } from "./detail";
import { adapterPath, apiPath, chosenStep, clonePath, tabPath } from "./links";

const DONE: Record<JobAction, string> = {
  pause: "The job will pause after its current step.",
  resume: "The job is queued again and goes on from its newest checkpoint.",
  stop: "The job will stop after its current step.",
  cancel: "The job was cancelled.",
};

interface ActionsProps {
  job: JobDetail;
  reload: () => void;
}

/** What may be done with a job: steer it, take its result, make it again. */
export function JobActions({ job, reload }: ActionsProps) {
  const [asked, setAsked] = useState<JobAction | "deploy">();
  const [isResuming, setResuming] = useState(false);
  const step = chosenStep(job);
  const isDeveloper = may("developer");
  const actions = isDeveloper ? job.actions : [];
  const close = () => setAsked(undefined);

  async function act(action: JobAction): Promise<void> {
    const after = await api.post<JobDetail>(apiPath(job.id, `/${action}`));
    tell(after.state === "paused" && action === "pause" ? "The job is paused." : DONE[action], "good");
    reload();
  }

  async function resume(): Promise<void> {
    setResuming(true);
    try {
      await act("resume");
    } catch (error) {
      tell(error instanceof ApiError ? error.message : String(error), "bad");
    }
    setResuming(false);
  }

  return (
    <>
      {actions.includes("resume") && (
        <Button kind="primary" busy={isResuming} onClick={resume}>
          Resume
        </Button>
      )}
      {actions.includes("pause") && <Button onClick={() => setAsked("pause")}>Pause</Button>}
      {actions.includes("stop") && <Button onClick={() => setAsked("stop")}>Stop</Button>}
      {actions.includes("cancel") && (
        <Button kind="danger" onClick={() => setAsked("cancel")}>
          Cancel
        </Button>
      )}
      {isDeveloper && step !== null && (
        <Button onClick={() => setAsked("deploy")}>{isOver(job.state) ? "Deploy" : "Deploy best"}</Button>
      )}
      {step !== null && (
        <LinkButton href={adapterPath(job.id, step)} download>
          <Icon name="download" />
          Adapter
        </LinkButton>
      )}
      {isDeveloper && <LinkButton href={clonePath(job.id)}>Clone</LinkButton>}
      {asked === "deploy" && step !== null && <DeployDialog job={job} step={step} onClose={close} onDone={reload} />}
      {(asked === "pause" || asked === "stop" || asked === "cancel") && (
        <Asked job={job} action={asked} onConfirm={() => act(asked)} onClose={close} />
      )}
    </>
  );
}

interface AskedProps {
  job: JobDetail;
  action: "pause" | "stop" | "cancel";
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

function Asked({ job, action, onConfirm, onClose }: AskedProps) {
  const props = { onConfirm, onClose };
  if (action === "pause") {
    return (
      <Confirm title="Pause this job?" action="Pause" {...props}>
        <p>
          {job.state === "running"
            ? "It finishes its current step, saves everything and lets other jobs train."
            : "It leaves the queue."}
        </p>
        <p>Resumed, it goes on as if it had never stopped: same seed, same rows, same optimizer state.</p>
      </Confirm>
    );
  }
  if (action === "stop") {
    return (
      <Confirm title="Stop this job and keep what it learned?" action="Stop and keep" {...props}>
        <p>{stopped(job)}</p>
        <p>
          It cannot be resumed afterwards. To keep a certain checkpoint, choose "Stop here" in the{" "}
          <a href={tabPath(job.id, "checkpoints")} onClick={onClose}>
            list of checkpoints
          </a>
          .
        </p>
      </Confirm>
    );
  }
  return (
    <Confirm title="Cancel this job?" action="Cancel the job" kind="danger" {...props}>
      <p>It ends at once, and no tuned model is made. It cannot be resumed.</p>
      <p>Its checkpoints, numbers and rollouts stay: they can be looked at, downloaded and deployed.</p>
    </Confirm>
  );
}

function stopped(job: JobDetail): string {
  if (!job.step) return "Nothing has been trained yet, so there will be no tuned model.";
  if (job.state !== "running" && job.state !== "pausing")
    return "It ends now, without a tuned model of its own. Its checkpoints stay: deploy the one that you want.";
  if (job.best_checkpoint === null)
    return "It finishes its current step, and the newest checkpoint becomes the tuned model. The remaining steps are not done.";
  const best = job.validation.best;
  const measured = best === null ? "" : `, validation ${job.metric} ${reward(best)}`;
  return (
    `It finishes its current step, and the best checkpoint (now step ${job.best_checkpoint}${measured}) becomes the ` +
    "tuned model. The remaining steps are not done."
  );
}
