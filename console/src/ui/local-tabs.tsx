import type { ComponentChildren } from "preact";
import { useId, useRef } from "preact/hooks";

interface LocalTabsProps<T extends string> {
  /** Said of the whole group. */
  label: string;
  items: readonly { id: T; label: ComponentChildren }[];
  current: T;
  onCurrent: (id: T) => void;
  /** What belongs to the current tab. */
  children: ComponentChildren;
}

/** Tabs inside a page, without addresses of their own: arrow keys go from one to the next. */
export function LocalTabs<T extends string>({ label, items, current, onCurrent, children }: LocalTabsProps<T>) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const place = items.findIndex((item) => item.id === current);

  function onKeyDown(event: KeyboardEvent): void {
    const moves: Record<string, number> = {
      ArrowRight: (place + 1) % items.length,
      ArrowLeft: (place + items.length - 1) % items.length,
      Home: 0,
      End: items.length - 1,
    };
    const next = moves[event.key];
    if (next === undefined) return;
    event.preventDefault();
    onCurrent(items[next]!.id);
    list.current?.querySelectorAll("button")[next]?.focus();
  }

  return (
    <div class="stack">
      <div class="tabs" role="tablist" aria-label={label} ref={list} onKeyDown={onKeyDown}>
        {items.map((item) => (
          <button
            key={item.id}
            type="button"
            class="tab"
            role="tab"
            id={`${id}-${item.id}`}
            aria-selected={item.id === current}
            aria-controls={`${id}-panel`}
            tabIndex={item.id === current ? 0 : -1}
            onClick={() => onCurrent(item.id)}
          >
            {item.label}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${current}`}>
        {children}
      </div>
    </div>
  );
}
