import { useId, useMemo, useState } from "preact/hooks";
import { count, percent } from "../../../lib/format";
import { ShowAll } from "../../../ui/toggle";
import type { Sample } from "./data";
import { LEVELS, levelOf, type ShownToken, shownTokens, visible } from "./tokens";

const FOLDED_TOKENS = 160;
/** Tokens that the browser lays out together, only when they come into sight. */
const BLOCK = 400;

/** A completion whose tokens are coloured by how surprising they were to the model that wrote them. */
export function ColoredText({ sample, label }: { sample: Sample; label: string }) {
  const tokens = useMemo(() => shownTokens(sample.pieces ?? [], sample.logprobs ?? []), [sample]);
  const [isWhole, setWhole] = useState(false);
  const [at, setAt] = useState<number | null>(null);
  const id = useId();
  const isLong = tokens.length > FOLDED_TOKENS * 1.2;
  const shown = isLong && !isWhole ? tokens.slice(0, FOLDED_TOKENS) : tokens;
  const blocks = Array.from({ length: Math.ceil(shown.length / BLOCK) }, (_, block) =>
    shown.slice(block * BLOCK, (block + 1) * BLOCK),
  );

  function move(event: KeyboardEvent): void {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10 }[event.key];
    if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation(); // arrows go to other steps elsewhere
    setAt(Math.max(0, Math.min(shown.length - 1, at === null ? 0 : at + by)));
  }

  function point(event: Event): void {
    const place = (event.target as HTMLElement).dataset?.token;
    if (place !== undefined) setAt(Number(place));
  }

  const pointed = at === null ? undefined : tokens[at];
  return (
    <div class="stack tight">
      <section
        class="verbatim rollouts-text rollouts-tokens"
        id={id}
        aria-label={`${label}, coloured by probability; arrow keys go from token to token`}
        tabIndex={0}
        onKeyDown={move}
        onFocus={() => setAt((before) => before ?? 0)}
        onMouseOver={point}
      >
        {blocks.map((block, index) => (
          <span key={index} class="rollouts-token-block">
            {block.map((token, place) => (
              <span
                key={token.index}
                data-token={index * BLOCK + place}
                class={`token level-${levelOf(token.logprob)}${index * BLOCK + place === at ? " pointed" : ""}`}
              >
                {token.text}
              </span>
            ))}
          </span>
        ))}
        {shown.length === tokens.length && sample.end && <span class="rollouts-end">{sample.end}</span>}
        {shown.length < tokens.length && "…"}
      </section>
      <p class="rollouts-readout num" aria-live="polite">
        {pointed ? (
          <Told token={pointed} of={sample.tokens} />
        ) : (
          <span class="muted">Point at a token to see how likely it was.</span>
        )}
      </p>
      {isLong && (
        <ShowAll
          isWhole={isWhole}
          onToggle={() => setWhole(!isWhole)}
          controls={id}
          all={`${count(sample.tokens)} tokens`}
        />
      )}
    </div>
  );
}

function Told({ token, of }: { token: ShownToken; of: number }) {
  return (
    <>
      <code>{visible(token.text)}</code> token {token.index + 1} of {count(of)} · log-prob {token.logprob.toFixed(3)} ·{" "}
      {percent(Math.exp(token.logprob), 2)}
    </>
  );
}

/** What the colours say. */
export function TokenLegend() {
  return (
    <div class="row rollouts-legend" role="note" aria-label="Colours of tokens by their probability">
      <span class="muted">Probability when sampled:</span>
      {LEVELS.map((level, index) => (
        <span key={level.words} class={`token level-${index} rollouts-legend-entry`}>
          {level.words}
        </span>
      ))}
    </div>
  );
}
