import { duration } from "../../lib/format";
import { Button } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Skeleton } from "../../ui/layout";
import { type Answer, speed } from "./conversation";
import { finishInWords } from "./frames";
import { shortName } from "./names";
import { GradeView } from "./score";
import { Tokens } from "./tokens";

interface Props {
  model: string;
  answer: Answer | undefined;
  mayAsk: boolean;
  onAsk: () => void;
  onReference: (text: string) => void;
}

/** What one model said at one turn. It is text, whatever it looks like. */
export function AnswerView({ model, answer, mayAsk, onAsk, onReference }: Props) {
  return (
    <article class="playground-answer" aria-label={`Answer of ${model}`} aria-busy={answer?.status === "asking"}>
      <h2 class="truncate playground-who" title={model}>
        {shortName(model)}
      </h2>
      {answer ? (
        <Given answer={answer} mayAsk={mayAsk} onAsk={onAsk} onReference={onReference} />
      ) : (
        <div class="stack tight">
          <p class="muted">This model was not asked.</p>
          <div>
            <Button size="small" disabled={!mayAsk} onClick={onAsk}>
              Ask it too
            </Button>
          </div>
        </div>
      )}
    </article>
  );
}

function Given({ answer, mayAsk, onAsk, onReference }: Omit<Props, "model" | "answer"> & { answer: Answer }) {
  const isAsking = answer.status === "asking";
  const isSilent = isAsking && answer.firstMs === null;
  return (
    <>
      {answer.reasoning && (
        <details>
          <summary>Reasoning</summary>
          <div class="playground-text muted">{answer.reasoning}</div>
        </details>
      )}
      {isSilent && <Skeleton lines={3} label="Waiting for the first token" />}
      {answer.logprobs.length > 0 ? (
        <Tokens tokens={answer.logprobs} />
      ) : (
        answer.text && <div class="playground-text">{answer.text}</div>
      )}
      {answer.calls.map((call, index) => (
        <pre key={index} class="verbatim">{`${call.name}(${call.arguments})`}</pre>
      ))}
      {answer.status === "done" && !answer.text && answer.calls.length === 0 && (
        <p class="muted">The answer is empty.</p>
      )}
      {answer.error && (
        <div class="note bad" role="alert">
          <strong>This model did not answer</strong>
          <span>{answer.error}</span>
        </div>
      )}
      {answer.grade && <GradeView grade={answer.grade} />}
      <footer class="playground-foot">
        <Times answer={answer} />
        {!isAsking && (
          <span class="row">
            <Button size="small" kind="quiet" disabled={!mayAsk} onClick={onAsk}>
              Ask again
            </Button>
            {answer.text && <CopyButton text={answer.text} />}
            {answer.text && (
              <Button size="small" kind="quiet" onClick={() => onReference(answer.text)}>
                Use as reference
              </Button>
            )}
          </span>
        )}
      </footer>
    </>
  );
}

function Times({ answer }: { answer: Answer }) {
  const rate = speed(answer);
  const ending = finishInWords(answer);
  const parts = [
    answer.firstMs !== null && `first token after ${duration(answer.firstMs / 1000)}`,
    rate !== null && `${rate.toFixed(1)} tokens/s`,
    answer.tokens > 0 && `${answer.tokens} tokens`,
    ending,
  ].filter(Boolean);
  return <span class="muted num">{parts.join(" · ")}</span>;
}
