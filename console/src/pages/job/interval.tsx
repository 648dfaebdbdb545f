import { reward } from "../../lib/format";

const WIDTH = 320;
const HEIGHT = 30;
const MARGIN = 8;

/** A difference with its 95 % interval, against none at all. */
export function IntervalMark({ low, high, value }: { low: number; high: number; value: number }) {
  const first = Math.min(0, low);
  const span = Math.max(0, high) - first || 1;
  const x = (at: number) => MARGIN + ((at - first) / span) * (WIDTH - 2 * MARGIN);
  const isClear = low > 0 || high < 0;
  const colour = isClear ? (low > 0 ? "var(--good)" : "var(--bad)") : "var(--muted)";
  return (
    <figure class="job-interval">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`Difference ${reward(value, { signed: true })}, 95 % interval ${reward(low, { signed: true })} to ${reward(high, { signed: true })}`}
      >
        <line x1={x(0)} x2={x(0)} y1="2" y2={HEIGHT - 2} stroke="var(--border-strong)" stroke-dasharray="3 3" />
        <line x1={x(low)} x2={x(high)} y1={HEIGHT / 2} y2={HEIGHT / 2} stroke={colour} stroke-width="3" />
        {[low, high].map((end) => (
          <line key={end} x1={x(end)} x2={x(end)} y1="9" y2={HEIGHT - 9} stroke={colour} stroke-width="2" />
        ))}
        <circle cx={x(value)} cy={HEIGHT / 2} r="5" fill={colour} />
      </svg>
      <figcaption class="muted num">
        95 % interval {reward(low, { signed: true })} to {reward(high, { signed: true })}; the dashed line is no
        difference
      </figcaption>
    </figure>
  );
}
