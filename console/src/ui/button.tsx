import type { ComponentChildren, JSX } from "preact";

export interface ButtonProps extends Omit<JSX.IntrinsicElements["button"], "icon" | "size"> {
  kind?: "primary" | "danger" | "quiet" | undefined;
  size?: "small" | undefined;
  /** Something is under way: shows a spinner and takes no further clicks. */
  busy?: boolean | undefined;
  children: ComponentChildren;
}

export function Button({ kind, size, busy, class: extra, disabled, children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      class={["button", kind, size, extra].filter(Boolean).join(" ")}
      disabled={disabled || busy}
      aria-busy={busy}
      {...rest}
    >
      {children}
    </button>
  );
}

export interface LinkButtonProps {
  href: string;
  kind?: "primary" | "danger" | "quiet" | undefined;
  size?: "small" | undefined;
  download?: string | boolean | undefined;
  children: ComponentChildren;
}

/** Goes somewhere: a link that looks like a button. */
export function LinkButton({ kind, size, children, ...rest }: LinkButtonProps) {
  return (
    <a class={["button", kind, size].filter(Boolean).join(" ")} {...rest}>
      {children}
    </a>
  );
}
