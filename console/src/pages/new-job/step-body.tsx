import { useEffect, useRef, useState } from "preact/hooks";
import { navigate } from "../../lib/router";
import { Button } from "../../ui/button";
import { Empty, Skeleton } from "../../ui/layout";
import { Note } from "../../ui/note";
import type { StepProps } from "./draft";
import { loadStep, missing, modules, problemsOf, type Step } from "./steps";

interface StepBodyProps extends StepProps {
  step: Step;
  steps: readonly Step[];
}

/** A step with its title, and the ways back and on. */
export function StepBody({ step, steps, draft, update }: StepBodyProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const refusal = useRef<HTMLDivElement>(null);
  const [isRefused, setRefused] = useState(false);
  const place = steps.indexOf(step);
  const before = steps[place - 1];
  const after = steps[place + 1];
  const problems = problemsOf(step.id, draft);
  const Content = modules.value[step.id]?.default;

  useEffect(() => {
    // Whoever came here by a button or a link of the steps goes on from the step's beginning.
    if (document.activeElement !== document.body || arrived) heading.current?.focus({ preventScroll: true });
    arrived = true;
  }, []);
  useEffect(() => {
    if (isRefused) refusal.current?.focus();
  }, [isRefused]);

  function next(): void {
    if (problems.length) setRefused(true);
    else if (after) navigate(`/new/${after.id}`);
  }

  return (
    <div class="stack new-job-step">
      <div>
        <h2 ref={heading} tabIndex={-1}>
          {step.title}
        </h2>
        <p class="muted">{step.text}</p>
      </div>
      {Content ? (
        <Content draft={draft} update={update} />
      ) : missing.value.includes(step.id) ? (
        <Empty
          title="This step cannot be shown"
          action={<Button onClick={() => void loadStep(step)}>Try again</Button>}
        >
          <p role="alert">A part of the console could not be fetched. The server may have been updated or be away.</p>
        </Empty>
      ) : (
        <Skeleton lines={8} />
      )}
      {isRefused && problems.length > 0 && (
        <div ref={refusal} tabIndex={-1}>
          <Note tone="warn" title="Before you go on">
            <ul>
              {problems.map((problem) => (
                <li key={problem}>{problem}</li>
              ))}
            </ul>
          </Note>
        </div>
      )}
      <div class="row spread">
        {before ? (
          <Button onClick={() => navigate(`/new/${before.id}`)}>Back to {before.title.toLowerCase()}</Button>
        ) : (
          <span />
        )}
        {after && (
          <Button kind="primary" onClick={next}>
            Next: {after.title.toLowerCase()}
          </Button>
        )}
      </div>
    </div>
  );
}

/** The first step of a visit leaves the focus where the browser put it. */
let arrived = false;
