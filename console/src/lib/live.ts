/**
 * Server-sent events that survive whatever happens to the connection.
 *
 * A stream is resumed after the last event that came, with waits that grow and differ from tab to tab. A tab that
 * nobody looks at lets go of its stream: browsers open only a few connections to a server for all tabs together.
 */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError, api } from "./api";

/** `lost`: the server does not answer; `back`: it does again, since a few seconds. */
export type Connection = "ok" | "lost" | "back";

/** Of all streams of this tab together. */
export const connection = signal<Connection>("ok");

/** One event: its data, parsed, and its id ("" where the server gave none). */
export type Handler = (data: never, id: string) => void;

/** By type of event; `open` is called whenever a stream has begun, first or again. */
export type Handlers = Record<string, Handler>;

export const FIRST_WAIT_MS = 500;
export const LONGEST_WAIT_MS = 15_000;
/** The server says something at least every 15 seconds. */
export const SILENCE_MS = 40_000;
export const HIDDEN_MS = 20_000;
const BACK_MS = 4_000;

/** How long to wait before a try: doubling, between half and all of it. */
export function waitOf(attempt: number, random = Math.random()): number {
  const whole = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 10));
  return whole * (0.5 + random / 2);
}

/** A path with the place to go on from. */
export function resumed(path: string, last: string): string {
  if (!last) return path;
  const [base, search] = path.split("?", 2) as [string, string | undefined];
  const values = new URLSearchParams(search);
  values.set("after", last);
  return `${base}?${values}`;
}

/** Listens until the returned function is called. */
export function listen(path: string, handlers: Handlers): () => void {
  let source: EventSource | null = null;
  let last = "";
  let attempt = 0;
  let isOver = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let hiding: ReturnType<typeof setTimeout> | undefined;

  function heard(): void {
    clearTimeout(silence);
    silence = setTimeout(lose, SILENCE_MS);
  }

  function take(type: string, event: MessageEvent<string>): void {
    heard();
    if (event.lastEventId) last = event.lastEventId;
    handlers[type]?.(JSON.parse(event.data) as never, event.lastEventId);
  }

  function connect(): void {
    if (isOver || source || document.hidden) return;
    const opened = new EventSource(resumed(path, last));
    source = opened;
    heard();
    opened.onopen = () => {
      attempt = 0;
      heard();
      reached();
      handlers.open?.(undefined as never, last);
    };
    opened.onerror = lose;
    opened.addEventListener("alive", heard);
    opened.addEventListener("end", () => lose());
    // `ready` has an id too: where to go on when the stream breaks before its first event.
    for (const type of new Set(["ready", ...Object.keys(handlers)]))
      if (type !== "open") opened.addEventListener(type, (event) => take(type, event as MessageEvent<string>));
  }

  function close(): void {
    clearTimeout(silence);
    clearTimeout(retry);
    source?.close();
    source = null;
  }

  function lose(): void {
    close();
    if (isOver) return;
    retry = setTimeout(connect, waitOf(attempt));
    attempt += 1;
    void ask();
  }

  /** An event source does not say why it failed: a server that is gone, a key that is refused, or only the stream. */
  async function ask(): Promise<void> {
    try {
      await api.get("/api/session");
      reached();
    } catch (error) {
      if (isOver || !(error instanceof ApiError)) return;
      if (error.status === 0) connection.value = "lost";
      else if (error.status === 401) stop();
    }
  }

  function changeSight(): void {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(close, HIDDEN_MS);
    else if (!source) {
      attempt = 0;
      clearTimeout(retry);
      connect();
    }
  }

  function stop(): void {
    isOver = true;
    clearTimeout(hiding);
    document.removeEventListener("visibilitychange", changeSight);
    close();
  }

  document.addEventListener("visibilitychange", changeSight);
  connect();
  return stop;
}

let calming: ReturnType<typeof setTimeout> | undefined;

function reached(): void {
  if (connection.value !== "lost") return;
  connection.value = "back";
  clearTimeout(calming);
  calming = setTimeout(() => {
    if (connection.value === "back") connection.value = "ok";
  }, BACK_MS);
}

/** Listens while the component is there; null listens to nothing. The newest handlers are called. */
export function useLive(path: string | null, handlers: Handlers): void {
  const latest = useRef(handlers);
  latest.current = handlers;
  useEffect(() => {
    if (path === null) return;
    const types = Object.keys(latest.current);
    const through = types.map((type) => [type, (data: never, id: string) => latest.current[type]?.(data, id)] as const);
    return listen(path, Object.fromEntries(through));
  }, [path]);
}
