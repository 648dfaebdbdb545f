import { plural, reward } from "../../../lib/format";

interface DotsProps {
  rewards: readonly (number | null)[];
  /** Both ends of the line; the same for all prompts of a step. */
  low: number;
  high: number;
  width?: number;
}

const HEIGHT = 16;
const INSET = 7;

/** Rewards of a group as dots on a line. */
export function Dots({ rewards, low, high, width = 112 }: DotsProps) {
  const known = rewards.filter((value): value is number => value !== null);
  const x = (value: number) => INSET + ((value - low) / (high - low || 1)) * (width - 2 * INSET);
  const missing = rewards.length - known.length;
  const words = known.length
    ? `${plural(known.length, "reward")} from ${reward(Math.min(...known))} to ${reward(Math.max(...known))}`
    : "no rewards";
  return (
    <svg
      class="rollouts-dots"
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={words + (missing ? `, ${missing} not scored` : "")}
    >
      <line x1={INSET} x2={width - INSET} y1={HEIGHT / 2} y2={HEIGHT / 2} stroke="var(--border-strong)" opacity="0.5" />
      {[...heaps(known)].map(([value, amount]) => (
        <circle
          key={value}
          cx={x(value)}
          cy={HEIGHT / 2}
          r={2.5 + Math.min(4, Math.sqrt(amount))}
          fill="var(--series-1)"
          fill-opacity="0.55"
          stroke="var(--series-1)"
        />
      ))}
    </svg>
  );
}

/** How often each reward came; larger dots stand for more of them. */
function heaps(rewards: readonly number[]): Map<number, number> {
  const found = new Map<number, number>();
  for (const value of rewards) found.set(value, (found.get(value) ?? 0) + 1);
  return found;
}
