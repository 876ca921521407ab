/** How long people took to decide, as a histogram whose bins widen. */
import { useRef } from "react";
import { count } from "../lib/text.ts";
import { Figure } from "./figure.tsx";
import { type Bin, decideBins } from "./histogram.ts";
import { countTicks, linear, shortCount } from "./scale.ts";
import { useWidth } from "./width.ts";

interface DecideProps {
  readonly title: string;
  /** Seconds from request to decision. */
  readonly approved: readonly number[];
  readonly denied: readonly number[];
  readonly empty: string;
  readonly height?: number;
}

const series = [
  { name: "approved", label: "approved", look: "allow" },
  { name: "denied", label: "denied", look: "deny" },
] as const;

export function DecideTimes({ title, approved, denied, empty, height = 170 }: DecideProps) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box, 360);
  const yes = decideBins(approved);
  const no = decideBins(denied);
  const sums = yes.map((bin, at) => bin.count + (no[at]?.count ?? 0));
  const all = approved.length + denied.length;
  const ticks = countTicks(Math.max(0, ...sums), 3);
  const bottom = height - 22;
  const y = linear(0, ticks.at(-1) ?? 1, bottom, 8);
  const left = 30;
  const slot = (width - left - 2) / yes.length;
  return (
    <Figure
      title={title}
      series={series}
      numbers={() => ({
        columns: ["Time to decide", "approved", "denied"],
        rows: yes.map((bin, at) => [bin.label, bin.count, no[at]?.count ?? 0]),
      })}
    >
      {all === 0 ? (
        <p className="plot-none">{empty}</p>
      ) : (
        <div ref={box} className="plot-box">
          <svg
            className="plot-svg"
            width={width}
            height={height}
            role="img"
            aria-label={`${title}: ${describe(yes, no)}`}
          >
            {ticks.map((tick) => (
              <g key={tick} className="plot-tick">
                <line
                  x1={left}
                  x2={width - 2}
                  y1={Math.round(y(tick)) + 0.5}
                  y2={Math.round(y(tick)) + 0.5}
                />
                <text x={left - 6} y={y(tick) + 4} textAnchor="end">
                  {shortCount(tick)}
                </text>
              </g>
            ))}
            {yes.map((bin, at) => {
              const refused = no[at]?.count ?? 0;
              const x = left + at * slot + 2;
              return (
                <g key={bin.label}>
                  <rect
                    className="plot-bar allow"
                    x={x}
                    y={y(bin.count)}
                    width={Math.max(1, slot - 4)}
                    height={bottom - y(bin.count)}
                  />
                  <rect
                    className="plot-bar deny"
                    x={x}
                    y={y(bin.count + refused)}
                    width={Math.max(1, slot - 4)}
                    height={y(bin.count) - y(bin.count + refused)}
                  />
                  {slot < 40 && at % 2 === 1 ? null : (
                    <text className="plot-time" x={x + (slot - 4) / 2} y={height - 6} textAnchor="middle">
                      {bin.label}
                    </text>
                  )}
                </g>
              );
            })}
          </svg>
        </div>
      )}
    </Figure>
  );
}

function describe(yes: readonly Bin[], no: readonly Bin[]): string {
  return yes
    .map((bin, at) => ({ label: bin.label, sum: bin.count + (no[at]?.count ?? 0) }))
    .filter(({ sum }) => sum > 0)
    .map(({ label, sum }) => `${count(sum)} in ${label}`)
    .join(", ");
}
