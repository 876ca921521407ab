/** Tables of few rows, and a list of any length that draws only what is in view. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef } from "react";

export interface Column<Row> {
  readonly name: string;
  readonly align?: "end";
  cell(row: Row): ReactNode;
}

interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  keyOf(row: Row): string;
}

/** On a phone each row becomes a block with its columns' names beside the values. */
export function Table<Row>({ caption, columns, rows, keyOf }: TableProps<Row>) {
  return (
    <div className="table-wrap">
      <table className="table">
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" className={column.align}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column) => (
                <td key={column.name} className={column.align} data-label={column.name}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface VirtualListProps<Item> {
  readonly label: string;
  readonly items: readonly Item[];
  /** A guess in pixels; rows are measured once drawn. */
  readonly estimate: number;
  keyOf(item: Item): string;
  row(item: Item, index: number): ReactNode;
  /** Called when the end comes near. */
  onEnd?(): void;
  /** Keeps this item in view (moved by the keyboard). */
  readonly current?: number;
  readonly className?: string;
}

/** A scrolling list; fills the height of its parent. */
export function VirtualList<Item>(props: VirtualListProps<Item>) {
  const { label, items, estimate, keyOf, row, onEnd, current, className } = props;
  const scroller = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => estimate,
    overscan: 8,
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : keyOf(item);
    },
  });
  const shown = virtual.getVirtualItems();
  const last = shown.at(-1)?.index ?? -1;
  useEffect(() => {
    if (items.length > 0 && last >= items.length - 20) onEnd?.();
  }, [last, items.length, onEnd]);
  useEffect(() => {
    if (current !== undefined && current >= 0) virtual.scrollToIndex(current, { align: "auto" });
  }, [current, virtual]);
  return (
    // A scrolling area must be reachable by keyboard (axe: scrollable-region-focusable).
    <section
      ref={scroller}
      className={`virtual${className === undefined ? "" : ` ${className}`}`}
      tabIndex={0}
      aria-label={label}
    >
      <ul className="virtual-list" style={{ height: virtual.getTotalSize() }}>
        {shown.map((entry) => {
          const item = items[entry.index];
          if (item === undefined) return null;
          return (
            <li
              key={entry.key}
              ref={virtual.measureElement}
              data-index={entry.index}
              className="virtual-row"
              aria-setsize={items.length}
              aria-posinset={entry.index + 1}
              style={{ transform: `translateY(${entry.start}px)` }}
            >
              {row(item, entry.index)}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
