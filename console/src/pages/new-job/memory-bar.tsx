import { bytes, percent } from "../../lib/format";

interface Part {
  name: string;
  bytes: number;
}

interface MemoryBarProps {
  label: string;
  needed: number;
  /** Null: unknown. */
  limit: number | null;
  fits: boolean;
  /** Of what is needed, the largest first. */
  parts?: readonly Part[];
}

/** Memory that is needed against what there is. */
export function MemoryBar({ label, needed, limit, fits, parts }: MemoryBarProps) {
  const whole = Math.max(needed, limit ?? needed) || 1;
  const words = limit === null ? bytes(needed) : `${bytes(needed)} of ${bytes(limit)}`;
  const shown = parts?.length ? parts : [{ name: label, bytes: needed }];
  return (
    <div class="stack memory">
      <div class="row spread">
        <span class="muted">{label}</span>
        <span class="num">
          {words}
          {limit !== null && needed > limit && ` (${percent(needed / limit, 0)})`}
        </span>
      </div>
      <svg
        class="memory-bar"
        viewBox="0 0 100 8"
        preserveAspectRatio="none"
        role="img"
        aria-label={`${label}: ${words}`}
      >
        <rect width="100" height="8" fill="var(--sunken)" />
        {stacked(shown).map((part, index) => (
          <rect
            key={part.name}
            x={(part.from / whole) * 100}
            width={Math.max(0.2, (part.bytes / whole) * 100)}
            height="8"
            fill={fits ? `var(--series-${(index % 8) + 1})` : "var(--bad)"}
          >
            <title>{`${part.name}: ${bytes(part.bytes)}`}</title>
          </rect>
        ))}
        {limit !== null && limit < whole && (
          <rect x={(limit / whole) * 100} width="0.6" height="8" fill="var(--text)" />
        )}
      </svg>
    </div>
  );
}

function stacked(parts: readonly Part[]): (Part & { from: number })[] {
  let from = 0;
  return parts.map((part) => {
    const placed = { ...part, from };
    from += part.bytes;
    return placed;
  });
}
