import { effect } from "@preact/signals";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { isDark } from "../lib/theme";
import { Button } from "./button";
import "./chart.css";
import type { ChartBoard } from "./chart-board";
import { hasValues, inWords, type Line, nearest } from "./chart-data";
import { CHART_KEYS, moved, zoomed } from "./chart-keys";
import { ChartLegend } from "./chart-legend";
import { ChartMarks, type Mark } from "./chart-marks";
import { type Frame, Plot, type Rule } from "./chart-plot";
import { columnsOf, type Shape, shapeOf } from "./chart-series";
import { ChartTable } from "./chart-table";

export interface ChartProps {
  id: string;
  title: string;
  /** Stands beside the title; "" where values say it themselves. */
  unit?: string;
  /** How to read it: a sentence. */
  reading: string;
  lines: readonly Line[];
  /** Ends of the horizontal axis when nothing is zoomed. */
  domain: readonly [number, number];
  board: ChartBoard;
  sayX: (value: number) => string;
  /** Short, for the axis. */
  tickX: (value: number) => string;
  /** Distances that ticks of the horizontal axis may have. */
  strides?: readonly number[] | undefined;
  sayY: (value: number) => string;
  tickY: (value: number) => string;
  nameX: string;
  isStacked?: boolean;
  marks?: readonly Mark[];
  height?: number;
  /** The page names the lines for all its charts. */
  isBrief?: boolean;
}

const COLOURS = { info: "--border-strong", warn: "--warn", bad: "--bad" } as const;

/** Id of a chart's element; names of metrics may be anything. */
export function chartElement(id: string): string {
  return `chart-${encodeURIComponent(id)}`;
}

/** Curves over one axis, linked with the other charts of its board. */
export function Chart(props: ChartProps) {
  const { id, title, unit = "", reading, lines, domain, board, isStacked = false, marks = [], height = 180 } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const told = useRef<HTMLDivElement>(null);
  const [isNear, setNear] = useState(false);
  const [frame, setFrame] = useState<Frame>();
  const [isTable, setTable] = useState(false);
  const readingId = useId();
  const smoothing = board.smoothing.value;
  const isLog = board.isLog.value && !isStacked;

  const shown = lines.filter(hasValues);
  const parts = shapeOf(shown, smoothing, isStacked);
  const shape: Shape = {
    lines: shown,
    parts,
    isStacked,
    isLog,
    height,
    sayX: props.tickX,
    sayY: props.tickY,
    strides: props.strides,
  };
  const signature = JSON.stringify([
    shown.map((line) => [line.label, line.color, line.dashed, line.dots, line.onlySmoothed]),
    [parts, isStacked, isLog, height, props.nameX],
  ]);

  useEffect(() => {
    const watch = new IntersectionObserver((entries) => setNear(entries.some((entry) => entry.isIntersecting)), {
      rootMargin: "300px",
    });
    watch.observe(host.current!);
    return () => watch.disconnect();
  }, []);

  const wasNear = useRef(false);
  wasNear.current ||= isNear;
  const isMade = wasNear.current;

  // Made anew only for another shape; whatever else changes is changed in it.
  useEffect(() => {
    if (!isMade) return;
    const element = host.current!;
    const made = new Plot(element, shape, {
      onPoint: (at) => {
        if (at !== null) board.cursor.value = { at, from: id };
        else if (board.cursor.value?.from === id) board.cursor.value = null;
      },
      onZoom: (range) => {
        board.range.value = range;
        board.cursor.value = null; // the same pixel is another place now
      },
      onFrame: (next) =>
        setFrame((before) => (before && JSON.stringify(before) === JSON.stringify(next) ? before : next)),
    });
    plot.current = made;
    const stops = [
      effect(() => {
        const cursor = board.cursor.value;
        if (cursor?.from !== id) made.point(cursor?.at ?? null);
      }),
      effect(() => made.zoom(board.range.value)),
      effect(() => {
        isDark.value;
        made.recolour();
      }),
    ];
    const size = new ResizeObserver(() => made.resize(element.clientWidth));
    size.observe(element);
    return () => {
      for (const stop of stops) stop();
      size.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [isMade, signature]);

  const data = useMemo(
    () => (isNear ? columnsOf(shown, parts, smoothing, { isStacked, isLog }) : null),
    // The lines are new whenever their numbers are.
    [isNear, lines, smoothing, signature],
  );
  const words = useMemo(
    () => inWords(unit ? `${title} in ${unit}` : title, shown, props.sayX, props.sayY),
    [lines, title, unit, props.nameX],
  );
  useEffect(() => {
    if (!data || !plot.current) return;
    plot.current.show(data, domain, board.range.peek());
    const cursor = board.cursor.peek();
    if (cursor && cursor.from !== id) plot.current.point(cursor.at);
  }, [data, domain[0], domain[1], signature, isMade]);
  useEffect(() => {
    plot.current?.rule(marks.map((mark): Rule => ({ at: mark.at, color: COLOURS[mark.tone] })));
  }, [marks, signature, isMade]);

  function onKeyDown(event: KeyboardEvent): void {
    if (!plot.current || !CHART_KEYS.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const places = plot.current.places();
    if (event.key === "Escape" || event.key === "0") {
      board.range.value = null;
      board.cursor.value = null;
      return;
    }
    const at = moved(places, board.cursor.value?.at ?? null, event);
    if (at === null) return;
    if (event.key === "+" || event.key === "-") {
      board.range.value = zoomed(board.range.value ?? domain, domain, at, event.key === "+" ? 0.5 : 2);
      return;
    }
    board.cursor.value = { at, from: "keyboard" };
    const here = marks.filter((mark) => mark.at === at).map((mark) => mark.text);
    told.current!.textContent = [props.sayX(at), ...valuesAt(shown, at, props.sayY), ...here].join(", ");
  }

  return (
    <figure class="chart" id={chartElement(id)}>
      <div class="chart-head">
        <h3>
          {title} {unit && <span class="chart-unit">{unit}</span>}
        </h3>
        <Button size="small" kind="quiet" onClick={() => setTable(true)} aria-label={`${title} as a table`}>
          Table
        </Button>
      </div>
      <ChartLegend lines={shown} board={board} sayX={props.sayX} sayY={props.sayY} isBrief={!!props.isBrief} />
      <div class="chart-body">
        <div
          class="chart-plot"
          style={{ "--height": `${height}px` }}
          role="img"
          aria-label={words}
          aria-describedby={readingId}
          tabIndex={0}
          onKeyDown={onKeyDown}
        >
          <div ref={host} />
        </div>
        {frame && <ChartMarks marks={marks} frame={frame} sayX={props.sayX} />}
      </div>
      <div ref={told} class="visually-hidden" aria-live="polite" />
      <figcaption id={readingId}>{reading}</figcaption>
      {isTable && (
        <ChartTable
          title={unit ? `${title}, ${unit}` : title}
          lines={shown}
          nameX={props.nameX}
          sayY={props.sayY}
          onClose={() => setTable(false)}
        />
      )}
    </figure>
  );
}

function valuesAt(lines: readonly Line[], at: number, say: (value: number) => string): string[] {
  return lines.flatMap((line) => {
    const value = line.y[nearest(line, at)];
    return value == null ? [] : [`${line.label} ${say(value)}`];
  });
}
