import type { ChartBoard } from "./chart-board";
import { type Line, nearest } from "./chart-data";

interface LegendProps {
  lines: readonly Line[];
  board: ChartBoard;
  sayX: (value: number) => string;
  sayY: (value: number) => string;
  /** The names stand elsewhere: only colours and values. */
  isBrief?: boolean;
}

/** The lines' names, with their values at the cursor, or their newest. */
export function ChartLegend({ lines, board, sayX, sayY, isBrief }: LegendProps) {
  const at = board.cursor.value?.at ?? null;
  return (
    <div class="chart-legend">
      <span class="num muted chart-place">{at === null ? "newest" : sayX(at)}</span>
      {lines.map((line) => {
        const index = nearest(line, at ?? Number.POSITIVE_INFINITY);
        const value = line.y[index];
        return (
          <span key={line.label} class="chart-entry" title={isBrief ? line.label : undefined}>
            <Swatch line={line} />
            <span class={isBrief ? "visually-hidden" : "truncate"}>{line.label}</span>
            <strong class="num">{value == null ? "–" : sayY(value)}</strong>
          </span>
        );
      })}
    </div>
  );
}

export function Swatch({ line }: { line: Pick<Line, "color" | "dashed" | "dots"> }) {
  return (
    <svg width="16" height="8" viewBox="0 0 16 8" aria-hidden="true">
      <line
        x1="0"
        x2="16"
        y1="4"
        y2="4"
        stroke={`var(${line.color})`}
        stroke-width="2"
        stroke-dasharray={line.dashed ? "4 3" : undefined}
      />
      {line.dots && <circle cx="8" cy="4" r="3" fill={`var(${line.color})`} />}
    </svg>
  );
}
