import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "../lib/api";
import { Button } from "./button";
import { ErrorNote } from "./note";

interface DialogProps {
  title: string;
  onClose: () => void;
  wide?: boolean;
  children: ComponentChildren;
}

/** A modal dialog, open as long as it is rendered; Escape closes it and the focus goes back to where it was. */
export function Dialog({ title, onClose, wide, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    ref.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "dialog wide" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <div class="stack">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  /** What happens, and what is kept. */
  children: ComponentChildren;
  action: string;
  kind?: "primary" | "danger";
  /** Has to be typed before the button works. */
  typed?: string;
  /** Something is still missing. */
  disabled?: boolean;
  /** Its failure is shown in the dialog; success closes it. */
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

export function Confirm({
  title,
  children,
  action,
  kind = "primary",
  typed,
  disabled = false,
  onConfirm,
  onClose,
}: ConfirmProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const [text, setText] = useState("");
  const id = useId();

  async function confirm(): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      await onConfirm();
      onClose();
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), -1));
      setBusy(false);
    }
  }

  return (
    <Dialog title={title} onClose={onClose}>
      <div class="stack tight">{children}</div>
      {typed && (
        <div class="field">
          <label class="field-label" for={id}>
            Type <code>{typed}</code> to confirm
          </label>
          <input id={id} class="input" value={text} onInput={(event) => setText(event.currentTarget.value)} />
        </div>
      )}
      {error && <ErrorNote error={error} />}
      <div class="actions">
        <Button onClick={onClose}>Back</Button>
        <Button
          kind={kind}
          busy={busy}
          disabled={disabled || (typed !== undefined && text !== typed)}
          onClick={confirm}
        >
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
