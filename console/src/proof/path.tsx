/** The way from a record up to the signed root, drawn: at each step the neighbour's hash and what both give. */
import { toHex } from "./bytes.ts";
import type { Climb } from "./tree.ts";

interface PathProps {
  /** Hex. */
  readonly leaf: string;
  readonly climbs: readonly Climb[];
}

const rowHeight = 34;
const boxWidth = 92;

/** Fifteen steps or fewer are drawn whole; of longer paths the middle is left out, for the text beside says how many they are. */
export function ProofPath({ leaf, climbs }: PathProps) {
  const rows =
    climbs.length <= 14
      ? climbs.map((_, at) => at)
      : [...range(0, 7), -1, ...range(climbs.length - 6, climbs.length)];
  const height = (rows.length + 1) * rowHeight + 6;
  const middle = 150;
  const y = (row: number) => height - rowHeight - row * rowHeight;
  return (
    <svg
      className="proof-path"
      viewBox={`0 0 300 ${height}`}
      width="300"
      height={height}
      role="img"
      aria-label={`Path of ${climbs.length} steps from the record's hash to the root`}
    >
      <Box x={middle - boxWidth / 2} y={y(0)} look="leaf" hash={leaf} />
      {rows.map((at, row) => {
        const climb = climbs[at];
        const top = y(row + 1);
        if (climb === undefined)
          return (
            <text key="gap" x={middle} y={top + 16} textAnchor="middle" className="proof-gap">
              … {climbs.length - 13} more steps
            </text>
          );
        const left = climb.side === "left";
        const x = left ? 2 : 300 - boxWidth - 2;
        const root = at === climbs.length - 1;
        return (
          <g key={at}>
            <line x1={middle} y1={top + rowHeight} x2={middle} y2={top + 24} className="proof-line" />
            <line
              x1={left ? x + boxWidth : x}
              y1={top + 12}
              x2={left ? middle - boxWidth / 2 : middle + boxWidth / 2}
              y2={top + 12}
              className="proof-line side"
            />
            <Box x={x} y={top} look="neighbour" hash={toHex(climb.neighbour)} />
            <Box x={middle - boxWidth / 2} y={top} look={root ? "root" : "node"} hash={toHex(climb.parent)} />
          </g>
        );
      })}
    </svg>
  );
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}

interface BoxProps {
  readonly x: number;
  readonly y: number;
  readonly look: "leaf" | "node" | "neighbour" | "root";
  readonly hash: string;
}

function Box({ x, y, look, hash }: BoxProps) {
  return (
    <g className={`proof-box ${look}`}>
      <title>{hash}</title>
      <rect x={x} y={y} width={boxWidth} height={24} rx={5} />
      <text x={x + boxWidth / 2} y={y + 16} textAnchor="middle">
        {hash.slice(0, 10)}…
      </text>
    </g>
  );
}
