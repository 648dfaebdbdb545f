import { useState } from "preact/hooks";
import { plural } from "../../../lib/format";
import { Badge } from "../../../ui/badge";
import { Button } from "../../../ui/button";
import type { PreviewRow } from "../inspection";

const AT_FIRST = 3;

/** The first rows as a model and a grader will see them. */
export function Preview({ rows }: { rows: readonly PreviewRow[] }) {
  const [isWhole, setWhole] = useState(false);
  if (!rows.length) return <p class="muted">There is no row that can be shown.</p>;
  const shown = isWhole ? rows : rows.slice(0, AT_FIRST);
  return (
    <div class="stack">
      <ol class="stack">
        {shown.map((row) => (
          <li key={row.line}>
            <Row row={row} />
          </li>
        ))}
      </ol>
      {rows.length > AT_FIRST && (
        <div>
          <Button size="small" onClick={() => setWhole(!isWhole)}>
            {isWhole ? "Show fewer" : `Show the first ${rows.length}`}
          </Button>
        </div>
      )}
    </div>
  );
}

function Row({ row }: { row: PreviewRow }) {
  return (
    <article class="preview-row" aria-label={`Line ${row.line}`}>
      <header class="row spread">
        <span class="muted num">
          Line {row.line}
          {row.id !== `row-${row.line}` && <span class="mono"> · {row.id}</span>}
        </span>
        <span class="row">
          {row.tools > 0 && <Badge>{plural(row.tools, "tool")}</Badge>}
          {row.tokens !== null && <Badge>{plural(row.tokens, "token")}</Badge>}
        </span>
      </header>
      <div class="stack tight">
        {row.messages.map((message, index) => (
          <div key={index} class={`bubble ${message.role === "assistant" ? "assistant" : ""}`}>
            <span class="bubble-role">{message.role}</span>
            <span class="bubble-text">
              {message.content}
              {message.is_cut && <em class="muted"> … cut here</em>}
            </span>
          </div>
        ))}
      </div>
      {(row.reference_answer !== null || row.metadata !== null) && (
        <dl class="facts preview-facts">
          {row.reference_answer !== null && (
            <>
              <dt>Reference answer</dt>
              <dd class="bubble-text">{row.reference_answer}</dd>
            </>
          )}
          {row.metadata !== null && (
            <>
              <dt>Metadata</dt>
              <dd class="mono">{row.metadata}</dd>
            </>
          )}
        </dl>
      )}
    </article>
  );
}
