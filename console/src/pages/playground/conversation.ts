/** What is asked and what was answered: plain data, and every way in which it changes. */

import type { ApiError } from "../../lib/api";

export type Message = { role: string; content: unknown } & Record<string, unknown>;

export interface TokenLogprob {
  token: string;
  /** Nats. */
  logprob: number;
  others: { token: string; logprob: number }[];
}

export interface Answer {
  status: "asking" | "done" | "stopped" | "failed";
  text: string;
  reasoning: string;
  calls: { name: string; arguments: string }[];
  finish: string | null;
  error: string | null;
  /** Milliseconds from asking to the first token, and to the last. */
  firstMs: number | null;
  lastMs: number | null;
  /** Completion tokens; counted by the server at the end, by what came before that. */
  tokens: number;
  logprobs: TokenLogprob[];
  grade: Grade | null;
}

export interface Score {
  /** null: the grader failed. */
  reward: number | null;
  components: Record<string, number>;
  metrics: Record<string, number>;
  details: Record<string, unknown>;
  receipt: {
    grader: string;
    verdict: string;
    message: string;
    attempts: number;
    wall_s: number;
    cpu_s: number;
    peak_memory_bytes: number;
    stdout_tail: string;
    stderr_tail: string;
    isolation: string;
  };
}

export type Grade = { status: "grading" } | { status: "graded"; score: Score } | { status: "failed"; error: ApiError };

export interface Turn {
  id: number;
  /** null: the conversation is asked as it stands before it. */
  user: string | null;
  /** By column. */
  answers: Record<string, Answer>;
}

export interface Column {
  id: string;
  model: string;
}

/** A prompt that a job knows, or one that was written here. */
export interface Row {
  id: string;
  line: number;
  messages: Message[];
  reference_answer: unknown;
  tools: Record<string, unknown>[];
  metadata: Record<string, unknown>;
}

export interface Conversation {
  system: string;
  /** Messages of a row between its system message and its last question, the same for every model. */
  given: Message[];
  turns: Turn[];
  /** Whence the first question came, as long as it was not edited. */
  row: { job: string; row: Row } | null;
}

export const EMPTY: Conversation = { system: "", given: [], turns: [], row: null };

export function newAnswer(): Answer {
  return {
    status: "asking",
    text: "",
    reasoning: "",
    calls: [],
    finish: null,
    error: null,
    firstMs: null,
    lastMs: null,
    tokens: 0,
    logprobs: [],
    grade: null,
  };
}

/** What one model is asked at a turn: everything before, with its own answers. */
export function messagesFor(conversation: Conversation, column: string, turnId: number): Message[] {
  const { system, given, turns } = conversation;
  const messages: Message[] = system.trim() ? [{ role: "system", content: system }] : [];
  messages.push(...given);
  for (const turn of turns) {
    const answer = turn.answers[column];
    if (turn.id !== turnId && !answer?.text) continue; // it was not asked this, or had no answer
    if (turn.user !== null) messages.push({ role: "user", content: turn.user });
    if (turn.id === turnId) return messages;
    if (answer?.text) messages.push({ role: "assistant", content: answer.text });
  }
  return messages;
}

/** A row as the beginning of a conversation, and the question that it ends with. */
export function startOf(job: string, row: Row): { conversation: Conversation; question: string | null } {
  const messages = [...row.messages];
  const system = messages[0]?.role === "system" ? String(messages.shift()?.content ?? "") : "";
  const last = messages[messages.length - 1];
  const question = last?.role === "user" && typeof last.content === "string" ? last.content : null;
  if (question !== null) messages.pop();
  return { conversation: { system, given: messages, turns: [], row: { job, row } }, question };
}

/** Adds a turn that all columns are asked at once. */
export function asked(conversation: Conversation, id: number, user: string | null, columns: string[]): Conversation {
  const answers = Object.fromEntries(columns.map((column) => [column, newAnswer()]));
  return { ...conversation, turns: [...conversation.turns, { id, user, answers }] };
}

/** A turn and whatever followed it are taken back. */
export function upTo(conversation: Conversation, turnId: number): Conversation {
  const index = conversation.turns.findIndex((turn) => turn.id === turnId);
  return index < 0 ? conversation : { ...conversation, turns: conversation.turns.slice(0, index) };
}

export function changeAnswer(
  conversation: Conversation,
  turnId: number,
  column: string,
  change: (answer: Answer) => Answer,
): Conversation {
  return {
    ...conversation,
    turns: conversation.turns.map((turn) => {
      const answer = turn.answers[column];
      return turn.id === turnId && answer ? { ...turn, answers: { ...turn.answers, [column]: change(answer) } } : turn;
    }),
  };
}

/** The rows' own form of what one model was asked at a turn, for its grader and for keeping. */
export function rowOf(
  conversation: Conversation,
  column: string,
  turnId: number,
  reference: string,
): Record<string, unknown> {
  const source = conversation.row?.row;
  const original = source?.reference_answer;
  const isOriginal = source !== undefined && reference === shown(original);
  const answer = isOriginal ? original : reference;
  return {
    messages: messagesFor(conversation, column, turnId),
    ...(answer === "" || answer === null || answer === undefined ? {} : { reference_answer: answer }),
    ...(source?.tools.length ? { tools: source.tools } : {}),
    ...(source && Object.keys(source.metadata).length ? { metadata: source.metadata } : {}),
  };
}

/** A reference answer as it is edited: text as it is, anything else as JSON. */
export function shown(reference: unknown): string {
  if (reference === null || reference === undefined) return "";
  return typeof reference === "string" ? reference : JSON.stringify(reference, null, 2);
}

/** Tokens in a second, from the first to the last; null until there are two. */
export function speed(answer: Answer): number | null {
  if (answer.firstMs === null || answer.lastMs === null || answer.tokens < 2) return null;
  const seconds = (answer.lastMs - answer.firstMs) / 1000;
  return seconds > 0 ? (answer.tokens - 1) / seconds : null;
}

export function isAsking(conversation: Conversation): boolean {
  return conversation.turns.some((turn) => Object.values(turn.answers).some((answer) => answer.status === "asking"));
}

/** `a,b` → columns; names may hold any character but a comma. */
export function columnsOf(text: string | null): Column[] {
  const models = (text ?? "").split(",").map((name) => name.trim());
  return models
    .filter(Boolean)
    .slice(0, MOST_COLUMNS)
    .map((model, index) => ({ id: `c${index}`, model }));
}

export const MOST_COLUMNS = 4;
