/** Rows before and after, with what changed marked. */
import { clip } from "../lib/text.ts";
import type { EffectPreview } from "../lib/types.ts";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";

type Sample = NonNullable<EffectPreview["sample"]>;
type Cells = readonly (string | null)[];

interface Line {
  readonly kind: "before" | "after";
  readonly cells: Cells;
  /** The same row on the other side; null: there is none. */
  readonly other: Cells | null;
}

/** Pairs rows by position when there are as many before as after (an UPDATE); else they stand by themselves. */
export function linesOf(sample: Sample): readonly Line[] {
  const { before, after } = sample;
  if (before.length !== after.length)
    return [
      ...before.map((cells): Line => ({ kind: "before", cells, other: null })),
      ...after.map((cells): Line => ({ kind: "after", cells, other: null })),
    ];
  return before.flatMap((cells, index): readonly Line[] => {
    const other = after[index] ?? [];
    return [
      { kind: "before", cells, other },
      { kind: "after", cells: other, other: cells },
    ];
  });
}

export function PreviewTable({ sample }: { readonly sample: Sample }) {
  const lines = linesOf(sample);
  if (lines.length === 0) return null;
  return (
    <>
      <section className="preview-scroll" tabIndex={0} aria-label="Rows before and after">
        <table className="preview-table">
          <thead>
            <tr>
              <th scope="col">
                <span className="visually-hidden">Side</span>
              </th>
              {sample.columns.map((column, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: columns may share a name
                <th key={index} scope="col" title={column.type}>
                  <Text value={column.name} />
                  {column.masked ? (
                    <span className="said-mask" title="masked as for the caller">
                      <Icon name="masked" size={13} />
                      <span className="visually-hidden">masked</span>
                    </span>
                  ) : null}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {lines.map((line, row) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rows have no name of their own
              <tr key={row} className={line.kind}>
                <th scope="row">{line.kind}</th>
                {line.cells.map((cell, index) => (
                  <td
                    // biome-ignore lint/suspicious/noArrayIndexKey: cells are their columns
                    key={index}
                    className={line.other === null || line.other[index] !== cell ? "changed" : undefined}
                  >
                    {cell === null ? <span className="faint">NULL</span> : <Text value={clip(cell, 300)} />}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {sample.truncated ? <p className="faint preview-note">There are more rows than these.</p> : null}
    </>
  );
}
