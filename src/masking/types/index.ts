/** The mask of a column by its type, format and mask: the one place that knows which types can be masked as what. */
import type { Mask } from "../../facts/effects.ts";
import { decodeParameter, typeName } from "../../protocol/index.ts";
import { elementType } from "../../protocol/values/types.ts";
import { type CellContext, type CellMask, constant, memoised, toNull } from "../cell.ts";
import type { MaskOutput } from "../output.ts";
import { binaryArray, textArray } from "./array.ts";
import { jsonMask } from "./json.ts";
import { floatType, integerType, numericType, partialDigits } from "./numbers.ts";
import {
  addressType,
  boolType,
  byteaType,
  charType,
  dateType,
  macType,
  timestampType,
  timeType,
  uuidDigits,
  uuidType,
} from "./others.ts";
import { quickDateBinary, quickDateText, quickly } from "./quick.ts";
import { quickAddress, quickDigits, quickInteger, quickNumeric, quickUuid } from "./quickends.ts";
import { quickHash } from "./quickhash/index.ts";
import { normalRoom } from "./quickhash/parts.ts";
import type { ScalarType } from "./scalar.ts";
import { textMask } from "./text.ts";

/** Types that are masked by way of their text form. */
const scalars: ReadonlyMap<string, ScalarType> = new Map([
  ["int2", integerType(2)],
  ["int4", integerType(4)],
  ["int8", integerType(8)],
  ["numeric", numericType],
  ["float4", floatType(4)],
  ["float8", floatType(8)],
  ["date", dateType],
  ["timestamp", timestampType("")],
  ["timestamptz", timestampType("+00")],
  ["time", timeType],
  ["uuid", uuidType],
  ["bool", boolType],
  ["char", charType],
  ["bytea", byteaType],
  ["inet", addressType(false)],
  ["cidr", addressType(true)],
  ["macaddr", macType(6)],
  ["macaddr8", macType(8)],
]);

const integerBytes: ReadonlyMap<string, 2 | 4 | 8> = new Map([
  ["int2", 2],
  ["int4", 4],
  ["int8", 8],
]);
/** Types whose text is digits. */
const decimals = new Set(["int2", "int4", "int8", "numeric"]);

/** Longer values are not hashed ahead. */
const maxAhead = 256;
/** Longer values are not turned into text to be masked: they become NULL. */
const maxSlow = 64 * 1024 * 1024;

/**
 * Gives what masks values of a type; NULL for types that have no mask: enum, domain, composite, range and others whose
 * values cannot be made up.
 * @param oid type of the column as RowDescription has it.
 */
export function cellMask(mask: Mask, oid: number, context: CellContext): CellMask {
  if (mask.kind === "null") return toNull;
  const element = elementType(oid);
  if (element === undefined) return scalarMask(mask, oid, context);
  const inner = scalarMask(mask, element, context);
  if (inner === toNull) return toNull;
  return context.format === 0 ? textArray(inner) : binaryArray(inner, element);
}

function scalarMask(mask: Mask, oid: number, context: CellContext): CellMask {
  const name = typeName(oid);
  switch (name) {
    case "text":
    case "varchar":
    case "bpchar":
    case "name":
      return textMask(mask, name, context);
    case "json":
    case "jsonb":
      return jsonMask(mask, name, context);
    default: {
      const type = scalars.get(name);
      return type === undefined ? toNull : byText(mask, type, oid, name, context);
    }
  }
}

function byText(mask: Mask, type: ScalarType, oid: number, name: string, context: CellContext): CellMask {
  const { format, typmod } = context;
  const write = (text: string | null): Buffer | null =>
    text === null ? null : format === 0 ? Buffer.from(text, "latin1") : type.binary(text);
  const redact = constant(write(type.redact(typmod)));
  switch (mask.kind) {
    case "null":
      return toNull;
    case "redact":
      return redact;
    case "hash":
      return hashed(type, oid, name, context, write);
    case "partial": {
      const { partial } = type;
      if (partial === undefined) return redact;
      const slow = shown(oid, format, (text) => write(normalised(type, text, partial)));
      return quickEnds(name, format, partialDigits, { first: 0, last: uuidDigits }, slow);
    }
    case "keep": {
      const { keep } = type;
      if (keep === undefined) return redact;
      const slow = shown(oid, format, (text) =>
        write(normalised(type, text, (t) => keep(t, mask.first, mask.last))),
      );
      return quickEnds(name, format, () => mask, mask, slow);
    }
    case "date": {
      const { date } = type;
      if (date === undefined) return redact;
      const quick = format === 0 ? quickDateText : quickDateBinary;
      const slow = shown(oid, format, (text) => write(date(text, mask.unit)));
      return quickly(quick(mask.unit, name === "date"), slow);
    }
    default:
      return mask satisfies never;
  }
}

interface Ends {
  readonly first: number;
  readonly last: number;
}

/**
 * Shows the ends of a value byte by byte, where its type is one of the frequent ones.
 * @param digits how many of so many digits of a number.
 * @param hex how many of a uuid.
 */
function quickEnds(
  name: string,
  format: 0 | 1,
  digits: (count: number) => Ends,
  hex: Ends,
  slow: CellMask,
): CellMask {
  if (name === "inet" || name === "cidr") return quickly(quickAddress(format, name === "cidr"), slow);
  if (name === "uuid") return quickly(quickUuid(format, hex.first, hex.last), slow);
  if (!decimals.has(name)) return slow;
  if (format === 0) return quickly(quickDigits(digits, name !== "numeric"), slow);
  const bytes = integerBytes.get(name);
  return quickly(bytes === undefined ? quickNumeric(digits) : quickInteger(bytes, digits), slow);
}

function hashed(
  type: ScalarType,
  oid: number,
  name: string,
  { keys, domain, format, typmod }: CellContext,
  write: (text: string | null) => Buffer | null,
): CellMask {
  const { hash } = type;
  if (hash === null) return toNull;
  const hmac = keys.hmac(domain, name);
  const ahead = keys.ahead();
  const normal = (b: Buffer, at: number, end: number): string | null => {
    const text = textOf(oid, format, b, at, end);
    return text === null ? null : type.normal(text);
  };
  const quick = quickHash(name, format, typmod);
  const quickText = Buffer.alloc(normalRoom);
  const append = (digest: Buffer, from: number, out: MaskOutput): number => {
    if (quick !== null) return quick.append(digest, from, out);
    const masked = write(hash(digest.subarray(from, from + 16), typmod));
    if (masked === null) return -1;
    out.copy(masked, 0, masked.length);
    return masked.length;
  };
  const computed: CellMask = (b, at, end, out) => {
    const found = ahead === null ? -1 : ahead.find(hmac, b, at, end);
    if (ahead !== null && found >= 0) return append(ahead.bytes, ahead.digest(found), out);
    const size = quick === null ? -1 : quick.normal(b, at, end, quickText, 0);
    if (size >= 0) return append(hmac.digest(quickText, 0, size), 0, out);
    const text = normal(b, at, end);
    if (text === null) return -1;
    const bytes = Buffer.from(text, "latin1");
    return append(hmac.digest(bytes, 0, bytes.length), 0, out);
  };
  return memoised(keys, JSON.stringify([name, domain, format, typmod]), computed, (b, at, end, lanes) => {
    if (quick !== null && lanes.addNormal(hmac, b, at, end, quick.normal)) return;
    // What is long, or cannot be read, is none of the values that are many.
    const text = end - at > maxAhead ? null : normal(b, at, end);
    if (text !== null) lanes.addText(hmac, at, end, text);
  });
}

function shown(oid: number, format: 0 | 1, compute: (text: string) => Buffer | null): CellMask {
  return (b, at, end, out) => {
    const text = textOf(oid, format, b, at, end);
    const masked = text === null ? null : compute(text);
    if (masked === null) return -1;
    out.copy(masked, 0, masked.length);
    return masked.length;
  };
}

function normalised(type: ScalarType, text: string, compute: (text: string) => string | null): string | null {
  return type.normal(text) === null ? null : compute(text);
}

function textOf(oid: number, format: 0 | 1, b: Buffer, at: number, end: number): string | null {
  if (end - at > maxSlow) return null;
  if (format === 0) return b.toString("latin1", at, end);
  const text = decodeParameter(oid, 1, b.subarray(at, end));
  return typeof text === "string" ? text : null;
}
