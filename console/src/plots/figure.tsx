/** A plot's frame: heading, legend, the plot, and the same numbers as a table for whoever would rather read than look. */
import { type ReactNode, useId, useState } from "react";

export interface Series {
  readonly name: string;
  readonly label: string;
  readonly look: "allow" | "deny" | "hold" | "mask" | "accent";
}

/** The numbers of a plot: the first column names the row. */
export interface Numbers {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

interface FigureProps {
  readonly title: string;
  readonly series?: readonly Series[];
  readonly actions?: ReactNode;
  readonly children: ReactNode;
  /** Called only when the table is opened. */
  numbers(): Numbers;
}

export function Figure({ title, series = [], actions, children, numbers }: FigureProps) {
  const titleId = useId();
  const [open, setOpen] = useState(false);
  return (
    <figure className="plot" aria-labelledby={titleId}>
      <figcaption className="plot-head">
        <h2 id={titleId}>{title}</h2>
        {series.length === 0 ? null : (
          <ul className="plot-legend" aria-label="Colours">
            {series.map(({ name, label, look }) => (
              <li key={name}>
                <span className={`plot-key ${look}`} aria-hidden="true" />
                {label}
              </li>
            ))}
          </ul>
        )}
        {actions}
      </figcaption>
      {children}
      <details className="plot-numbers" onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>As a table</summary>
        {open ? <NumbersTable caption={title} numbers={numbers()} /> : null}
      </details>
    </figure>
  );
}

function NumbersTable({ caption, numbers }: { readonly caption: string; readonly numbers: Numbers }) {
  return (
    <section className="plot-table" tabIndex={0} aria-label={`${caption}, as a table`}>
      <table>
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {numbers.columns.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {numbers.rows.map((row) => (
            <tr key={String(row[0])}>
              {row.map((value, at) =>
                at === 0 ? (
                  <th key={numbers.columns[at]} scope="row">
                    {value}
                  </th>
                ) : (
                  <td key={numbers.columns[at]}>{value}</td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
