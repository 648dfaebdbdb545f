/** Uploads with progress, which `fetch` does not tell; large files go in parts. */

import { ApiError, api, failure } from "../../../lib/api";

export interface Uploaded {
  id: string;
  filename: string;
  bytes: number;
}

export interface UploadOptions {
  /** Bytes sent so far. */
  onProgress: (sent: number) => void;
  signal: AbortSignal;
}

const PURPOSE = "fine-tune";
/** Larger files are sent in parts, so that a broken connection costs one part only. */
export const WHOLE_BYTES = 64 * 2 ** 20;
export const PART_BYTES = 32 * 2 ** 20;
const TRIES = 3;

/** Why a file cannot be one of rows; null: it can. */
export function refusal(file: { name: string; size: number }): string | null {
  if (!/\.jsonl$/i.test(file.name))
    return `${file.name} does not end in .jsonl. Rows are one JSON object on each line; convert or rename the file.`;
  if (file.size === 0) return `${file.name} is empty.`;
  return null;
}

/** Where the parts of a file begin and end. */
export function partsOf(size: number, partBytes = PART_BYTES): [number, number][] {
  const parts: [number, number][] = [];
  for (let start = 0; start < size; start += partBytes) parts.push([start, Math.min(size, start + partBytes)]);
  return parts;
}

export async function upload(file: File, options: UploadOptions): Promise<Uploaded> {
  if (file.size > WHOLE_BYTES) return inParts(file, options);
  const form = new FormData();
  form.set("purpose", PURPOSE);
  form.set("file", file, file.name);
  return send<Uploaded>("/v1/files", form, options.onProgress, options.signal);
}

async function inParts(file: File, { onProgress, signal }: UploadOptions): Promise<Uploaded> {
  const head = { bytes: file.size, filename: file.name, mime_type: "text/jsonl", purpose: PURPOSE };
  const { id } = await api.post<{ id: string }>("/v1/uploads", head, { signal });
  const path = `/v1/uploads/${encodeURIComponent(id)}`;
  try {
    const ids: string[] = [];
    for (const [start, end] of partsOf(file.size)) {
      const part = await sendPart(`${path}/parts`, file.slice(start, end), (sent) => onProgress(start + sent), signal);
      ids.push(part.id);
    }
    const done = await api.post<{ file: Uploaded }>(`${path}/complete`, { part_ids: ids }, { signal });
    return done.file;
  } catch (error) {
    // Else the parts lie on the server until their hour is over.
    api.post(`${path}/cancel`).catch(() => {});
    throw error;
  }
}

async function sendPart(
  path: string,
  data: Blob,
  onProgress: (sent: number) => void,
  signal: AbortSignal,
): Promise<{ id: string }> {
  for (let tries = 1; ; tries += 1) {
    const form = new FormData();
    form.set("data", data, "part");
    try {
      return await send<{ id: string }>(path, form, onProgress, signal);
    } catch (error) {
      const isPassing = error instanceof ApiError && (error.status === 0 || error.status === 503);
      if (!isPassing || tries === TRIES) throw error;
    }
  }
}

function send<T>(path: string, form: FormData, onProgress: (sent: number) => void, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open("POST", path);
    request.setRequestHeader("x-tuneward-console", "1");
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as T);
      else void failure(new Response(request.responseText, { status: request.status })).then(reject);
    };
    request.onerror = () => reject(new ApiError("The connection broke off. Check that the server is running.", 0));
    request.onabort = () => reject(new DOMException("aborted", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    if (signal.aborted) {
      reject(new DOMException("aborted", "AbortError"));
      return;
    }
    signal.addEventListener("abort", abort);
    request.send(form);
  });
}
