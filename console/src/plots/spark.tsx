/** A small line without axes, beside a number that says the same. */
import { sparkPoints } from "./stack.ts";

interface SparkProps {
  readonly values: readonly number[];
  readonly look?: "accent" | "deny" | "hold" | "mask" | "allow";
  readonly width?: number;
  readonly height?: number;
}

/** Decoration: hidden from screen readers. */
export function Sparkline({ values, look = "accent", width = 96, height = 28 }: SparkProps) {
  const points = sparkPoints(values, width, height);
  if (points === "") return null;
  return (
    <svg
      className={`spark ${look}`}
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      aria-hidden="true"
    >
      <polygon className="spark-area" points={`1,${height - 1} ${points} ${width - 1},${height - 1}`} />
      <polyline className="spark-line" points={points} />
    </svg>
  );
}
