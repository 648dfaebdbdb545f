import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

/** Stands for the browser's event sources; a test says what happens to each. */
class Source {
  static all: Source[] = [];
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  isClosed = false;
  private listeners = new Map<string, (event: unknown) => void>();

  constructor(readonly url: string) {
    Source.all.push(this);
  }

  addEventListener(type: string, listener: (event: unknown) => void): void {
    this.listeners.set(type, listener);
  }

  close(): void {
    this.isClosed = true;
  }

  send(type: string, data: unknown, lastEventId = ""): void {
    this.listeners.get(type)?.({ data: JSON.stringify(data), lastEventId });
  }
}

const page = Object.assign(new EventTarget(), { hidden: false });
let answer: () => Promise<Response>;

function newest(): Source {
  return Source.all.at(-1)!;
}

function see(hidden: boolean): void {
  page.hidden = hidden;
  page.dispatchEvent(new Event("visibilitychange"));
}

vi.stubGlobal("document", page);
vi.stubGlobal("EventSource", Source);
vi.stubGlobal("fetch", () => answer());

const { connection, HIDDEN_MS, LONGEST_WAIT_MS, listen, resumed, SILENCE_MS, waitOf } = await import("./live");

const fine = () => Promise.resolve(Response.json({}));
const gone = () => Promise.reject(new TypeError("connection refused"));

beforeEach(() => {
  vi.useFakeTimers();
  Source.all = [];
  page.hidden = false;
  connection.value = "ok";
  answer = fine;
});

afterEach(() => {
  vi.useRealTimers();
});

describe("waits between tries", () => {
  it("double up to a bound, and differ", () => {
    expect([0, 1, 2, 30].map((attempt) => waitOf(attempt, 1))).toEqual([500, 1000, 2000, LONGEST_WAIT_MS]);
    expect(waitOf(2, 0)).toBe(1000);
  });
});

describe("an address to go on from", () => {
  it("names the last event and keeps the rest", () => {
    expect(resumed("/api/live", "")).toBe("/api/live");
    expect(resumed("/api/jobs/a/live?after=3&x=1", "17")).toBe("/api/jobs/a/live?after=17&x=1");
  });
});

describe("a stream", () => {
  it("is resumed after the last event that came", async () => {
    const seen: unknown[] = [];
    const stop = listen("/s", { message: (data: { n: number }) => seen.push(data.n) });
    newest().onopen?.();
    newest().send("ready", {}, "4");
    newest().send("message", { n: 1 }, "5");
    newest().send("message", { n: 2 }, "6");
    newest().onerror?.();
    expect(newest().isClosed).toBe(true);
    await vi.advanceTimersByTimeAsync(LONGEST_WAIT_MS);
    expect(newest().url).toBe("/s?after=6");
    newest().send("message", { n: 3 }, "7");
    expect(seen).toEqual([1, 2, 3]);
    stop();
    expect(newest().isClosed).toBe(true);
  });

  it("that breaks before its first event is resumed where it began", async () => {
    const stop = listen("/s", {});
    newest().send("ready", {}, "4");
    newest().onerror?.();
    await vi.advanceTimersByTimeAsync(LONGEST_WAIT_MS);
    expect(newest().url).toBe("/s?after=4");
    stop();
  });

  it("tells each time that it has begun", async () => {
    const open = vi.fn();
    const stop = listen("/s", { open });
    newest().onopen?.();
    newest().send("end", { reason: "stopping" });
    await vi.advanceTimersByTimeAsync(LONGEST_WAIT_MS);
    newest().onopen?.();
    expect(open).toHaveBeenCalledTimes(2);
    stop();
  });

  it("that says nothing any more is given up for a new one", async () => {
    const stop = listen("/s", {});
    newest().onopen?.();
    await vi.advanceTimersByTimeAsync(SILENCE_MS - 1);
    newest().send("alive", {});
    await vi.advanceTimersByTimeAsync(SILENCE_MS - 1);
    expect(Source.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(LONGEST_WAIT_MS);
    expect(Source.all).toHaveLength(2);
    stop();
  });

  it("is let go by a tab that nobody sees, and taken up when somebody does", async () => {
    const stop = listen("/s", { message: () => {} });
    newest().onopen?.();
    newest().send("message", {}, "9");
    see(true);
    await vi.advanceTimersByTimeAsync(HIDDEN_MS);
    expect(newest().isClosed).toBe(true);
    see(false);
    expect(newest().url).toBe("/s?after=9");
    see(true);
    see(false);
    await vi.advanceTimersByTimeAsync(HIDDEN_MS);
    expect(newest().isClosed).toBe(false);
    stop();
  });

  it("is not begun by a tab that nobody has seen yet", () => {
    page.hidden = true;
    const stop = listen("/s", {});
    expect(Source.all).toHaveLength(0);
    see(false);
    expect(Source.all).toHaveLength(1);
    stop();
  });
});

describe("the connection", () => {
  it("is lost when the server does not answer, and back when it does", async () => {
    const stop = listen("/s", {});
    newest().onopen?.();
    answer = gone;
    newest().onerror?.();
    await vi.advanceTimersByTimeAsync(1);
    expect(connection.value).toBe("lost");
    await vi.advanceTimersByTimeAsync(LONGEST_WAIT_MS);
    answer = fine;
    newest().onopen?.();
    expect(connection.value).toBe("back");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(connection.value).toBe("ok");
    stop();
  });

  it("is not lost when only the stream failed", async () => {
    const stop = listen("/s", {});
    newest().onerror?.();
    await vi.advanceTimersByTimeAsync(LONGEST_WAIT_MS);
    expect(connection.value).toBe("ok");
    expect(Source.all.length).toBeGreaterThan(1);
    stop();
  });

  it("is not tried again with a key that is refused", async () => {
    listen("/s", {});
    answer = () => Promise.resolve(Response.json({ error: { message: "no" } }, { status: 401 }));
    newest().onerror?.();
    await vi.advanceTimersByTimeAsync(10 * LONGEST_WAIT_MS);
    expect(Source.all).toHaveLength(1);
  });
});
