import type { ComponentType } from "preact";
import { Component } from "preact";
import { useEffect, useState } from "preact/hooks";
import { match } from "./lib/match";
import { path } from "./lib/router";
import { refresh, session } from "./lib/session";
import { SignIn } from "./pages/sign-in";
import { Shell } from "./shell";
import { Button } from "./ui/button";
import { Empty, Page, Skeleton } from "./ui/layout";

export type PageProps = { params: Record<string, string> };
type Loader = () => Promise<{ default: ComponentType<PageProps> }>;

/** Path → page; each page is a file of its own, fetched when it is first opened. */
const PAGES: readonly (readonly [string, Loader])[] = [
  ["/", () => import("./pages/jobs")],
  ["/new/:step?", () => import("./pages/new-job")],
  ["/jobs/:id/:tab?", () => import("./pages/job")],
  ["/models/:tab?", () => import("./pages/models")],
  ["/playground", () => import("./pages/playground")],
  ["/functions/:name?/:tab?", () => import("./pages/functions")],
  ["/settings/:section?", () => import("./pages/settings")],
];

const loaded = new Map<Loader, ComponentType<PageProps>>();

export function App() {
  const now = session.value;
  useEffect(() => {
    if (now.state !== "unreachable") return;
    const timer = setInterval(() => void refresh(), 3000);
    return () => clearInterval(timer);
  }, [now.state]);
  if (now.state === "unknown") return <div class="shell-main" />;
  if (now.state === "unreachable") {
    return (
      <div class="shell-main">
        <Empty title="The server cannot be reached">
          <p role="status">
            Start it with `tuneward serve`, or look at its log. This page tries again every few seconds.
          </p>
        </Empty>
      </div>
    );
  }
  if (now.state === "out") return <SignIn reason={now.reason} />;
  return (
    <Shell>
      <Boundary key={path.value.split("/")[1]}>
        <Routed />
      </Boundary>
    </Shell>
  );
}

function Routed() {
  for (const [pattern, loader] of PAGES) {
    const params = match(pattern, path.value);
    if (params) return <Lazy key={pattern} loader={loader} params={params} />;
  }
  return (
    <Page title="No such page">
      <Empty title="There is nothing at this address" action={<a href="/">Go to the jobs</a>} />
    </Page>
  );
}

function Lazy({ loader, params }: { loader: Loader; params: Record<string, string> }) {
  const [, redraw] = useState(0);
  const [failed, setFailed] = useState(false);
  const Loaded = loaded.get(loader);
  useEffect(() => {
    if (loaded.has(loader)) return;
    loader().then(
      (module) => {
        loaded.set(loader, module.default);
        redraw((value) => value + 1);
      },
      () => setFailed(true),
    );
  }, [loader]);
  if (failed)
    return <Reload why="A part of the console could not be fetched. The server may have been updated or be away." />;
  return Loaded ? <Loaded params={params} /> : <Skeleton lines={6} />;
}

function Reload({ why }: { why: string }) {
  return (
    <Empty title="This page cannot be shown" action={<Button onClick={() => location.reload()}>Load again</Button>}>
      <p role="alert">{why}</p>
    </Empty>
  );
}

/** A page that breaks must not take the others with it. */
class Boundary extends Component<object, { error: Error | null }> {
  override state = { error: null as Error | null };

  static override getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render() {
    if (this.state.error) return <Reload why={`The console made a mistake: ${this.state.error.message}`} />;
    return this.props.children;
  }
}
