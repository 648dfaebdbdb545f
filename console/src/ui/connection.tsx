import { connection } from "../lib/live";
import "./connection.css";

/** Says when the server does not answer any more, and when it does again. */
export function ConnectionBanner() {
  const now = connection.value;
  return (
    <div class="connection" role="status">
      {now === "lost" && <div class="banner">Server not reachable, trying again. What you see may be out of date.</div>}
      {now === "back" && <div class="banner good">Connected again.</div>}
    </div>
  );
}
