import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import "./windowed.css";

interface WindowedProps {
  label: string;
  count: number;
  /** Pixels; every entry is as high. */
  rowHeight: number;
  /** -1: none. */
  selected: number;
  onSelect: (index: number) => void;
  children: (index: number) => ComponentChildren;
  /** The end has come into sight, so there may be more to fetch. */
  onEnd?: (() => void) | undefined;
}

const BEYOND = 6;

/** One of many to choose, of which only those in sight are rendered; arrows, Home, End and page keys move. */
export function WindowedList({ label, count, rowHeight, selected, onSelect, children, onEnd }: WindowedProps) {
  const id = useId();
  const host = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const first = Math.max(0, Math.min(Math.floor(top / rowHeight) - BEYOND, count - 1));
  const last = Math.min(count, Math.ceil((top + height) / rowHeight) + BEYOND);

  useLayoutEffect(() => {
    const watch = new ResizeObserver(() => setHeight(host.current!.clientHeight));
    watch.observe(host.current!);
    return () => watch.disconnect();
  }, []);

  useEffect(() => {
    const element = host.current!;
    if (selected < 0) return;
    const at = selected * rowHeight;
    if (at < element.scrollTop) element.scrollTop = at;
    else if (at + rowHeight > element.scrollTop + element.clientHeight)
      element.scrollTop = at + rowHeight - element.clientHeight;
  }, [selected, rowHeight]);

  useEffect(() => {
    if (last >= count && count > 0) onEnd?.();
  }, [last, count, onEnd]);

  function move(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(height / rowHeight) - 1);
    const steps: Record<string, number> = {
      ArrowDown: selected + 1,
      ArrowUp: selected - 1,
      PageDown: selected + page,
      PageUp: selected - page,
      Home: 0,
      End: count - 1,
    };
    const next = steps[event.key];
    if (next === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (count) onSelect(Math.max(0, Math.min(count - 1, next)));
  }

  return (
    <div
      ref={host}
      class="windowed"
      style={{ "--windowed-content": `${count * rowHeight}px` }}
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={selected >= first && selected < last ? `${id}-${selected}` : undefined}
      onKeyDown={move}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      <div role="presentation" style={{ height: `${count * rowHeight}px` }}>
        {Array.from({ length: Math.max(0, last - first) }, (_, place) => {
          const index = first + place;
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the list's
            <div
              key={index}
              id={`${id}-${index}`}
              class="windowed-entry"
              role="option"
              tabIndex={-1}
              aria-selected={index === selected}
              aria-setsize={count}
              aria-posinset={index + 1}
              style={{ height: `${rowHeight}px`, transform: `translateY(${index * rowHeight}px)` }}
              onClick={() => onSelect(index)}
            >
              {children(index)}
            </div>
          );
        })}
      </div>
    </div>
  );
}
