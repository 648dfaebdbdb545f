import type { ComponentChildren } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import { Icon } from "./icon";
import "./menu.css";

interface MenuProps {
  /** Read out: what the entries are done with. */
  label: string;
  children: ComponentChildren;
}

const GAP = 4;

/** A button that opens a list of things to do; Escape and a click elsewhere close it, arrows go through it. */
export function Menu({ label, children }: MenuProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const [isOpen, setOpen] = useState(false);

  function place(): void {
    // In the top layer, so that a table that scrolls sideways does not cut it off.
    const from = button.current!.getBoundingClientRect();
    const menu = list.current!;
    const below = from.bottom + GAP + menu.offsetHeight <= innerHeight;
    menu.style.top = `${below ? from.bottom + GAP : Math.max(GAP, from.top - GAP - menu.offsetHeight)}px`;
    menu.style.left = `${Math.max(GAP, from.right - menu.offsetWidth)}px`;
  }

  function toggled(event: Pick<ToggleEvent, "newState">): void {
    const isNow = event.newState === "open";
    setOpen(isNow);
    if (!isNow) return;
    place();
    entries()[0]?.focus();
  }

  function entries(): HTMLElement[] {
    return [...(list.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])];
  }

  function pressed(event: KeyboardEvent): void {
    const all = entries();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Tab") list.current?.hidePopover();
    if (to === undefined) return;
    event.preventDefault();
    all[(to + all.length) % all.length]?.focus();
  }

  return (
    <>
      <button
        ref={button}
        type="button"
        class="button quiet small icon-only"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={id}
        popovertarget={id}
      >
        <Icon name="more" />
      </button>
      <div
        ref={list}
        id={id}
        class="menu"
        role="menu"
        aria-label={label}
        tabIndex={-1}
        popover="auto"
        onToggle={toggled}
        onKeyDown={pressed}
        onClick={() => list.current?.hidePopover()}
      >
        {children}
      </div>
    </>
  );
}

interface ItemProps {
  /** Goes there; without it, `onChoose` is called. */
  href?: string;
  onChoose?: () => void;
  danger?: boolean;
  children: ComponentChildren;
}

export function MenuItem({ href, onChoose, danger, children }: ItemProps) {
  const look = danger ? "menu-item danger" : "menu-item";
  if (href !== undefined)
    return (
      <a class={look} role="menuitem" tabIndex={-1} href={href}>
        {children}
      </a>
    );
  return (
    <button type="button" class={look} role="menuitem" tabIndex={-1} onClick={onChoose}>
      {children}
    </button>
  );
}
