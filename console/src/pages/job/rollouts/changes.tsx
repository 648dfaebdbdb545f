import { useMemo } from "preact/hooks";
import { difference } from "./diff";

/** The second text as changes to the first. */
export function Changes({ before, after, label }: { before: string; after: string; label: string }) {
  const parts = useMemo(() => difference(before, after), [before, after]);
  return (
    <section class="verbatim rollouts-text rollouts-changes" aria-label={label} tabIndex={0}>
      {parts.map((part, index) =>
        part.kind === "same" ? (
          <span key={index}>{part.text}</span>
        ) : part.kind === "added" ? (
          <ins key={index}>{part.text}</ins>
        ) : (
          <del key={index}>{part.text}</del>
        ),
      )}
    </section>
  );
}
