import { useId, useState } from "preact/hooks";
import { count } from "../../../lib/format";
import { ShowAll } from "../../../ui/toggle";

export const FOLDED_CHARACTERS = 700;

/** A long text, of which the beginning is shown until somebody wants all of it. */
export function FoldedText({ text, label }: { text: string; label: string }) {
  const [isWhole, setWhole] = useState(false);
  const id = useId();
  const isLong = text.length > FOLDED_CHARACTERS * 1.2;
  return (
    <div class="stack tight">
      {text ? (
        <section class="verbatim rollouts-text" id={id} aria-label={label} tabIndex={0}>
          {isLong && !isWhole ? `${text.slice(0, FOLDED_CHARACTERS)}…` : text}
        </section>
      ) : (
        <p class="muted">Empty.</p>
      )}
      {isLong && (
        <ShowAll
          isWhole={isWhole}
          onToggle={() => setWhole(!isWhole)}
          controls={id}
          all={`${count(text.length)} characters`}
        />
      )}
    </div>
  );
}

/** Any JSON value as text one can read. */
export function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}
