import type { TokenLogprob } from "./conversation";

/** How sure the model was, in five steps from certain to guessing. */
function step(logprob: number): number {
  const share = Math.exp(logprob);
  if (share >= 0.9) return 0;
  if (share >= 0.6) return 1;
  if (share >= 0.3) return 2;
  return share >= 0.1 ? 3 : 4;
}

function inWords(token: TokenLogprob): string {
  const line = (one: { token: string; logprob: number }) =>
    `${JSON.stringify(one.token)}: ${(Math.exp(one.logprob) * 100).toFixed(1)} %, log-prob ${one.logprob.toFixed(2)}`;
  const others = token.others.filter((other) => other.token !== token.token);
  return [line(token), ...(others.length ? ["Likely beside it:"] : []), ...others.map(line)].join("\n");
}

/** An answer token by token; the less likely a token was, the stronger its mark. */
export function Tokens({ tokens }: { tokens: readonly TokenLogprob[] }) {
  const mean = tokens.reduce((sum, token) => sum + token.logprob, 0) / tokens.length;
  return (
    <>
      <div class="playground-text">
        {tokens.map((token, index) => (
          <span key={index} class={`playground-token step-${step(token.logprob)}`} title={inWords(token)}>
            {token.token}
          </span>
        ))}
      </div>
      <p class="muted num">
        Mean log-prob {mean.toFixed(3)} nats over {tokens.length} tokens. Marked: tokens under 90, 60, 30 and 10 %
        probability.
      </p>
    </>
  );
}
