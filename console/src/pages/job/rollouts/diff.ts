/** Which words two texts share. */

export interface Part {
  kind: "same" | "removed" | "added";
  text: string;
}

/** Words beyond which two texts are only told to differ; the table below would grow too large. */
export const MOST_WORDS = 1500;

/** Words and what stands between them, so that joined they are the text. */
export function wordsOf(text: string): string[] {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
}

/** The second text as changes to the first, by their longest common subsequence of words. */
export function difference(before: string, after: string): Part[] {
  const a = wordsOf(before);
  const b = wordsOf(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const parts: Part[] = [];
  push(parts, "same", a.slice(0, start));
  middle(parts, a.slice(start, a.length - end), b.slice(start, b.length - end));
  push(parts, "same", a.slice(a.length - end));
  return parts;
}

function middle(parts: Part[], a: string[], b: string[]): void {
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) {
    push(parts, "removed", a);
    push(parts, "added", b);
    return;
  }
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      longest[i * width + j] =
        a[i] === b[j]
          ? longest[(i + 1) * width + j + 1]! + 1
          : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      push(parts, "same", [a[i]!]);
      i += 1;
      j += 1;
    } else if (longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!) push(parts, "removed", [a[i++]!]);
    else push(parts, "added", [b[j++]!]);
  }
  push(parts, "removed", a.slice(i));
  push(parts, "added", b.slice(j));
}

function push(parts: Part[], kind: Part["kind"], words: readonly string[]): void {
  if (!words.length) return;
  const last = parts[parts.length - 1];
  const text = words.join("");
  if (last?.kind === kind) last.text += text;
  else parts.push({ kind, text });
}
