/** Numbers of charts: smoothing, putting lines on one axis, and their text alternative. */

export type Value = number | null;

/** One quantity of a chart. */
export interface Line {
  label: string;
  x: readonly number[];
  y: readonly Value[];
  /** Token of its colour, such as `--series-1`. */
  color: string;
  dashed?: boolean;
  /** Few points: each is drawn. */
  dots?: boolean;
  /** Noisy: drawn faintly with its smoothed values over it. */
  isNoisy?: boolean;
  /** Of its own values nothing is drawn once they are smoothed. */
  onlySmoothed?: boolean;
  /** Ends of an interval around it. */
  band?: { low: readonly Value[]; high: readonly Value[] } | undefined;
}

/** Exponential moving average without the pull of its start: weight 0 changes nothing, 0.99 leaves only the trend. */
export function smoothed(values: readonly Value[], weight: number): Value[] {
  let sum = 0;
  let mass = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + value * (1 - weight);
    mass = mass * weight + (1 - weight);
    return sum / mass;
  });
}

/**
 * The interval around a moving average. An average over w's window is that of (1 + w) / (1 - w) times as many values,
 * so it is known better than each of them by the root of that.
 */
export function smoothedBand(line: Line, weight: number): { low: Value[]; high: Value[] } {
  const middle = smoothed(line.y, weight);
  const share = Math.sqrt((1 - weight) / (1 + weight));
  const end = (ends: readonly Value[]) => {
    const reach = line.y.map((value, index) => (value === null || ends[index] == null ? null : ends[index]! - value));
    return smoothed(reach, weight).map((value, index) =>
      value === null || middle[index] == null ? null : middle[index]! + value * share,
    );
  };
  return { low: end(line.band!.low), high: end(line.band!.high) };
}

/** Columns with axes of their own as one table: the union of the axes, and gaps where a column has no point. */
export function aligned(columns: readonly { x: readonly number[]; y: readonly Value[] }[]): [number[], ...Value[][]] {
  const axes = [...new Set(columns.map((column) => column.x))];
  const first = axes[0] ?? [];
  if (axes.length <= 1) return [first as number[], ...columns.map((column) => column.y as Value[])];
  const x = [...new Set(axes.flat())].sort((a, b) => a - b);
  const places = new Map(axes.map((axis) => [axis, placesOf(axis, x)]));
  return [
    x,
    ...columns.map((column) => {
      const spread: Value[] = new Array(x.length).fill(null);
      const place = places.get(column.x)!;
      for (let index = 0; index < place.length; index++) spread[place[index]!] = column.y[index] ?? null;
      return spread;
    }),
  ];
}

function placesOf(axis: readonly number[], all: readonly number[]): number[] {
  let place = 0;
  return axis.map((value) => {
    if (all[place]! > value) place = 0; // an axis that turns back, as clocks may
    while (all[place]! < value) place += 1;
    return place;
  });
}

/** Each line on top of those before it. */
export function stacked(lines: readonly Line[]): Line[] {
  let below: readonly Value[] | null = null;
  return lines.map((line) => {
    const base: readonly Value[] | null = below;
    const y = line.y.map((value, index) => (value === null ? null : value + (base?.[index] ?? 0)));
    below = y;
    return { ...line, y };
  });
}

/** Index of the point of a line that is nearest to a place; -1 when there is none. */
export function nearest(line: Pick<Line, "x" | "y">, at: number): number {
  let low = 0;
  let high = line.x.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (line.x[middle]! < at) low = middle + 1;
    else high = middle;
  }
  let before = low - 1;
  let after = low;
  while (before >= 0 && line.y[before] === null) before -= 1;
  while (after < line.x.length && line.y[after] == null) after += 1;
  if (after >= line.x.length) return before;
  if (before < 0) return after;
  return at - line.x[before]! <= line.x[after]! - at ? before : after;
}

/** Whether a line has anything to draw. */
export function hasValues(line: Pick<Line, "y">): boolean {
  return line.y.some((value) => value !== null);
}

type Told = (value: number) => string;

/** A chart in words: where each line begins, where it ends, and its extremes. */
export function inWords(title: string, lines: readonly Line[], sayX: Told, sayY: Told): string {
  const said = lines.flatMap((line) => {
    const ends = endsOf(line.y);
    if (!ends) return [];
    const [first, last, low, high] = ends.map((index) => `${sayY(line.y[index]!)} at ${sayX(line.x[index]!)}`);
    if (ends[0] === ends[1]) return [`${line.label} ${first}`];
    return [`${line.label} from ${first} to ${last}, lowest ${low}, highest ${high}`];
  });
  return `${title}: ${said.join("; ") || "no values"}.`;
}

/** Places of the first, last, lowest and highest value; null when there is none. */
function endsOf(values: readonly Value[]): [number, number, number, number] | null {
  let first = -1;
  let last = -1;
  let low = -1;
  let high = -1;
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? null;
    if (value === null) continue;
    if (first < 0) first = low = high = index;
    last = index;
    if (value < values[low]!) low = index;
    if (value > values[high]!) high = index;
  }
  return first < 0 ? null : [first, last, low, high];
}

/** At most `most` entries of a list, evenly, the first and the last among them. */
export function thinned<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  const stride = (list.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, index) => list[Math.round(index * stride)]!);
}

/** A table as CSV; texts are quoted, so that no spreadsheet takes them for formulas that end a cell. */
export function csv(head: readonly string[], rows: readonly (readonly Value[])[]): string {
  const quoted = head.map((name) => `"${name.replaceAll('"', '""').replace(/^[=+\-@\t\r]/, "'$&")}"`);
  return [quoted.join(","), ...rows.map((row) => row.map((value) => value ?? "").join(","))].join("\n");
}
