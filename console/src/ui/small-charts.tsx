/** Charts without axes to play with: drawn as SVG, each with its words. */

import { number } from "../lib/format";

interface SparklineProps {
  values: readonly (number | null)[];
  /** Read out, such as "Reward over 120 steps, now 0.81". */
  label: string;
  width?: number;
  height?: number;
}

export function Sparkline({ values, label, width = 96, height = 24 }: SparklineProps) {
  const known = values.filter((value): value is number => value !== null && Number.isFinite(value));
  if (known.length < 2) return <span class="muted">–</span>;
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const points = values
    .map((value, index) =>
      value === null
        ? null
        : `${((index / (values.length - 1)) * width).toFixed(1)},${(height - 2 - ((value - low) / span) * (height - 4)).toFixed(1)}`,
    )
    .filter(Boolean);
  return (
    <svg
      class="sparkline"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
    >
      <polyline
        points={points.join(" ")}
        fill="none"
        stroke="var(--series-1)"
        stroke-width="1.5"
        stroke-linejoin="round"
      />
    </svg>
  );
}

export interface Bin {
  from: number;
  to: number;
  count: number;
}

interface HistogramProps {
  bins: readonly Bin[];
  label: string;
  unit?: string;
  /** A limit to draw as a line. */
  mark?: { at: number; label: string } | undefined;
}

const WIDTH = 480;
const HEIGHT = 120;

export function Histogram({ bins, label, unit = "", mark }: HistogramProps) {
  const first = bins[0];
  const last = bins[bins.length - 1];
  if (!first || !last) return <p class="muted">Nothing to draw.</p>;
  const most = Math.max(...bins.map((bin) => bin.count), 1);
  const high = Math.max(last.to, mark?.at ?? last.to);
  const x = (value: number) => ((value - first.from) / (high - first.from || 1)) * WIDTH;
  const total = bins.reduce((sum, bin) => sum + bin.count, 0);
  return (
    <figure>
      <svg
        class="histogram"
        viewBox={`0 0 ${WIDTH} ${HEIGHT + 18}`}
        role="img"
        aria-label={`${label}: ${total} in all, from ${number(first.from)} to ${number(last.to)} ${unit}`}
      >
        {bins.map((bin) => (
          <rect
            key={bin.from}
            x={x(bin.from) + 0.5}
            y={HEIGHT - (bin.count / most) * (HEIGHT - 6)}
            width={Math.max(1, x(bin.to) - x(bin.from) - 1)}
            height={(bin.count / most) * (HEIGHT - 6)}
            fill="var(--series-1)"
          >
            <title>{`${number(bin.from)} to ${number(bin.to)} ${unit}: ${bin.count}`}</title>
          </rect>
        ))}
        <line x1="0" x2={WIDTH} y1={HEIGHT} y2={HEIGHT} stroke="var(--border-strong)" />
        {mark && (
          <g>
            <line x1={x(mark.at)} x2={x(mark.at)} y1="0" y2={HEIGHT} stroke="var(--bad)" stroke-dasharray="4 3" />
            <text x={Math.min(x(mark.at), WIDTH - 4)} y="10" text-anchor="end" font-size="11" fill="var(--bad)">
              {mark.label}
            </text>
          </g>
        )}
        <text x="0" y={HEIGHT + 14} font-size="11" fill="var(--muted)">
          {number(first.from)}
        </text>
        <text x={WIDTH} y={HEIGHT + 14} text-anchor="end" font-size="11" fill="var(--muted)">
          {`${number(high)} ${unit}`}
        </text>
      </svg>
    </figure>
  );
}
