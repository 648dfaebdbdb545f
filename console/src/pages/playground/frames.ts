/** Frames of `/api/compare` → changes of answers. */

import type { Answer, TokenLogprob } from "./conversation";

interface WireToken {
  token: string;
  logprob: number;
  top_logprobs?: { token: string; logprob: number }[];
}

export interface Frame {
  index: number;
  error?: { message: string };
  chunk?: {
    choices: {
      delta: {
        content?: string | null;
        reasoning_content?: string | null;
        tool_calls?: { index: number; function: { name: string; arguments: string } }[];
      };
      logprobs?: { content?: WireToken[] } | null;
      finish_reason?: string | null;
    }[];
    usage?: { completion_tokens: number } | null;
  };
}

/** An answer after a frame that came so many milliseconds after it was asked. */
export function take(answer: Answer, frame: Frame, ms: number): Answer {
  if (frame.error) return { ...answer, status: "failed", error: frame.error.message };
  const { chunk } = frame;
  if (!chunk) return answer;
  const next = { ...answer };
  for (const choice of chunk.choices) {
    const { content, reasoning_content: reasoning, tool_calls: calls } = choice.delta;
    if (content || reasoning || calls) {
      next.firstMs ??= ms;
      next.lastMs = ms;
      next.tokens += 1;
    }
    if (content) next.text += content;
    if (reasoning) next.reasoning += reasoning;
    if (calls) next.calls = [...next.calls, ...calls.map((call) => call.function)];
    const tokens = choice.logprobs?.content;
    if (tokens?.length) next.logprobs = [...next.logprobs, ...tokens.map(tokenOf)];
    if (choice.finish_reason) next.finish = choice.finish_reason;
  }
  if (chunk.usage) next.tokens = chunk.usage.completion_tokens;
  return next;
}

function tokenOf(wire: WireToken): TokenLogprob {
  const others = (wire.top_logprobs ?? []).map(({ token, logprob }) => ({ token, logprob }));
  return { token: wire.token, logprob: wire.logprob, others };
}

/** An answer when nothing more comes. */
export function ended(answer: Answer, status: "done" | "stopped"): Answer {
  return answer.status === "asking" ? { ...answer, status } : answer;
}

const REASONS: Record<string, string> = {
  length: "cut at the length limit",
  tool_calls: "calls a tool",
  content_filter: "filtered",
};

/** Why an answer ended, where that is worth a word. */
export function finishInWords(answer: Answer): string | null {
  if (answer.status === "stopped") return "stopped by you";
  return answer.finish && answer.finish !== "stop" ? (REASONS[answer.finish] ?? answer.finish) : null;
}
