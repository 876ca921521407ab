/** A run at a glance: each statement a tick in time, coloured by how it ended. */
import { useRef } from "react";
import { plural } from "../lib/text.ts";
import { at } from "../lib/time.ts";
import { linear } from "../plots/scale.ts";
import { tickLabel, timeTicks } from "../plots/time.ts";
import { useWidth } from "../plots/width.ts";
import { statusOf, verdictOf } from "./fromRecord.ts";
import { markOf } from "./row.tsx";
import type { RunStatement } from "./types.ts";

interface StripProps {
  readonly statements: readonly RunStatement[];
  readonly first: number;
  readonly last: number;
}

/** Many ticks in one pixel are one tick of the worst of them. */
const worse = ["none", "allow", "open", "hold", "fail", "deny"] as const;

export function RunStrip({ statements, first, last }: StripProps) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box, 640);
  if (statements.length < 2 || last <= first) return null;
  const x = linear(first, last, 4, width - 4);
  const ticks = new Map<number, (typeof worse)[number]>();
  for (const statement of statements) {
    const place = Math.round(x(at(statement.time)) / 3) * 3;
    const mark = markOf({
      verdict: verdictOf(statement.verdict),
      status: statusOf(statement.status),
      code: statement.code,
    });
    const known = ticks.get(place);
    if (known === undefined || worse.indexOf(mark) > worse.indexOf(known)) ticks.set(place, mark);
  }
  return (
    <div ref={box} className="plot-box">
      <svg
        className="run-strip"
        width={width}
        height={48}
        role="img"
        aria-label={`${plural(statements.length, "statement")} over time; the list below says each`}
      >
        <line x1={0} x2={width} y1={28} y2={28} className="strip-line" />
        {[...ticks].map(([place, mark]) => (
          <rect
            key={place}
            className={`strip-tick ${mark}`}
            x={place - 1}
            y={mark === "deny" || mark === "fail" ? 4 : 10}
            width={2.4}
            height={mark === "deny" || mark === "fail" ? 24 : 18}
            rx={1}
          />
        ))}
        {timeTicks(first, last, Math.max(2, Math.floor(width / 120))).map((tick) => (
          <text
            key={tick}
            className="plot-time"
            x={x(tick)}
            y={44}
            textAnchor={x(tick) < 40 ? "start" : x(tick) > width - 40 ? "end" : "middle"}
          >
            {tickLabel(tick, last - first)}
          </text>
        ))}
      </svg>
    </div>
  );
}
