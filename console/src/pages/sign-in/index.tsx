import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../../lib/api";
import { signIn } from "../../lib/session";
import { Button } from "../../ui/button";
import { Check, TextField } from "../../ui/field";
import { Panel } from "../../ui/layout";
import { Note } from "../../ui/note";
import "./sign-in.css";

/** Asks for an API key. What page was wanted is in the address, so one is there afterwards. */
export function SignIn({ reason }: { reason: string | null }) {
  const [key, setKey] = useState("");
  const [remember, setRemember] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    document.title = "Sign in · Tuneward";
  }, []);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await signIn(key, remember);
    } catch (error) {
      setProblem(error instanceof ApiError ? error.message : String(error));
      setBusy(false);
    }
  }

  return (
    <main class="sign-in">
      <div class="row">
        <img src="/favicon.svg" alt="" width="28" height="28" />
        <h1>Tuneward</h1>
      </div>
      {reason && <Note tone="warn">{reason}</Note>}
      <Panel>
        <form class="stack" onSubmit={submit}>
          {/* Password managers file a key under a name. */}
          <input type="text" autocomplete="username" value="tuneward" readOnly hidden />
          <TextField
            label="API key"
            type="password"
            autocomplete="current-password"
            required
            value={key}
            onValue={setKey}
            problem={problem}
            hint={
              <>
                The server printed one when it first started; <code>tuneward keys create NAME</code> makes another.
              </>
            }
          />
          <Check label="Stay signed in for 30 days" checked={remember} onChecked={setRemember} />
          <Button kind="primary" type="submit" busy={busy} disabled={!key.trim()}>
            Sign in
          </Button>
        </form>
      </Panel>
      <p class="muted">The key is kept in a cookie that scripts cannot read, and is sent to this server only.</p>
    </main>
  );
}
