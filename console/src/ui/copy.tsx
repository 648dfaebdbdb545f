import { useState } from "preact/hooks";
import { tell } from "../lib/toast";
import { Button } from "./button";
import { Verbatim } from "./verbatim";

/** Copies a text, and says so. */
export function CopyButton({ text, label = "Copy" }: { text: string | (() => string); label?: string }) {
  const [isDone, setDone] = useState(false);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : text());
    } catch {
      tell("The browser does not allow copying here; select the text and copy it by hand.", "bad");
      return;
    }
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  }

  return (
    <Button size="small" kind="quiet" onClick={copy}>
      <span aria-live="polite">{isDone ? "Copied" : label}</span>
    </Button>
  );
}

/** Text as it is, with a button that copies it. */
export function CodeBlock({ text, label, maxHeight }: { text: string; label: string; maxHeight?: string }) {
  return (
    <div class="code-block">
      <Verbatim {...{ text, label, maxHeight }} />
      <div class="copy">
        <CopyButton text={text} />
      </div>
    </div>
  );
}
