/** Answers of the base model to try a reward on. */

import { api } from "../../../lib/api";
import type { TestRow } from "../../../lib/rewards";

interface Completion {
  choices: { message: { content: string | null } }[];
}

export const MOST_ROWS = 4;
const MOST_TOKENS = 256;

/** Two answers to each of the first rows, one row after the other; rows that are too large to send are left out. */
export async function sampleAnswers(
  model: string,
  rows: readonly TestRow[],
  onProgress: (done: number, of: number) => void,
  signal: AbortSignal,
): Promise<{ row: Record<string, unknown>; answers: string[] }[]> {
  const usable = rows.flatMap((one) => (one.row ? [one.row] : [])).slice(0, MOST_ROWS);
  const found = [];
  for (const [index, row] of usable.entries()) {
    onProgress(index, usable.length);
    const body = {
      model,
      messages: row.messages,
      ...(Array.isArray(row.tools) && row.tools.length ? { tools: row.tools } : {}),
      n: 2,
      temperature: 1,
      max_completion_tokens: MOST_TOKENS,
    };
    const answer = await api.post<Completion>("/v1/chat/completions", body, { signal });
    // No request may hold NUL, which models that have learnt nothing like to write.
    const texts = answer.choices.map((choice) => (choice.message.content ?? "").replaceAll("\0", "\ufffd"));
    found.push({ row, answers: texts });
  }
  return found;
}

/** Two tests as one: rows and receipts of the second come after those of the first. */
export function joined<T extends { rows: TestRow[]; samples: { row: number; receipt: number }[]; receipts: unknown[] }>(
  first: T,
  second: T,
): T {
  const rows = first.rows.length;
  const receipts = first.receipts.length;
  return {
    ...first,
    rows: [...first.rows, ...second.rows],
    receipts: [...first.receipts, ...second.receipts],
    samples: [
      ...first.samples,
      ...second.samples.map((one) => ({ ...one, row: one.row + rows, receipt: one.receipt + receipts })),
    ],
  };
}
