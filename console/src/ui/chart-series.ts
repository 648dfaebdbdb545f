/** The lines of a chart as uPlot takes them: its series, their looks and their numbers. */

import type uPlot from "uplot";
import { token } from "../lib/theme";
import { aligned, type Line, smoothed, smoothedBand, stacked, type Value } from "./chart-data";

const LEAST_SMOOTHED = 8;
/** Points from which on the values behind their average are drawn more faintly. */
const DENSE = 1000;

/** What a plot cannot change once it is made. */
export interface Shape {
  lines: readonly Pick<Line, "label" | "color" | "dashed" | "dots" | "onlySmoothed">[];
  /** Per line. */
  parts: readonly { isSmoothed: boolean; hasBand: boolean; isDense: boolean }[];
  isStacked: boolean;
  isLog: boolean;
  height: number;
  sayX: (value: number) => string;
  sayY: (value: number) => string;
  strides?: readonly number[] | undefined;
}

export function shapeOf(lines: readonly Line[], smoothing: number, isStacked: boolean): Shape["parts"] {
  return lines.map((line) => ({
    isSmoothed: !isStacked && smoothing > 0 && !!line.isNoisy && line.x.length >= LEAST_SMOOTHED,
    hasBand: !isStacked && !!line.band,
    isDense: line.x.length > DENSE,
  }));
}

/** The columns of a plot, in the order of its series. */
export function columnsOf(
  lines: readonly Line[],
  parts: Shape["parts"],
  smoothing: number,
  options: { isStacked: boolean; isLog: boolean },
): uPlot.AlignedData {
  const shown = options.isStacked ? stacked(lines) : lines;
  const columns: { x: readonly number[]; y: readonly Value[] }[] = [];
  for (const [index, line] of shown.entries()) {
    const { isSmoothed, hasBand } = parts[index]!;
    const band = isSmoothed && hasBand ? smoothedBand(line, smoothing) : line.band;
    if (hasBand && band) columns.push({ x: line.x, y: band.low }, { x: line.x, y: band.high });
    if (isSmoothed && !line.onlySmoothed) columns.push({ x: line.x, y: line.y });
    columns.push({ x: line.x, y: isSmoothed ? smoothed(line.y, smoothing) : line.y });
  }
  const [x, ...ys] = aligned(columns);
  const known = options.isLog ? ys.map((y) => y.map((value) => (value !== null && value > 0 ? value : null))) : ys;
  return [x, ...known] as uPlot.AlignedData;
}

export function seriesOf(shape: Shape): { series: uPlot.Series[]; bands: uPlot.Band[] } {
  const series: uPlot.Series[] = [];
  const bands: uPlot.Band[] = [];
  const hidden: uPlot.Series = { spanGaps: true, points: { show: false } };
  for (const [index, line] of shape.lines.entries()) {
    const { isSmoothed, hasBand, isDense } = shape.parts[index]!;
    if (hasBand) {
      // An end near 0 would take most of a logarithmic axis.
      series.push({ ...hidden, width: 0, auto: !shape.isLog }, { ...hidden, width: 0, auto: !shape.isLog });
      bands.push({ series: [series.length, series.length - 1], fill: () => faint(line.color, "26") });
    }
    const main: uPlot.Series = {
      label: line.label,
      spanGaps: true,
      width: 1.75,
      stroke: () => token(line.color),
      points: line.dots ? { show: true, size: 5, fill: () => token(line.color) } : { show: false },
      ...(line.dashed ? { dash: [6, 4] } : {}),
    };
    if (isSmoothed && !line.onlySmoothed)
      series.push({ ...hidden, width: 1, stroke: () => faint(line.color, isDense ? "2e" : "55") });
    series.push(main);
    if (shape.isStacked) {
      if (index === 0) main.fill = () => faint(line.color, "66");
      else bands.push({ series: [series.length, series.length - 1], fill: () => faint(line.color, "66") });
    }
  }
  return { series, bands };
}

/** A token's colour, #rrggbb, with an opacity of two hexadecimal digits. */
function faint(name: string, opacity: string): string {
  return token(name) + opacity;
}
