import { Check, TextArea } from "../../ui/field";
import { Panel } from "../../ui/layout";
import { JobSelect } from "./job-select";
import { ParameterPanel } from "./parameters";
import type { Playground } from "./use-playground";

/** What all models have in common: instructions, how they draw, and who grades them. */
export function Side({ playground }: { playground: Playground }) {
  const { conversation } = playground;
  const source = conversation.row;
  return (
    <aside class="playground-side stack" aria-label="Settings of the playground">
      <Panel title="System prompt">
        <TextArea
          label="System prompt"
          hideLabel
          value={conversation.system}
          onValue={playground.setSystem}
          rows={4}
          placeholder="None"
        />
        {conversation.given.length > 0 && (
          <details class="playground-given">
            <summary>{conversation.given.length} messages of the row come before the question</summary>
            <div class="verbatim" style={{ "--max-height": "16rem" }} tabIndex={0}>
              {conversation.given.map((message, index) => (
                <div key={index}>
                  <span class="muted">{message.role}: </span>
                  {typeof message.content === "string" ? message.content : JSON.stringify(message.content)}
                </div>
              ))}
            </div>
          </details>
        )}
      </Panel>
      <ParameterPanel parameters={playground.parameters} onChange={playground.change} />
      <Panel title="Grading">
        <div class="stack">
          <JobSelect
            label="Grader of the job"
            withReward
            value={playground.job}
            onValue={playground.chooseJob}
            hint="Its own reward, in its own sandbox and limits."
          />
          <TextArea
            label="Reference answer"
            value={playground.reference}
            onValue={playground.setReference}
            rows={3}
            placeholder="None"
            hint={
              source
                ? `From ${source.row.id}; the row's other fields reach the grader too.`
                : "What the grader compares with."
            }
          />
          <Check
            label="Grade every answer at once"
            checked={playground.gradesAtOnce}
            onChecked={playground.setGradesAtOnce}
            disabled={!playground.job}
          />
        </div>
      </Panel>
    </aside>
  );
}
