/** What changed between two texts, line by line. */

export interface DiffLine {
  kind: "same" | "added" | "removed";
  text: string;
}

const MOST_CELLS = 4_000_000;

/** The shortest way from one text to another; very long texts with little in common are shown as replaced. */
export function diffLines(before: string, after: string): DiffLine[] {
  const old = before.replace(/\n$/, "").split("\n");
  const now = after.replace(/\n$/, "").split("\n");
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const tail = end ? old.slice(-end) : [];
  return [
    ...lines("same", old.slice(0, start)),
    ...middle(old.slice(start, old.length - end), now.slice(start, now.length - end)),
    ...lines("same", tail),
  ];
}

/** The lines with few around each change; null stands for lines that are left out. */
export function withContext(diff: readonly DiffLine[], around = 3): (DiffLine | null)[] {
  const isNear = diff.map((_, index) =>
    diff.slice(Math.max(0, index - around), index + around + 1).some((line) => line.kind !== "same"),
  );
  const shown: (DiffLine | null)[] = [];
  for (const [index, line] of diff.entries()) {
    if (isNear[index]) shown.push(line);
    else if (shown.at(-1) !== null) shown.push(null);
  }
  return shown;
}

function lines(kind: DiffLine["kind"], texts: readonly string[]): DiffLine[] {
  return texts.map((text) => ({ kind, text }));
}

function middle(old: readonly string[], now: readonly string[]): DiffLine[] {
  if (old.length * now.length > MOST_CELLS) return [...lines("removed", old), ...lines("added", now)];
  // Length of the longest common subsequence of what follows each pair of places.
  const width = now.length + 1;
  const common = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      common[i * width + j] =
        old[i] === now[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const found: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length && j < now.length) {
    if (old[i] === now[j]) {
      found.push({ kind: "same", text: old[i]! });
      i += 1;
      j += 1;
    } else if (common[(i + 1) * width + j]! >= common[i * width + j + 1]!) {
      found.push({ kind: "removed", text: old[i]! });
      i += 1;
    } else {
      found.push({ kind: "added", text: now[j]! });
      j += 1;
    }
  }
  return [...found, ...lines("removed", old.slice(i)), ...lines("added", now.slice(j))];
}
