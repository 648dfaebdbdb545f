/** Asking several models at once: one request, one stream, and changes of answers as they come. */

import { ApiError, api, eventsOf } from "../../lib/api";
import type { Answer, Message } from "./conversation";
import { ended, type Frame, take } from "./frames";

export interface Parameters {
  temperature: number;
  topP: number;
  maxTokens: number;
  /** null: another one each time. */
  seed: number | null;
  logprobs: boolean;
}

export const DEFAULTS: Parameters = { temperature: 1, topP: 1, maxTokens: 400, seed: 1, logprobs: false };

export interface Asked {
  column: string;
  model: string;
  messages: Message[];
}

/** Changes of answers by column; called at most once for each picture that the browser draws. */
export type OnChanges = (changes: Map<string, (answer: Answer) => Answer>) => void;

/** Returns when all answers have ended. What goes wrong is in the answers. */
export async function ask(
  asked: readonly Asked[],
  tools: readonly unknown[],
  parameters: Parameters,
  signal: AbortSignal,
  onChanges: OnChanges,
): Promise<void> {
  const waiting = new Map<string, ((answer: Answer) => Answer)[]>();
  let frameRequest = 0;

  function flush(): void {
    cancelAnimationFrame(frameRequest);
    frameRequest = 0;
    if (waiting.size === 0) return;
    const changes = new Map(
      [...waiting].map(([column, steps]) => [
        column,
        (answer: Answer) => steps.reduce((now, step) => step(now), answer),
      ]),
    );
    waiting.clear();
    onChanges(changes);
  }

  function change(column: string, step: (answer: Answer) => Answer): void {
    waiting.set(column, [...(waiting.get(column) ?? []), step]);
    frameRequest ||= requestAnimationFrame(flush);
  }

  const everybody = (step: (answer: Answer) => Answer) => {
    for (const one of asked) change(one.column, step);
  };

  const began = performance.now();
  try {
    const response = await api.open("POST", "/api/compare", bodyOf(asked, tools, parameters), { signal });
    for await (const { data } of eventsOf(response)) {
      if (data === "[DONE]") break;
      const frame = JSON.parse(data) as Frame;
      const column = asked[frame.index]?.column;
      const ms = performance.now() - began;
      if (column !== undefined) change(column, (answer) => take(answer, frame, ms));
    }
    everybody((answer) => ended(answer, "done"));
  } catch (error) {
    if (signal.aborted) everybody((answer) => ended(answer, "stopped"));
    else {
      const message =
        error instanceof ApiError ? error.message : "The connection broke while the answer came. Ask again.";
      everybody((answer) => (answer.status === "asking" ? { ...answer, status: "failed", error: message } : answer));
    }
  }
  flush();
}

function bodyOf(asked: readonly Asked[], tools: readonly unknown[], parameters: Parameters): Record<string, unknown> {
  return {
    models: asked.map((one) => one.model),
    conversations: asked.map((one) => one.messages),
    stream: true,
    stream_options: { include_usage: true },
    temperature: parameters.temperature,
    top_p: parameters.topP,
    max_completion_tokens: parameters.maxTokens,
    ...(parameters.seed === null ? {} : { seed: parameters.seed }),
    ...(parameters.logprobs ? { logprobs: true, top_logprobs: 3 } : {}),
    ...(tools.length ? { tools } : {}),
  };
}
