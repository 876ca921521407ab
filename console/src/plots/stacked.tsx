/** Counts over time as stacked bars. One bar is picked by pointer or arrow keys; what it holds is said above the plot. */
import { type KeyboardEvent, type PointerEvent, useRef, useState } from "react";
import { count } from "../lib/text.ts";
import { Figure, type Series } from "./figure.tsx";
import { countTicks, linear, shortCount } from "./scale.ts";
import { type Area, type Bucket, bucketAt, stackBars, total } from "./stack.ts";
import { bucketLabel, tickLabel, timeTicks } from "./time.ts";
import { useWidth } from "./width.ts";

interface StackedProps {
  readonly title: string;
  readonly series: readonly Series[];
  /** Filled (fillBuckets). */
  readonly buckets: readonly Bucket[];
  /** Width of a bucket in milliseconds. */
  readonly step: number;
  readonly height?: number;
  /** A bar was chosen (click, Enter). */
  onOpen?(bucket: Bucket): void;
}

export function StackedBars({ title, series, buckets, step, height = 210, onOpen }: StackedProps) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box, 640);
  const [picked, setPicked] = useState<number | null>(null);
  const names = series.map(({ name }) => name);
  const ticks = countTicks(Math.max(0, ...buckets.map((b) => total(b, names))));
  const top = ticks.at(-1) ?? 1;
  const area: Area = { left: 36, right: width - 4, top: 8, bottom: height - 22 };
  const y = linear(0, top, area.bottom, area.top);
  const first = buckets[0]?.time ?? 0;
  const end = (buckets.at(-1)?.time ?? 0) + step;
  const x = linear(first, end, area.left, area.right);
  const looks = new Map(series.map(({ name, look }) => [name, look]));
  const bars = stackBars(buckets, names, top, area);
  const slot = buckets.length === 0 ? 0 : (area.right - area.left) / buckets.length;
  const at = picked !== null && picked < buckets.length ? picked : null;
  const bucket = at === null ? null : (buckets[at] ?? null);

  const point = (event: PointerEvent<SVGSVGElement>) => {
    const left = event.currentTarget.getBoundingClientRect().left;
    setPicked(bucketAt(event.clientX - left, buckets.length, area));
  };
  const press = (event: KeyboardEvent) => {
    const last = buckets.length - 1;
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: at === null ? last : Math.max(0, at - 1),
      ArrowRight: at === null ? 0 : Math.min(last, at + 1),
      Home: 0,
      End: last,
    };
    const next = moves[event.key];
    if (next !== undefined && last >= 0) {
      event.preventDefault();
      setPicked(next);
    } else if (event.key === "Enter" && bucket !== null) onOpen?.(bucket);
    else if (event.key === "Escape") setPicked(null);
  };
  const all = buckets.reduce((sum, b) => sum + total(b, names), 0);

  return (
    <Figure
      title={title}
      series={series}
      numbers={() => ({
        columns: ["Time", ...series.map(({ label }) => label)],
        rows: buckets
          .filter((b) => total(b, names) > 0)
          .map((b) => [bucketLabel(b.time, step), ...names.map((name) => b.values[name] ?? 0)]),
      })}
    >
      <p className="plot-readout" aria-live="polite">
        {bucket === null ? (
          <span className="faint">
            {count(all)} in all
            {onOpen === undefined ? "" : "; pick a bar to see it, open it to find its statements"}
          </span>
        ) : (
          <>
            <strong>{bucketLabel(bucket.time, step)}</strong>
            {series.map(({ name, label, look }) => (
              <span key={name} className="plot-read">
                <span className={`plot-key ${look}`} aria-hidden="true" />
                {count(bucket.values[name] ?? 0)} {label}
              </span>
            ))}
          </>
        )}
      </p>
      <div ref={box} className="plot-box">
        <svg
          className={`plot-svg${onOpen === undefined ? "" : " opens"}`}
          width={width}
          height={height}
          tabIndex={0}
          role="img"
          aria-label={`${title}. ${count(all)} in all. Arrow keys move through the bars${onOpen === undefined ? "" : ", Enter finds the statements of one"}.`}
          onPointerMove={point}
          onPointerDown={point}
          onPointerLeave={() => setPicked(null)}
          onClick={() => bucket !== null && onOpen?.(bucket)}
          onKeyDown={press}
          onBlur={() => setPicked(null)}
        >
          {ticks.map((tick) => (
            <g key={tick} className="plot-tick">
              <line
                x1={area.left}
                x2={area.right}
                y1={Math.round(y(tick)) + 0.5}
                y2={Math.round(y(tick)) + 0.5}
              />
              <text x={area.left - 6} y={y(tick) + 4} textAnchor="end">
                {shortCount(tick)}
              </text>
            </g>
          ))}
          {at === null ? null : (
            <rect
              className="plot-cursor"
              x={area.left + at * slot}
              y={area.top}
              width={slot}
              height={area.bottom - area.top}
            />
          )}
          {bars.map((bar) => (
            <rect
              key={`${bar.bucket} ${bar.series}`}
              className={`plot-bar ${looks.get(bar.series) ?? ""}`}
              x={bar.x}
              y={bar.y}
              width={Math.max(1, bar.width)}
              height={bar.height}
            />
          ))}
          {timeTicks(first, end, Math.max(2, Math.floor(width / 110))).map((tick) => (
            <text
              key={tick}
              className="plot-time"
              x={x(tick)}
              y={height - 6}
              textAnchor={x(tick) < 60 ? "start" : "middle"}
            >
              {tickLabel(tick, end - first)}
            </text>
          ))}
        </svg>
      </div>
    </Figure>
  );
}
