/** How sure the model was of each token, in steps that one can tell apart. */

/** Probabilities at which a token becomes one step more surprising; the last has no lower end. */
export const LEVELS = [
  { least: 0.9, words: "90 % and more" },
  { least: 0.5, words: "50 to 90 %" },
  { least: 0.1, words: "10 to 50 %" },
  { least: 0.01, words: "1 to 10 %" },
  { least: 0, words: "less than 1 %" },
] as const;

/** 0 for what the model was sure of, up to 4 for what it hardly expected itself. */
export function levelOf(logprob: number): number {
  const probability = Math.exp(logprob);
  return LEVELS.findIndex((level) => probability >= level.least);
}

export interface ShownToken {
  /** Place among all tokens of the completion. */
  index: number;
  text: string;
  logprob: number;
}

/**
 * Tokens with text of their own. One that wrote only part of a character is shown with the one that completed it, and
 * the less likely of the two counts.
 */
export function shownTokens(pieces: readonly string[], logprobs: readonly number[]): ShownToken[] {
  const shown: ShownToken[] = [];
  let waiting = 0;
  for (const [index, text] of pieces.entries()) {
    const logprob = logprobs[index] ?? 0;
    if (!text) waiting = Math.min(waiting, logprob);
    else {
      shown.push({ index, text, logprob: Math.min(waiting, logprob) });
      waiting = 0;
    }
  }
  return shown;
}

/** A token as one can read it: blanks and line ends are made visible. */
export function visible(text: string): string {
  return text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "∅";
}
