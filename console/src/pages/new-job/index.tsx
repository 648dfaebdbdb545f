import { useEffect, useState } from "preact/hooks";
import type { PageProps } from "../../app";
import { navigate, search } from "../../lib/router";
import { may } from "../../lib/session";
import { tell } from "../../lib/toast";
import { Button, LinkButton } from "../../ui/button";
import { Confirm } from "../../ui/dialog";
import { Empty, Page } from "../../ui/layout";
import { Cloning } from "./cloning";
import { discardDraft, isBegun, useDraft } from "./draft";
import { useInspector } from "./inspection";
import "./new-job.css";
import { StepBody } from "./step-body";
import { Stepper } from "./stepper";
import { loadStep, stepsOf } from "./steps";
import { Summary } from "./summary";

/** A new job, step by step; what is chosen stands beside it. */
export default function NewJob({ params }: PageProps) {
  const [draft, update] = useDraft();
  const [isDiscarding, setDiscarding] = useState(false);
  const clone = search.value.get("clone");
  const steps = stepsOf(draft.method);
  const step = steps.find((one) => one.id === params.step) ?? steps[0]!;
  useInspector(draft);
  useEffect(() => {
    if (clone === null && params.step !== step.id) navigate(`/new/${step.id}`, { replace: true });
  }, [clone, params.step, step.id]);
  useEffect(() => {
    // The others say what they still miss.
    void loadStep(step).then(() => Promise.all(steps.map(loadStep)));
  }, [step, draft.method]);

  if (!may("developer")) {
    return (
      <Page title="New job">
        <Empty title="Your key may only read" action={<LinkButton href="/">Go to the jobs</LinkButton>}>
          <p>Jobs are started with a key of the role developer or admin. Ask an administrator for one.</p>
        </Empty>
      </Page>
    );
  }
  if (clone !== null) return <Cloning id={clone} hasDraft={isBegun(draft)} />;
  return (
    <Page
      title="New job"
      subtitle="Saved in this browser as you go."
      actions={
        isBegun(draft) && (
          <Button kind="quiet" onClick={() => setDiscarding(true)}>
            Discard draft
          </Button>
        )
      }
    >
      <Stepper steps={steps} current={step.id} draft={draft} />
      <div class="new-job-columns">
        <StepBody key={step.id} step={step} steps={steps} draft={draft} update={update} />
        <Summary draft={draft} />
      </div>
      {isDiscarding && (
        <Confirm
          title="Discard this draft?"
          action="Discard draft"
          kind="danger"
          onConfirm={async () => {
            discardDraft();
            navigate("/new/model");
            tell("The draft is discarded.");
          }}
          onClose={() => setDiscarding(false)}
        >
          <p>Everything that was chosen in these steps is lost. Uploaded files and saved functions stay.</p>
        </Confirm>
      )}
    </Page>
  );
}
