import { useState } from "preact/hooks";
import { CodeEditor } from "../../../ui/code-editor";
import type { GraderProps } from "./grader-form";

export function OpenAIForm({ section, onSection }: GraderProps) {
  const [text, setText] = useState(() => JSON.stringify(section.openai ?? {}, null, 2));
  const [problem, setProblem] = useState<string>();

  function change(next: string): void {
    setText(next);
    try {
      const parsed: unknown = JSON.parse(next);
      const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
      setProblem(isObject ? undefined : "A grader is a JSON object.");
      onSection({ ...section, openai: isObject ? (parsed as Record<string, unknown>) : {} });
    } catch (error) {
      setProblem(`This is not JSON: ${error instanceof Error ? error.message : String(error)}`);
      onSection({ ...section, openai: {} });
    }
  }

  return (
    <div class="stack tight">
      <CodeEditor label="Grader object of OpenAI's API" value={text} onValue={change} language="json" height="16rem" />
      <div aria-live="polite">
        {problem ? (
          <span class="field-problem">{problem}</span>
        ) : (
          <span class="field-hint">
            Of type string_check, text_similarity, score_model, label_model, python or multi.
          </span>
        )}
      </div>
    </div>
  );
}
