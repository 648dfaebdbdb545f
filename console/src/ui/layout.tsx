import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface PageProps {
  title: string;
  /** Beside the title: badges. */
  beside?: ComponentChildren;
  subtitle?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

/** A page: its title, in the window's title too, its actions and its content. */
export function Page({ title, beside, subtitle, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Tuneward`;
  }, [title]);
  return (
    <>
      <div class="page-header">
        <div>
          <div class="row">
            <h1 class="truncate">{title}</h1>
            {beside}
          </div>
          {subtitle && <div class="muted">{subtitle}</div>}
        </div>
        {actions && <div class="row">{actions}</div>}
      </div>
      <div class="stack">{children}</div>
    </>
  );
}

interface PanelProps {
  title?: ComponentChildren;
  actions?: ComponentChildren;
  /** The content reaches the edges, as tables do. */
  flush?: boolean;
  children: ComponentChildren;
}

export function Panel({ title, actions, flush, children }: PanelProps) {
  return (
    <section class={flush ? "panel flush" : "panel"}>
      {(title || actions) && (
        <header>
          {title ? <h2>{title}</h2> : <span />}
          {actions && <div class="row">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

/** A list without entries: what it will hold and what to do next. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string;
  children?: ComponentChildren;
  action?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
      {action}
    </div>
  );
}

/** Where something will be; `lines` of text high. */
export function Skeleton({ lines = 3, label = "Loading" }: { lines?: number; label?: string }) {
  return (
    <div class="stack tight" role="status" aria-label={label}>
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} class="skeleton" style={{ height: "1.25rem", width: `${95 - ((index * 17) % 40)}%` }} />
      ))}
    </div>
  );
}

/** A wide table, scrolled by itself and by keyboard. */
export function TableRegion({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <section class="table-region" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}

export interface TabItem {
  id: string;
  label: ComponentChildren;
  href: string;
}

/** Tabs that are places: each has an address. */
export function TabLinks({ label, items, current }: { label: string; items: readonly TabItem[]; current: string }) {
  const ref = useRef<HTMLElement>(null);
  useEffect(() => {
    const nav = ref.current;
    const tab = nav?.querySelector<HTMLElement>("[aria-current]");
    // Where not all tabs fit, the current one is to be seen.
    if (nav && tab) nav.scrollLeft = tab.offsetLeft - nav.offsetLeft - (nav.clientWidth - tab.offsetWidth) / 2;
  }, [current]);
  return (
    <nav class="tabs" aria-label={label} ref={ref}>
      {items.map((item) => (
        <a key={item.id} class="tab" href={item.href} aria-current={item.id === current ? "page" : undefined}>
          {item.label}
        </a>
      ))}
    </nav>
  );
}

export function Progress({ value, max, label }: { value: number; max: number; label: string }) {
  const share = max > 0 ? Math.min(1, value / max) : 0;
  return (
    <div
      class="progress"
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuenow={value}
    >
      <div style={{ width: `${share * 100}%` }} />
    </div>
  );
}
