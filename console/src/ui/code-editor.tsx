/** An editor for code with syntax colours. Its machinery is a file of its own, fetched when the first one is shown. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { EditorHandle, Language, LineProblem } from "./code-editor-core";
import "./code-editor.css";

export type { Language, LineProblem };

interface CodeEditorProps {
  label: string;
  /** The label is only read out. */
  hideLabel?: boolean;
  value: string;
  /** Absent: the text can only be read. */
  onValue?: (value: string) => void;
  language: Language;
  /** Height of the text; beyond it the editor scrolls. */
  height?: string;
  problems?: readonly LineProblem[];
}

export function CodeEditor({
  label,
  hideLabel,
  value,
  onValue,
  language,
  height = "22rem",
  problems,
}: CodeEditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const handle = useRef<EditorHandle | null>(null);
  const latest = useRef({ value, onValue, problems });
  latest.current = { value, onValue, problems };
  /** Texts that were typed and have not come back as `value` yet: they must not be put over what was typed since. */
  const echoes = useRef<string[]>([]);
  const [state, setState] = useState<"loading" | "ready" | "plain">("loading");
  const isReadOnly = onValue === undefined;

  useEffect(() => {
    let isGone = false;
    import("./code-editor-core").then(
      async ({ mountEditor }) => {
        const made = await mountEditor(host.current!, {
          label,
          language,
          isReadOnly,
          value: latest.current.value,
          onValue: (text) => {
            echoes.current.push(text);
            latest.current.onValue?.(text);
          },
        });
        if (isGone) return made.destroy();
        handle.current = made;
        made.setValue(latest.current.value);
        made.setProblems(latest.current.problems ?? []);
        setState("ready");
      },
      // Without the machinery a plain text field does.
      () => !isGone && setState("plain"),
    );
    return () => {
      isGone = true;
      handle.current?.destroy();
      handle.current = null;
    };
  }, [language, isReadOnly, label]);

  useEffect(() => {
    const place = echoes.current.indexOf(value);
    echoes.current = place < 0 ? [] : echoes.current.slice(place + 1);
    if (place < 0) handle.current?.setValue(value);
  }, [value]);
  useEffect(() => handle.current?.setProblems(problems ?? []), [problems]);

  return (
    <div class="code-editor" style={{ "--editor-height": height }}>
      {!hideLabel && <div class="field-label">{label}</div>}
      {state === "plain" && (
        <textarea
          class="input mono"
          aria-label={label}
          rows={16}
          readOnly={isReadOnly}
          value={value}
          onInput={(event) => onValue?.(event.currentTarget.value)}
        />
      )}
      {state === "loading" && <pre class="code-editor-waiting verbatim">{value}</pre>}
      <div ref={host} class="code-editor-host" hidden={state !== "ready"} />
    </div>
  );
}
