/** Short messages about what was just done; read out, and gone after a while. */

import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  kind: "info" | "good" | "bad";
}

export const toasts = signal<Toast[]>([]);

let last = 0;

export function tell(text: string, kind: Toast["kind"] = "info"): void {
  last += 1;
  const toast = { id: last, text, kind };
  toasts.value = [...toasts.value.slice(-3), toast];
  setTimeout(() => dismiss(toast.id), kind === "bad" ? 12_000 : 5_000);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}
