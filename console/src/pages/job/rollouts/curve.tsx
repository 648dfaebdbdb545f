import { reward } from "../../../lib/format";

export interface CurvePoint {
  step: number;
  reward_mean: number | null;
  reward_min: number | null;
  reward_max: number | null;
}

interface CurveProps {
  points: readonly CurvePoint[];
  /** Steps to mark. */
  marked: readonly number[];
  label: string;
  height?: number;
  /** Also the span from the lowest to the highest reward of each step. */
  hasBand?: boolean;
  onStep?: ((step: number) => void) | undefined;
}

const WIDTH = 1000;

/** Mean reward by step; a click chooses the nearest step. */
export function Curve({ points, marked, label, height = 64, hasBand = false, onStep }: CurveProps) {
  const known = points.filter((point) => point.reward_mean !== null);
  const first = points[0];
  const last = points[points.length - 1];
  if (!first || !last || !known.length) return <p class="muted">No rewards yet.</p>;
  const low = Math.min(...known.map((point) => (hasBand ? point.reward_min : null) ?? point.reward_mean!));
  const high = Math.max(...known.map((point) => (hasBand ? point.reward_max : null) ?? point.reward_mean!));
  const x = (step: number) =>
    last.step === first.step ? WIDTH / 2 : ((step - first.step) / (last.step - first.step)) * WIDTH;
  const y = (value: number) => height - 4 - ((value - low) / (high - low || 1)) * (height - 8);
  const upper = known.map((point) => `${x(point.step).toFixed(1)},${y(point.reward_max ?? 0).toFixed(1)}`);
  const lower = known.map((point) => `${x(point.step).toFixed(1)},${y(point.reward_min ?? 0).toFixed(1)}`).reverse();
  const mean = known.map((point) => `${x(point.step).toFixed(1)},${y(point.reward_mean!).toFixed(1)}`);
  const ends = [known[0]!, known[known.length - 1]!];
  const words = `${label}: ${reward(ends[0]!.reward_mean)} at step ${ends[0]!.step}, ${reward(ends[1]!.reward_mean)} at step ${ends[1]!.step}; all between ${reward(low)} and ${reward(high)}.`;

  function choose(event: MouseEvent): void {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    const nearest = points.reduce((best, point) =>
      Math.abs(x(point.step) - at) < Math.abs(x(best.step) - at) ? point : best,
    );
    onStep?.(nearest.step);
  }

  return (
    <div class="rollouts-curve">
      <div class="rollouts-curve-scale num" aria-hidden="true">
        <span>{reward(high)}</span>
        <span>{reward(low)}</span>
      </div>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: by keyboard, the slider above does the same */}
      <svg
        viewBox={`0 0 ${WIDTH} ${height}`}
        preserveAspectRatio="none"
        style={{ height: `${height}px`, cursor: onStep ? "pointer" : "default" }}
        role="img"
        aria-label={words}
        onClick={onStep && choose}
      >
        {hasBand && <polygon points={[...upper, ...lower].join(" ")} fill="var(--series-1)" opacity="0.14" />}
        {known.length > 1 && (
          <polyline
            points={mean.join(" ")}
            fill="none"
            stroke="var(--series-1)"
            stroke-width="1.75"
            vector-effect="non-scaling-stroke"
          />
        )}
        {marked.map((step) => (
          <line
            key={step}
            x1={x(step)}
            x2={x(step)}
            y1="0"
            y2={height}
            stroke="var(--series-2)"
            stroke-width="2"
            vector-effect="non-scaling-stroke"
          />
        ))}
      </svg>
    </div>
  );
}
