/** Lines of own code that the last test complained about, for the editor's margin. */

import { signal } from "@preact/signals";
import type { RewardTest } from "../../../lib/rewards";
import type { LineProblem } from "../../../ui/code-editor";

export const codeProblems = signal<Record<string, LineProblem[]>>({});

const LINE = /lambda_function\.py"?, line (\d+)/g;

/** From what could not be loaded, and from the tracebacks of calls that failed. */
export function problemsIn(test: Pick<RewardTest, "problem" | "samples" | "receipts">): LineProblem[] {
  const found = new Map<number, string>();
  const note = (text: string, message: string) => {
    // The last line of a traceback that is in the code itself.
    const line = [...text.matchAll(LINE)].at(-1)?.[1];
    if (line) found.set(Number(line), message);
  };
  if (test.problem) note(test.problem, test.problem);
  for (const sample of test.samples) {
    const receipt = test.receipts[sample.receipt];
    if (sample.verdict === "error" && receipt) note(`${receipt.stderr}\n${sample.message}`, sample.message);
  }
  return [...found].map(([line, message]) => ({ line, message }));
}
