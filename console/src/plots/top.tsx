/** The first few of a count, each a bar that leads to what it counts. */
import { Link } from "../lib/router.tsx";
import { count, visible } from "../lib/text.ts";
import { Text } from "../ui/text.tsx";
import { Figure, type Series } from "./figure.tsx";

export interface TopRow {
  readonly key: string;
  readonly name: string;
  readonly note?: string;
  readonly value: number;
  /** Part of `value` that is drawn in the look of trouble. */
  readonly bad?: number;
  readonly to: string;
}

interface TopProps {
  readonly title: string;
  readonly rows: readonly TopRow[];
  readonly look: Series["look"];
  /** What is counted: "statements". */
  readonly unit: string;
  readonly empty: string;
  readonly most?: number;
}

export function TopBars({ title, rows, look, unit, empty, most = 7 }: TopProps) {
  const sorted = [...rows].sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1));
  const shown = sorted.slice(0, most);
  const top = Math.max(1, shown[0]?.value ?? 1);
  return (
    <Figure
      title={title}
      numbers={() => ({
        columns: [title, unit],
        rows: sorted.map(({ name, value }) => [visible(name), value]),
      })}
    >
      {shown.length === 0 ? (
        <p className="plot-none">{empty}</p>
      ) : (
        <ol className="top-bars">
          {shown.map((row) => (
            <li key={row.key}>
              <Link to={row.to} className="top-bar">
                <span className="top-name">
                  <Text value={row.name} />
                  {row.note === undefined ? null : (
                    <span className="faint">
                      {" "}
                      <Text value={row.note} />
                    </span>
                  )}
                </span>
                <span className="top-count tabular">
                  {count(row.value)}
                  <span className="visually-hidden"> {unit}</span>
                </span>
                <svg
                  className="top-line"
                  width="100%"
                  height="6"
                  aria-hidden="true"
                  preserveAspectRatio="none"
                >
                  <rect className="top-rail" width="100%" height="6" rx="3" />
                  <rect
                    className={`plot-bar ${look}`}
                    width={`${Math.max(0.7, (row.value / top) * 100)}%`}
                    height="6"
                    rx="3"
                  />
                  {row.bad === undefined || row.bad === 0 ? null : (
                    <rect
                      className="plot-bar deny"
                      x={`${((row.value - row.bad) / top) * 100}%`}
                      width={`${Math.max(0.7, (row.bad / top) * 100)}%`}
                      height="6"
                      rx="3"
                    />
                  )}
                </svg>
              </Link>
            </li>
          ))}
        </ol>
      )}
    </Figure>
  );
}
