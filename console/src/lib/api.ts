/** Requests to the server: JSON in, JSON out, failures as `ApiError`. The key travels in a cookie no script can read. */

export type Json = unknown;

export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0: the server could not be reached. */
    readonly status: number,
    readonly code: string | null = null,
    /** Dotted path of the field that is wrong. */
    readonly param: string | null = null,
  ) {
    super(message);
  }
}

export interface Options {
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

/** Called when a request is refused because nobody, or nobody known any more, is signed in. */
let onSignedOut: (reason: string) => void = () => {};

export function whenSignedOut(call: (reason: string) => void): void {
  onSignedOut = call;
}

async function request(method: string, path: string, body?: Json | FormData, options: Options = {}): Promise<Response> {
  const isForm = body instanceof FormData;
  const init: RequestInit = {
    method,
    credentials: "same-origin",
    headers: {
      "x-tuneward-console": "1",
      ...(body !== undefined && !isForm ? { "content-type": "application/json" } : {}),
      ...options.headers,
    },
  };
  if (body !== undefined) init.body = isForm ? body : JSON.stringify(body);
  if (options.signal) init.signal = options.signal;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached. Is it running? The page tries again by itself.", 0);
  }
  if (!response.ok) throw await failure(response);
  return response;
}

/** The error of an answer, in whichever dialect it was given. */
export async function failure(response: Response): Promise<ApiError> {
  let message = `The server answered ${response.status}.`;
  let code: string | null = null;
  let param: string | null = null;
  try {
    const body = (await response.json()) as Record<string, unknown>;
    const inner = (typeof body.error === "object" && body.error !== null ? body.error : body) as Record<
      string,
      unknown
    >;
    const text = inner.message ?? inner.Message;
    if (typeof text === "string" && text) message = text;
    if (typeof inner.code === "string") code = inner.code;
    if (typeof inner.param === "string") param = inner.param;
  } catch {
    // Not JSON: the status has to do.
  }
  if (response.status === 401) onSignedOut(message);
  return new ApiError(message, response.status, code, param);
}

async function json<T>(response: Promise<Response>): Promise<T> {
  const answer = await response;
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}

export const api = {
  get: <T>(path: string, options?: Options) => json<T>(request("GET", path, undefined, options)),
  post: <T>(path: string, body?: Json | FormData, options?: Options) => json<T>(request("POST", path, body, options)),
  put: <T>(path: string, body?: Json, options?: Options) => json<T>(request("PUT", path, body, options)),
  patch: <T>(path: string, body?: Json, options?: Options) => json<T>(request("PATCH", path, body, options)),
  delete: <T>(path: string, options?: Options) => json<T>(request("DELETE", path, undefined, options)),
  /** The answer as it comes, for streams. */
  open: (method: string, path: string, body?: Json, options?: Options) => request(method, path, body, options),
};

/** `{a: 1, b: undefined, c: ["x", "y"]}` → `?a=1&c=x&c=y`; empty when nothing is given. */
export function query(
  values: Record<string, string | number | boolean | null | undefined | readonly string[]>,
): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined || value === null || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(key, String(one));
  }
  const text = search.toString();
  return text && `?${text}`;
}

/** Data of server-sent events of a POST answer, one after another. */
export async function* eventsOf(response: Response): AsyncGenerator<{ event: string; data: string }> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value.replaceAll("\r\n", "\n");
      let end = rest.indexOf("\n\n");
      while (end >= 0) {
        const frame = rest.slice(0, end);
        rest = rest.slice(end + 2);
        let event = "message";
        const data: string[] = [];
        for (const line of frame.split("\n")) {
          if (line.startsWith("event:")) event = line.slice(6).trim();
          else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
        }
        if (data.length) yield { event, data: data.join("\n") };
        end = rest.indexOf("\n\n");
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
