import { Badge } from "../../../ui/badge";
import type { Asked } from "./data";
import { asText, FoldedText } from "./text";

/** What was asked, and what was expected. */
export function AskedView({ asked }: { asked: Asked }) {
  return (
    <div class="stack tight">
      {asked.messages.map((message, index) => (
        <div key={index} class="rollouts-message">
          <Badge>{String(message.role ?? "message")}</Badge>
          <FoldedText text={asText(message.content ?? message)} label={`Message ${index + 1}`} />
        </div>
      ))}
      {asked.reference_answer !== null && asked.reference_answer !== undefined && (
        <div class="rollouts-message">
          <Badge tone="accent">reference</Badge>
          <FoldedText text={asText(asked.reference_answer)} label="Reference answer" />
        </div>
      )}
      {Object.keys(asked.metadata).length > 0 && (
        <details>
          <summary>Further fields of the row</summary>
          <pre class="verbatim rollouts-printed" tabIndex={0} aria-label="Further fields" role="region">
            {asText(asked.metadata)}
          </pre>
        </details>
      )}
      {asked.tools.length > 0 && (
        <details>
          <summary>Tools</summary>
          <pre class="verbatim rollouts-printed" tabIndex={0} aria-label="Tools" role="region">
            {asText(asked.tools)}
          </pre>
        </details>
      )}
    </div>
  );
}
