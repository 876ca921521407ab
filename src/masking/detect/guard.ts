/**
 * The second line: looks for personal data in columns that have no label, and masks or reports it. Never the first line: it
 * knows only what has a form.
 */
import type { Mask } from "../../facts/effects.ts";
import { typeName } from "../../protocol/index.ts";
import { elementType } from "../../protocol/values/types.ts";
import { type CellMask, passes } from "../cell.ts";
import type { MaskKeys } from "../keys.ts";
import type { HashAhead } from "../lanes/ahead.ts";
import type { MaskOutput } from "../output.ts";
import type { MaskColumn } from "../row.ts";
import { cellMask } from "../types/index.ts";
import { createDetector } from "./cell.ts";
import { confidenceOf } from "./confidence.ts";
import type { Matcher } from "./userpattern.ts";

/** What to look for, and what to do about it. */
export interface DetectionRule {
  /** A built-in kind (`builtinKinds`), or the name of a pattern. */
  readonly kind: string;
  /** null: built in. */
  readonly pattern: Matcher | null;
  readonly action: "mask" | "alert";
}

export interface DetectionSettings {
  readonly rules: readonly DetectionRule[];
  /** How cells and columns that are found are masked. */
  readonly mask: Mask;
  /** Rows after which a column is judged. Default 200. */
  readonly sampleRows?: number;
  /** From this confidence on a column is of a kind. Default 0.6. */
  readonly threshold?: number;
}

/** What was found in one column. Holds no value. */
export interface DetectionFinding {
  /** Index in the result. */
  readonly column: number;
  readonly name: string;
  readonly kind: string;
  readonly action: "mask" | "alert";
  /** Cells with it, of `seen` cells that were looked at. */
  readonly hits: number;
  readonly seen: number;
  /** 0 to 1. */
  readonly confidence: number;
  /** true: the whole column is of the kind; false: single cells were. */
  readonly decided: boolean;
}

export interface ContentGuard {
  /** For `createRowMasker`: what looks at each column; null: not looked at. */
  readonly cells: readonly (CellMask | null)[];
  findings(): DetectionFinding[];
}

/** Types whose values cannot hold what is looked for, or not in a form that is known here. */
const skipped = new Set([
  ...[
    "bool",
    "bytea",
    "char",
    "int2",
    "int4",
    "int8",
    "oid",
    "xid",
    "cid",
    "tid",
    "float4",
    "float8",
    "numeric",
  ],
  ...["money", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "inet", "cidr"],
  ...["macaddr", "macaddr8", "bit", "varbit", "point", "lseg", "path", "box", "polygon", "line", "circle"],
  ...["regproc", "regclass", "regtype", "regrole", "regnamespace", "pg_lsn", "xid8", "tsvector", "tsquery"],
  ...["int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange", "void"],
]);

/** Whether values of a type are looked at: text, json and the like, and types of extensions (citext). */
export function isScanned(oid: number): boolean {
  return !skipped.has(typeName(elementType(oid) ?? oid));
}

/**
 * Cells that hold a kind to be masked are masked at once. After `sampleRows` cells a column is judged: of a kind to be masked, it
 * is masked whole; without any hit, it is no longer looked at; else each cell is, as before.
 * @param columns of the result; `labelled`: it has a mask or was unmasked on purpose.
 */
export function createContentGuard(
  settings: DetectionSettings,
  columns: readonly (MaskColumn & { readonly name: string; readonly labelled: boolean })[],
  keys: MaskKeys,
): ContentGuard {
  const { rules, mask, sampleRows = 200, threshold = 0.6 } = settings;
  const detector = createDetector(rules.map(({ kind, pattern }) => ({ name: kind, pattern })));
  const masking = rules.reduce((found, rule, i) => (rule.action === "mask" ? found | (1 << i) : found), 0);

  const watches = columns.map(({ type, typmod, format, name, labelled }) => {
    if (labelled || rules.length === 0 || !isScanned(type)) return null;
    const hide = cellMask(mask, type, { format, typmod, keys, domain: "postern detection" });
    const hits = new Array<number>(rules.length).fill(0);
    let seen = 0;
    let state: "watched" | "masked" | "clear" = "watched";

    function judge(): void {
      if (hits.every((count) => count === 0)) state = "clear";
      else if (rules.some((rule, i) => rule.action === "mask" && confidence(i) >= threshold))
        state = "masked";
    }
    const confidence = (i: number): number =>
      confidenceOf((rules[i] as DetectionRule).kind, name, hits[i] as number, seen);

    const look = (b: Buffer, at: number, end: number, out: MaskOutput): number => {
      if (state === "clear") return passes;
      if (state === "masked") return hide(b, at, end, out);
      const found = detector.detect(b, at, end);
      seen++;
      if (found !== 0)
        for (let i = 0; i < hits.length; i++) if ((found & (1 << i)) !== 0) (hits[i] as number)++;
      if (seen === sampleRows) judge();
      return (found & masking) === 0 ? passes : hide(b, at, end, out);
    };
    const { collect } = hide;
    const cell: CellMask =
      collect === undefined
        ? look
        : Object.assign(look, {
            collect(b: Buffer, at: number, end: number, ahead: HashAhead) {
              if (state === "masked") collect(b, at, end, ahead);
            },
          });
    return { cell, hits, confidence, name, seen: () => seen, masked: () => state === "masked" };
  });

  return {
    cells: watches.map((watch) => watch?.cell ?? null),
    findings: () =>
      watches.flatMap((watch, column) =>
        watch === null
          ? []
          : rules.flatMap(({ kind, action }, i) => {
              const hits = watch.hits[i] as number;
              if (hits === 0) return [];
              const confidence = watch.confidence(i);
              const decided = confidence >= threshold;
              return [
                { column, name: watch.name, kind, action, hits, seen: watch.seen(), confidence, decided },
              ];
            }),
      ),
  };
}
