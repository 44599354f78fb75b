// Charts, drawn on a canvas by uPlot. Keyboards and screen readers have the same figures as a table.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { dateTime, language, number } from "../text";
import { text } from "./chart.text";
import "./chart.css";
import { Table } from "./layout";

export type Ink = "accent" | "second" | "muted" | "error" | "warning" | "success";

export interface ChartSeries {
  name: string;
  /** One for each x; `null` where there is none. */
  values: (number | null)[];
  kind?: "line" | "step" | "bar" | "points";
  ink?: Ink;
  dashed?: boolean;
  /** The ends of an interval around each value. */
  interval?: { low: (number | null)[]; high: (number | null)[] };
}

export interface ChartX {
  title: string;
  /** Ascending; milliseconds since 1970 if they are times. */
  values: number[];
  /** `time` in the reader's zone, `date` in UTC. */
  kind: "number" | "time" | "date";
  /** The distance of two values, where bars stand for periods. */
  step?: number;
  format?: (value: number) => string;
}

export interface ChartProps {
  title: string;
  x: ChartX;
  series: ChartSeries[];
  format?: (value: number) => string;
  height?: number;
  /** Whether the scale begins at zero; it does unless `false`. */
  fromZero?: boolean;
  /** Whether the values are counts: the scale then has no fractions. */
  counts?: boolean;
}

const COUNT_STEPS = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

const DAY = 86_400_000;

export function Chart(props: ChartProps) {
  const { title, x, series, height = 220 } = props;
  const format = props.format ?? ((value: number) => number(value, Math.abs(value) < 10 ? 2 : 0));
  const formatX = x.format ?? { number: (value: number) => number(value, 2), time: timeText, date: dateText }[x.kind];
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>();
  const scheme = useScheme();
  const [at, setAt] = useState<number | undefined>();
  const newest = useRef({ ...props, format });
  newest.current = { ...props, format };

  const data = useMemo(() => aligned(x, series), [JSON.stringify([x.values, series])]);
  const shape = JSON.stringify([
    title,
    x.kind,
    x.step,
    height,
    props.fromZero,
    series.map(({ name, kind, ink, dashed, interval }) => [name, kind, ink, dashed, interval !== undefined]),
  ]);

  useEffect(() => {
    const target = holder.current;
    if (!target) return;
    const drawn = new uPlot(
      options(newest, target, (index) => setAt(index ?? undefined)),
      data,
      target,
    );
    chart.current = drawn;
    const observer = new ResizeObserver(() => drawn.setSize({ width: target.clientWidth, height }));
    observer.observe(target);
    return () => {
      observer.disconnect();
      drawn.destroy();
      chart.current = undefined;
    };
  }, [shape, scheme]);

  useEffect(() => {
    if (chart.current && chart.current.data !== data) chart.current.setData(data);
  }, [data]);

  const shown = at !== undefined && at < x.values.length ? at : undefined;
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <ul class="legend" aria-hidden="true">
        {series.map(({ name, ink = "accent", dashed, values }) => (
          <li key={name} class={`ink-${ink}`}>
            <span class={dashed ? "key dashed" : "key"} />
            {name}
            {shown !== undefined && <strong>{valueText(values[shown], format)}</strong>}
          </li>
        ))}
        {shown !== undefined && <li class="at">{formatX(x.values[shown] ?? 0)}</li>}
      </ul>
      <div ref={holder} class="plot" aria-hidden="true" />
      <details>
        <summary>{text("asTable")}</summary>
        <Table
          caption={title}
          rows={x.values.map((_, index) => index)}
          rowKey={(index) => index}
          columns={[
            { title: x.title, cell: (index) => formatX(x.values[index] ?? 0) },
            ...series.map(({ name, values, interval }) => ({
              title: name,
              numeric: true,
              cell: (index: number) =>
                withInterval(
                  valueText(values[index], format),
                  interval && [interval.low[index], interval.high[index]],
                  format,
                ),
            })),
          ]}
        />
      </details>
    </figure>
  );
}

function valueText(value: number | null | undefined, format: (value: number) => string): string {
  return value === null || value === undefined ? "–" : format(value);
}

function withInterval(
  value: string,
  ends: [number | null | undefined, number | null | undefined] | undefined,
  format: (value: number) => string,
): string {
  if (!ends || typeof ends[0] !== "number" || typeof ends[1] !== "number") return value;
  return `${value} (${format(ends[0])}–${format(ends[1])})`;
}

function timeText(at: number): string {
  return dateTime(new Date(at).toISOString());
}

function dateText(at: number): string {
  return new Date(at).toLocaleDateString(language(), { dateStyle: "medium", timeZone: "UTC" });
}

function useScheme(): boolean {
  const [query] = useState(() => window.matchMedia("(prefers-color-scheme: dark)"));
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const changed = () => setDark(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, [query]);
  return dark;
}

function aligned(x: ChartX, series: ChartSeries[]): uPlot.AlignedData {
  const columns = series.flatMap(({ values, interval }) =>
    interval ? [values, interval.low, interval.high] : [values],
  );
  return [x.values, ...columns] as uPlot.AlignedData;
}

/** A colour token as a canvas takes it. */
function colour(within: HTMLElement, token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${token})`;
  within.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function options(
  props: { current: ChartProps & { format: (value: number) => string } },
  target: HTMLElement,
  hover: (index: number | null | undefined) => void,
): uPlot.Options {
  const { x, series, height = 220, fromZero = true, counts = false } = props.current;
  const muted = colour(target, "muted");
  const line = colour(target, "line");
  const axis = {
    stroke: muted,
    font: "12px system-ui, sans-serif",
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1 },
  };
  const drawn: uPlot.Series[] = [{}];
  const bands: (uPlot.Band & { stroke: string })[] = [];
  for (const one of series) {
    const stroke = colour(target, one.ink ?? "accent");
    drawn.push(seriesOptions(one, stroke));
    if (one.interval) {
      const low = drawn.length;
      drawn.push({ points: { show: false } }, { points: { show: false } });
      bands.push({ series: [low + 1, low], fill: faint(stroke), stroke });
    }
  }
  return {
    width: target.clientWidth,
    height,
    ms: 1,
    // Half of the last label is beyond the last value.
    padding: [10, 28, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    ...(x.kind === "date" ? { tzDate: (at: number) => uPlot.tzDate(new Date(at), "Etc/UTC") } : {}),
    scales: {
      x: { time: x.kind !== "number", range: (_, min, max) => xRange(props.current.x, min, max) },
      y: { range: (_, min, max) => yRange(min, max, fromZero) },
    },
    axes: [
      {
        ...axis,
        space: 70,
        size: 32,
        values: (_, splits, __, ___, increment) =>
          splits.map((at) => (x.kind === "number" ? number(at, 2) : tick(at, increment, x.kind))),
      },
      {
        ...axis,
        ...(counts ? { incrs: COUNT_STEPS } : {}),
        size: (_, values) => 22 + 7 * Math.max(2, ...(values ?? []).map((value) => String(value).length)),
        values: (_, splits) => splits.map((value) => props.current.format(value)),
      },
    ],
    series: drawn,
    bands,
    hooks: {
      setCursor: [(chart) => hover(chart.cursor.idx)],
      draw: [(chart) => drawIntervals(chart, bands)],
    },
  };
}

/** A band shows nothing of a single value: each interval is a line, too. */
function drawIntervals({ ctx, data, valToPos }: uPlot, bands: (uPlot.Band & { stroke: string })[]): void {
  const [times, ...columns] = data;
  ctx.save();
  ctx.lineWidth = 2 * devicePixelRatio;
  for (const { series: ends, stroke } of bands) {
    const [high, low] = [columns[ends[0] - 1], columns[ends[1] - 1]];
    ctx.strokeStyle = stroke;
    ctx.beginPath();
    times.forEach((time, index) => {
      const [from, to] = [low?.[index], high?.[index]];
      if (typeof from !== "number" || typeof to !== "number") return;
      const x = valToPos(time, "x", true);
      ctx.moveTo(x, valToPos(from, "y", true));
      ctx.lineTo(x, valToPos(to, "y", true));
    });
    ctx.stroke();
  }
  ctx.restore();
}

function seriesOptions({ kind = "line", dashed, values }: ChartSeries, stroke: string): uPlot.Series {
  const { bars, stepped } = uPlot.paths;
  // A line of few points shows each of them, so that one alone is seen.
  const points = { show: kind === "points" || (kind === "line" && values.length <= 60), size: 6, fill: stroke };
  const common = { stroke, points: kind === "bar" ? { show: false } : points, spanGaps: kind === "line" };
  if (kind === "bar" && bars) return { ...common, fill: stroke, width: 0, paths: bars({ size: [0.75, 48, 1] }) };
  if (kind === "step" && stepped) return { ...common, width: 2, paths: stepped({ align: 1 }), ...dash(dashed) };
  if (kind === "points") return { ...common, width: 0, paths: () => null };
  return { ...common, width: 2, ...dash(dashed) };
}

function dash(dashed: boolean | undefined): { dash?: number[] } {
  return dashed ? { dash: [6, 4] } : {};
}

function faint(stroke: string): string {
  const numbers = stroke.match(/[\d.]+/g)?.slice(0, 3) ?? [];
  return numbers.length === 3 ? `rgb(${numbers.join(" ")} / 18%)` : stroke;
}

function xRange({ values, kind, step }: ChartX, min: number | null, max: number | null): [number, number] {
  const first = values[0] ?? min ?? 0;
  const last = values.at(-1) ?? max ?? 1;
  const pad = step ? step / 2 : first === last ? (kind === "number" ? 1 : DAY / 2) : 0;
  return [first - pad, last + pad];
}

function yRange(min: number | null, max: number | null, fromZero: boolean): [number, number] {
  if (min === null || max === null) return [0, 1];
  const room = (max - (fromZero ? Math.min(0, min) : min)) * 0.08 || Math.abs(max) * 0.1 || 1;
  return [fromZero && min >= 0 ? 0 : min - room, max + room];
}

function tick(at: number, increment: number, kind: "time" | "date"): string {
  const zone = kind === "date" ? { timeZone: "UTC" } : {};
  const moment = new Date(at);
  if (increment >= 28 * DAY) return moment.toLocaleDateString(language(), { month: "short", year: "numeric", ...zone });
  const midnight = kind === "date" || (moment.getHours() === 0 && moment.getMinutes() === 0);
  if (increment >= DAY || midnight)
    return moment.toLocaleDateString(language(), { day: "numeric", month: "short", ...zone });
  return moment.toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit", ...zone });
}
