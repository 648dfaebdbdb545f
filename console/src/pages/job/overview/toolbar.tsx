import { useEffect } from "preact/hooks";
import { search, setQuery } from "../../../lib/router";
import { Button } from "../../../ui/button";
import type { ChartBoard } from "../../../ui/chart-board";
import { Field, SelectField } from "../../../ui/field";
import { AXES, type Axis } from "./lines";
import { weightFor } from "./weight";

/** The axis that the address names. */
export function axisNow(): Axis {
  const found = search.value.get("x");
  return AXES.find((axis) => axis.value === found)?.value ?? "step";
}

/** Smoothing and scale as the address has them, so that a link shows the same curves. */
export function useBoardFromAddress(board: ChartBoard, steps: number): void {
  const smooth = search.value.get("smooth");
  const isLog = search.value.get("log") === "1";
  const usual = weightFor(steps);
  useEffect(() => {
    const weight = Number(smooth);
    board.smoothing.value = smooth !== null && weight >= 0 && weight <= 0.99 ? weight : usual;
    board.isLog.value = isLog;
  }, [board, smooth, isLog, usual]);
}

export function Toolbar({ board, onCompare }: { board: ChartBoard; onCompare: () => void }) {
  const smoothing = board.smoothing.value;
  const isZoomed = board.range.value !== null;

  function setAxis(axis: string): void {
    board.range.value = null;
    board.cursor.value = null;
    setQuery({ x: axis === "step" ? null : axis });
  }

  return (
    <div class="job-toolbar">
      <div class="job-axis">
        <SelectField label="Horizontal axis" hideLabel value={axisNow()} onValue={setAxis} options={AXES} />
      </div>
      <div class="job-smoothing">
        <Field label="Smoothing">
          {(wiring) => (
            <input
              type="range"
              min="0"
              max="0.99"
              step="0.01"
              value={smoothing}
              aria-valuetext={smoothing === 0 ? "none" : smoothing.toFixed(2)}
              onInput={(event) => {
                board.smoothing.value = event.currentTarget.valueAsNumber;
              }}
              onChange={(event) => setQuery({ smooth: String(event.currentTarget.valueAsNumber) })}
              {...wiring}
            />
          )}
        </Field>
        <span class="num muted">{smoothing.toFixed(2)}</span>
      </div>
      <Button
        size="small"
        aria-pressed={board.isLog.value}
        onClick={() => setQuery({ log: board.isLog.value ? null : "1" })}
      >
        Log scale
      </Button>
      <Button
        size="small"
        disabled={!isZoomed}
        onClick={() => {
          board.range.value = null;
        }}
      >
        Reset zoom
      </Button>
      <span class="grow" />
      <Button size="small" onClick={onCompare}>
        Compare jobs
      </Button>
    </div>
  );
}
