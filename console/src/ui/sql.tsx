/** SQL on the page: coloured, as plain text nodes, with hidden characters named; any length, drawn as far as it is seen. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { displayLines, type Token, tokens } from "../lib/sql.ts";
import { bytes, codePointOf, hasHidden, oneLine, segments } from "../lib/text.ts";
import type { HeldParameter } from "../lib/types.ts";
import { CopyButton } from "./copy.tsx";
import { Choice } from "./form.tsx";
import { Hidden } from "./text.tsx";

/** Longer texts are drawn line by line as they come into view. */
const virtualFrom = 24_000;
const lineWidth = 2_000;
const longLineWidth = 200;

interface CodeProps {
  readonly sql: string;
  readonly parameters?: readonly HeldParameter[];
  readonly label?: string;
}

/** The text itself. */
export const SqlCode = memo(function SqlCode({ sql, parameters = [], label = "SQL" }: CodeProps) {
  const all = useMemo(() => tokens(sql), [sql]);
  const long = sql.length > virtualFrom;
  const lines = useMemo(() => displayLines(sql, long ? longLineWidth : lineWidth), [sql, long]);
  if (long) return <LongCode sql={sql} all={all} lines={lines} parameters={parameters} label={label} />;
  const numbered = lines.length > 1;
  return (
    <section className={`sql${numbered ? " numbered" : ""}`} tabIndex={0} aria-label={label}>
      <pre>
        <code>
          {lines.map((line) => (
            <span key={line.start} className="sql-line" data-line={line.number ?? undefined}>
              {paint(sql, all, line.start, line.end, parameters)}
              {"\n"}
            </span>
          ))}
        </code>
      </pre>
    </section>
  );
});

interface LongProps extends Required<CodeProps> {
  readonly all: readonly Token[];
  readonly lines: ReturnType<typeof displayLines>;
}

function LongCode({ sql, all, lines, parameters, label }: LongProps) {
  const scroller = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 20,
    overscan: 20,
  });
  return (
    <section ref={scroller} className="sql numbered long" tabIndex={0} aria-label={label}>
      <pre>
        <code style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((entry) => {
            const line = lines[entry.index];
            if (line === undefined) return null;
            return (
              <span
                key={entry.key}
                ref={virtual.measureElement}
                data-index={entry.index}
                data-line={line.number ?? undefined}
                className="sql-line"
                style={{ transform: `translateY(${entry.start}px)` }}
              >
                {paint(sql, all, line.start, line.end, parameters)}
                {"\n"}
              </span>
            );
          })}
        </code>
      </pre>
    </section>
  );
}

/** The tokens between two places, as spans. */
function paint(
  sql: string,
  all: readonly Token[],
  from: number,
  to: number,
  parameters: readonly HeldParameter[],
): readonly ReactNode[] {
  const out: ReactNode[] = [];
  for (let at = firstEndingAfter(all, from); at < all.length; at += 1) {
    const token = all[at];
    if (token === undefined || token.start >= to) break;
    const start = Math.max(token.start, from);
    const text = sql.slice(start, Math.min(token.end, to));
    const content = reveal(
      text,
      token.kind === "word" || token.kind === "keyword" || token.kind === "quoted",
    );
    const value =
      token.kind === "parameter" ? parameters[Number(sql.slice(token.start + 1, token.end)) - 1] : undefined;
    out.push(
      token.kind === "space" ? (
        <span key={start}>{content}</span>
      ) : (
        <span key={start} className={`sql-${token.kind}`}>
          {content}
          {value === undefined ? null : <ParameterValue value={value} />}
        </span>
      ),
    );
  }
  return out;
}

function firstEndingAfter(all: readonly Token[], place: number): number {
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((all[middle]?.end ?? 0) <= place) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Hidden characters by name; in names also letters beyond ASCII underlined, which may only look like the usual ones. */
function reveal(text: string, name: boolean): ReactNode {
  const odd = name && /[\u0080-\uffff]/.test(text);
  if (!odd && !hasHidden(text)) return text;
  const out: ReactNode[] = [];
  let offset = 0;
  for (const segment of segments(text)) {
    if (segment.hidden !== null) out.push(<Hidden key={offset} name={segment.hidden} />);
    else if (!odd) out.push(segment.text);
    else
      for (const [index, part] of segment.text.split(/([\u{80}-\u{10ffff}])/u).entries())
        if (index % 2 === 0) out.push(part);
        else
          out.push(
            <span
              key={`${offset}/${index}`}
              className="sql-odd"
              title={`not an ASCII letter: ${codePointOf(part)}`}
            >
              {part}
            </span>,
          );
    offset += segment.text.length;
  }
  return out;
}

const longValue = 120;

/** What stands for `$1`. */
function ParameterValue({ value }: { readonly value: HeldParameter }) {
  const text = parameterText(value);
  return (
    <span className="sql-value" title={value.type}>
      {reveal(oneLine(text, longValue), false)}
    </span>
  );
}

/** A value as a literal: 'O''Brien', NULL, or its bytes in base64. */
export function parameterText(value: HeldParameter): string {
  if (value.text === null) return "NULL";
  if (value.text === undefined) return `base64 ${value.bytes ?? ""}`;
  return `'${value.text.replaceAll("'", "''")}'`;
}

interface ViewProps {
  readonly sql: string;
  readonly parameters?: readonly HeldParameter[];
  readonly label?: string;
}

/**
 * SQL with a choice between laid out and exact. The laid-out text is shown only when it is the same statement token by
 * token; what is copied is always the exact text.
 */
export function SqlView({ sql, parameters = [], label = "SQL" }: ViewProps) {
  const [view, setView] = useState<"formatted" | "exact">("formatted");
  const [formatted, setFormatted] = useState<{ readonly of: string; readonly text: string | null } | null>(
    null,
  );
  useEffect(() => {
    let current = true;
    import("../lib/format-sql.ts").then(
      ({ formatSql }) => current && setFormatted({ of: sql, text: formatSql(sql) }),
      () => {},
    );
    return () => {
      current = false;
    };
  }, [sql]);
  const laidOut = formatted?.of === sql ? formatted.text : null;
  const offered = laidOut !== null && laidOut !== sql;
  const hidden = hasHidden(sql);
  return (
    <div className="sql-view">
      <div className="sql-bar">
        {offered ? (
          <Choice<"formatted" | "exact">
            label="How the SQL is shown"
            value={view}
            options={[
              { value: "formatted", label: "Formatted" },
              { value: "exact", label: "Exact" },
            ]}
            onChange={setView}
          />
        ) : (
          <span className="faint">Exact text</span>
        )}
        {hidden ? <span className="sql-hidden-note">hidden characters are named in place</span> : null}
        <span className="faint tabular">{bytes(new Blob([sql]).size)}</span>
        <CopyButton text={sql} what="exact SQL" />
      </div>
      <SqlCode sql={offered && view === "formatted" ? laidOut : sql} parameters={parameters} label={label} />
    </div>
  );
}

/** One line of SQL for lists. */
export const SqlLine = memo(function SqlLine({
  sql,
  limit = 240,
}: {
  readonly sql: string;
  readonly limit?: number;
}) {
  const line = oneLine(sql, limit);
  const all = useMemo(() => tokens(line), [line]);
  return <code className="sql-one">{paint(line, all, 0, line.length, [])}</code>;
});
