interface VerbatimProps {
  text: string;
  /** Read out: what it is. */
  label: string;
  /** Longer text scrolls by itself. */
  maxHeight?: string | undefined;
  class?: string | undefined;
}

/** Text as it came: what a program printed, code. It may scroll, so it can be reached by keyboard. */
export function Verbatim({ text, label, maxHeight, class: extra }: VerbatimProps) {
  return (
    <pre
      class={extra ? `verbatim ${extra}` : "verbatim"}
      aria-label={label}
      role="region"
      tabIndex={0}
      style={maxHeight ? { "--max-height": maxHeight } : {}}
    >
      {text}
    </pre>
  );
}
