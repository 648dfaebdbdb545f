import type { Frame } from "./chart-plot";

/** Something that happened at a place of the horizontal axis. */
export interface Mark {
  id: string;
  at: number;
  tone: "info" | "warn" | "bad";
  text: string;
}

interface MarksProps {
  marks: readonly Mark[];
  frame: Frame;
  sayX: (value: number) => string;
}

const ORDER: readonly Mark["tone"][] = ["info", "warn", "bad"];
/** Pixels between marks; nearer ones become one, or the later would cover the earlier. */
const APART = 18;

/** Says what happened where the rules of a chart stand. */
export function ChartMarks({ marks, frame, sayX }: MarksProps) {
  const groups = grouped(marks, frame);
  if (!groups.length) return null;
  return (
    <div class="chart-marks" style={{ left: `${frame.left}px`, width: `${frame.width}px` }}>
      {groups.map(({ left, marks: here }) => {
        const tone = ORDER[Math.max(...here.map((mark) => ORDER.indexOf(mark.tone)))];
        return (
          <button
            key={here[0]!.id}
            type="button"
            class={`chart-mark ${tone} ${left > frame.width / 2 ? "to-left" : ""}`}
            style={{ left: `${left}px` }}
            aria-label={here.map((mark) => `${sayX(mark.at)}: ${mark.text}`).join(" ")}
          >
            <span class="chart-words" aria-hidden="true">
              {here.map((mark) => (
                <span key={mark.id}>
                  <strong class="num">{sayX(mark.at)}</strong> {mark.text}
                </span>
              ))}
            </span>
          </button>
        );
      })}
    </div>
  );
}

interface Group {
  /** Pixels from the left end of the plot. */
  left: number;
  marks: Mark[];
}

/** The marks that are in sight, from left to right, with their neighbours. */
export function grouped(marks: readonly Mark[], { min, max, width }: Frame): Group[] {
  const inside = marks.filter((mark) => mark.at >= min && mark.at <= max).sort((a, b) => a.at - b.at);
  const groups: Group[] = [];
  for (const mark of inside) {
    const left = ((mark.at - min) / (max - min || 1)) * width;
    const last = groups[groups.length - 1];
    if (last && left - last.left < APART) last.marks.push(mark);
    else groups.push({ left, marks: [mark] });
  }
  return groups;
}
