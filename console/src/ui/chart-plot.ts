/** uPlot with our looks: made once per shape of a chart; new numbers, zoom, cursor and theme change it in place. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { token } from "../lib/theme";
import { type Shape, seriesOf } from "./chart-series";

const AXIS_FONT = '11px system-ui, "Segoe UI", sans-serif';

/** Where the pointer last was: charts that scroll below it while it stands still are not pointed at. */
const pointer = { x: -1, y: -1 };
addEventListener("pointermove", ({ screenX, screenY }) => Object.assign(pointer, { x: screenX, y: screenY }));

export interface Events {
  onPoint: (at: number | null) => void;
  onZoom: (range: readonly [number, number] | null) => void;
  /** The plot's inner frame in its element, whenever it was drawn anew. */
  onFrame: (frame: Frame) => void;
}

export interface Frame {
  left: number;
  width: number;
  min: number;
  max: number;
}

export interface Rule {
  at: number;
  color: string;
}

export class Plot {
  private readonly plot: uPlot;
  private rules: readonly Rule[] = [];
  private domain: readonly [number, number] = [0, 1];

  constructor(
    host: HTMLElement,
    shape: Shape,
    private readonly events: Events,
  ) {
    const { series, bands } = seriesOf(shape);
    this.plot = new uPlot(
      {
        width: Math.max(120, host.clientWidth),
        height: shape.height,
        legend: { show: false },
        padding: [8, 16, 0, 0],
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: true, y: false, setScale: false },
          bind: {
            dblclick: () => () => {
              events.onZoom(null);
              return null;
            },
          },
        },
        scales: {
          x: { time: false, range: (_, min, max) => (min === max ? [min - 0.5, max + 0.5] : [min, max]) },
          y: { distr: shape.isLog ? 3 : 1, ...(shape.isStacked ? { range: fromZero } : {}) },
        },
        axes: [
          { ...axis(shape.sayX, { size: 24, space: 60 }), ...(shape.strides ? { incrs: [...shape.strides] } : {}) },
          axis(shape.sayY, { size: 54, space: 28 }),
        ],
        series: [{}, ...series],
        bands,
        hooks: {
          setSelect: [(plot) => this.selected(plot)],
          drawClear: [(plot) => this.drawRules(plot)],
          draw: [(plot) => this.framed(plot)],
        },
      },
      [[], ...series.map(() => [])] as unknown as uPlot.AlignedData,
      host,
    );
    const { over } = this.plot;
    over.addEventListener("pointermove", (event) => this.pointed(event));
    over.addEventListener("pointerdown", (event) => this.pointed(event));
    over.addEventListener("pointerleave", (event) => this.left(event));
  }

  /** Draw numbers; `range` null shows the whole `domain`. */
  show(data: uPlot.AlignedData, domain: readonly [number, number], range: readonly [number, number] | null): void {
    this.domain = domain;
    this.plot.batch(() => {
      this.plot.setData(data, false);
      this.zoom(range);
    });
  }

  zoom(range: readonly [number, number] | null): void {
    const [min, max] = range ?? this.domain;
    this.plot.setScale("x", { min, max });
  }

  /** Vertical lines behind the curves. */
  rule(rules: readonly Rule[]): void {
    this.rules = rules;
    this.plot.redraw(false);
  }

  point(at: number | null): void {
    this.plot.setCursor({ left: at === null ? -10 : this.plot.valToPos(at, "x"), top: 0 }, false);
  }

  /** Places on the horizontal axis in the part that is shown. */
  places(): number[] {
    const { min, max } = this.plot.scales.x as { min?: number; max?: number };
    return (this.plot.data[0] as number[]).filter((at) => at >= (min ?? -Infinity) && at <= (max ?? Infinity));
  }

  resize(width: number): void {
    if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: this.plot.height });
  }

  recolour(): void {
    this.plot.redraw(false, true);
  }

  destroy(): void {
    this.plot.destroy();
  }

  private pointed(event: PointerEvent): void {
    if (event.screenX === pointer.x && event.screenY === pointer.y && event.type === "pointermove") return;
    const left = event.clientX - this.plot.over.getBoundingClientRect().left;
    this.events.onPoint(this.plot.data[0][this.plot.posToIdx(left)] ?? null);
  }

  private left(event: PointerEvent): void {
    if (event.pointerType === "mouse") this.events.onPoint(null); // a finger that is lifted has chosen a place
  }

  private selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 4) return;
    this.events.onZoom([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  private drawRules(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.lineWidth = devicePixelRatio;
    for (const rule of this.rules) {
      const x = Math.round(plot.valToPos(rule.at, "x", true));
      if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue;
      ctx.strokeStyle = token(rule.color);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  private framed(plot: uPlot): void {
    const { min, max } = plot.scales.x as { min?: number; max?: number };
    if (min === undefined || max === undefined) return;
    const { left, width } = plot.bbox;
    this.events.onFrame({ left: left / devicePixelRatio, width: width / devicePixelRatio, min, max });
  }
}

function axis(say: (value: number) => string, look: { size: number; space: number }): uPlot.Axis {
  return {
    ...look,
    font: AXIS_FONT,
    gap: 4,
    stroke: () => token("--muted"),
    grid: { stroke: () => token("--grid"), width: 1 },
    ticks: { show: false },
    values: (_, splits) => splits.map((value) => (value === null ? "" : say(value))),
  };
}

/** Areas are compared by their size, so they stand on 0. */
function fromZero(_plot: uPlot, _min: number | null, max: number | null): [number, number] {
  return [0, (max ?? 1) * 1.05 || 1];
}
