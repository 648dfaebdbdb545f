import { useState } from "preact/hooks";
import { ApiError, api } from "../../lib/api";
import { actionsOf, type JobAction, type JobCard } from "../../lib/jobs";
import { may } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Confirm } from "../../ui/dialog";
import { Menu, MenuItem } from "../../ui/menu";
import { done } from "./words";

/** What can be done with a job without opening it. */
export function RowActions({ job, onChanged }: { job: JobCard; onChanged: () => void }) {
  const [asked, setAsked] = useState<"stop" | "cancel" | null>(null);
  const place = encodeURIComponent(job.id);
  const isDeveloper = may("developer");
  const actions = isDeveloper ? actionsOf(job.state) : [];

  async function act(action: JobAction): Promise<void> {
    await api.post(`/api/jobs/${place}/${action}`);
    tell(`${job.name} ${done(action, job.state)}`, "good");
    onChanged();
  }

  function actAtOnce(action: JobAction): void {
    act(action).catch((error: unknown) => tell(error instanceof ApiError ? error.message : String(error), "bad"));
  }

  return (
    <>
      <Menu label={`Actions for ${job.name}`}>
        <MenuItem href={`/jobs/${place}`}>Open</MenuItem>
        {actions.includes("pause") && <MenuItem onChoose={() => actAtOnce("pause")}>Pause</MenuItem>}
        {actions.includes("resume") && <MenuItem onChoose={() => actAtOnce("resume")}>Resume</MenuItem>}
        {isDeveloper && <MenuItem href={`/new?clone=${place}`}>Clone</MenuItem>}
        {actions.includes("stop") && <MenuItem onChoose={() => setAsked("stop")}>Stop and keep…</MenuItem>}
        {actions.includes("cancel") && (
          <MenuItem danger onChoose={() => setAsked("cancel")}>
            Cancel…
          </MenuItem>
        )}
      </Menu>
      {asked === "stop" && (
        <Confirm
          title={`Stop ${job.name}?`}
          action="Stop and keep"
          onConfirm={() => act("stop")}
          onClose={() => setAsked(null)}
        >
          <p>
            {job.step && job.state !== "paused"
              ? "It finishes its current step, and its best checkpoint becomes the tuned model. It cannot be resumed."
              : "It ends now, without a tuned model of its own. Its checkpoints stay. It cannot be resumed."}
          </p>
        </Confirm>
      )}
      {asked === "cancel" && (
        <Confirm
          title={`Cancel ${job.name}?`}
          action="Cancel the job"
          kind="danger"
          onConfirm={() => act("cancel")}
          onClose={() => setAsked(null)}
        >
          <p>It ends at once, and no tuned model is made. Its checkpoints and numbers stay. It cannot be resumed.</p>
        </Confirm>
      )}
    </>
  );
}
