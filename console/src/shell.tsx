import type { ComponentChildren } from "preact";
import { path } from "./lib/router";
import { session, signOut } from "./lib/session";
import { setTheme, type Theme, theme } from "./lib/theme";
import { dismiss, toasts } from "./lib/toast";
import { Button } from "./ui/button";
import { ConnectionBanner } from "./ui/connection";
import { Icon, type IconName } from "./ui/icon";

const PLACES: readonly { href: string; label: string; icon: IconName; below: readonly string[] }[] = [
  { href: "/", label: "Jobs", icon: "jobs", below: ["", "jobs"] },
  { href: "/new", label: "New job", icon: "new", below: ["new"] },
  { href: "/models", label: "Models", icon: "models", below: ["models"] },
  { href: "/playground", label: "Playground", icon: "playground", below: ["playground"] },
  { href: "/functions", label: "Functions", icon: "functions", below: ["functions"] },
  { href: "/settings", label: "Settings", icon: "settings", below: ["settings"] },
];

/** What stands around every page: places to go, who is signed in, the theme, what was just done. */
export function Shell({ children }: { children: ComponentChildren }) {
  const here = path.value.split("/")[1] ?? "";
  const caller = session.value.state === "in" ? session.value.caller : null;
  return (
    <div class="shell">
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <nav class="shell-nav" aria-label="Console">
        <a class="brand" href="/" aria-label="Tuneward">
          <img src="/favicon.svg" alt="" width="22" height="22" />
          <span>Tuneward</span>
        </a>
        <div class="nav-links">
          {PLACES.map((place) => (
            <a
              key={place.href}
              class="nav-link"
              href={place.href}
              aria-current={place.below.includes(here) ? "page" : undefined}
            >
              <Icon name={place.icon} />
              {place.label}
            </a>
          ))}
        </div>
        <div class="shell-foot">
          {caller && (
            <div class="caller">
              <div class="truncate">{caller.project_id}</div>
              <div>{caller.role}</div>
            </div>
          )}
          <label class="visually-hidden" for="theme">
            Theme
          </label>
          <select
            id="theme"
            class="input"
            value={theme.value}
            onChange={(event) => setTheme(event.currentTarget.value as Theme)}
          >
            <option value="system">System theme</option>
            <option value="light">Light</option>
            <option value="dark">Dark</option>
          </select>
          <Button size="small" kind="quiet" onClick={() => void signOut()}>
            Sign out
          </Button>
        </div>
      </nav>
      <div class="shell-main">
        <ConnectionBanner />
        <main id="content" tabIndex={-1}>
          {children}
        </main>
      </div>
      <Toasts />
    </div>
  );
}

function Toasts() {
  return (
    <div class="toasts" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.kind}`}>
          <div class="grow">{toast.text}</div>
          <Button size="small" kind="quiet" class="icon-only" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            <Icon name="close" />
          </Button>
        </div>
      ))}
    </div>
  );
}
