import type { ComponentChildren } from "preact";
import type { ApiError } from "../lib/api";
import { Button } from "./button";

interface NoteProps {
  tone?: "good" | "warn" | "bad" | undefined;
  title?: ComponentChildren;
  children?: ComponentChildren;
}

export function Note({ tone, title, children }: NoteProps) {
  return (
    <div class={tone ? `note ${tone}` : "note"}>
      {title && <strong>{title}</strong>}
      {children}
    </div>
  );
}

/** What went wrong, as the server said it, and a way to try again. */
export function ErrorNote({
  error,
  onRetry,
  title,
}: {
  error: ApiError;
  onRetry?: (() => void) | undefined;
  title?: string;
}) {
  return (
    <div class="note bad" role="alert">
      {title && <strong>{title}</strong>}
      <span>{error.message}</span>
      {onRetry && (
        <div>
          <Button size="small" onClick={onRetry}>
            Try again
          </Button>
        </div>
      )}
    </div>
  );
}
