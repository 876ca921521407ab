/** What is known of types: how their values look in both formats (PostgreSQL manual, "Data Types"; the send functions of each type). */

export type Kind = "text" | "int" | "bool" | "uuid" | "json" | "time" | "number" | "bytes" | "other";

const kinds: ReadonlyMap<string, Kind> = new Map([
  ...["text", "varchar", "bpchar", "name", "char", "xml", "unknown", "citext"].map(
    (t) => [t, "text"] as const,
  ),
  ...["int2", "int4", "int8", "oid"].map((t) => [t, "int"] as const),
  ["bool", "bool"],
  ["uuid", "uuid"],
  ["json", "json"],
  ["jsonb", "json"],
  ...["date", "time", "timetz", "timestamp", "timestamptz", "interval"].map((t) => [t, "time"] as const),
  ...["float4", "float8", "numeric"].map((t) => [t, "number"] as const),
  ["bytea", "bytes"],
]);

export function kindOf(type: string): Kind {
  return kinds.get(type) ?? "other";
}

/** Types whose binary form is their text. */
export function sameInBoth(type: string): boolean {
  return kindOf(type) === "text" || type === "json";
}

/** Bytes of a value in binary form, of types where they are always so many. */
const sizes: ReadonlyMap<string, number> = new Map([
  ["bool", 1],
  ["int2", 2],
  ["int4", 4],
  ["oid", 4],
  ["float4", 4],
  ["date", 4],
  ["int8", 8],
  ["float8", 8],
  ["money", 8],
  ["time", 8],
  ["timestamp", 8],
  ["timestamptz", 8],
  ["timetz", 12],
  ["interval", 16],
  ["uuid", 16],
]);

/** Whether a value of a type may be one in binary form, where nothing tells. */
export function mayBeBinary(type: string, value: Buffer): boolean {
  if (sameInBoth(type)) return false;
  if (type === "bool") return value.length === 1 && value[0] !== 0x74 && value[0] !== 0x66;
  const size = sizes.get(type);
  if (size !== undefined) return value.length === size;
  if (type === "numeric" || type === "jsonb" || type === "inet" || type === "cidr" || type.startsWith("_"))
    // Their binary forms begin with such a byte, their text never.
    return (value[0] ?? 0) < 0x20;
  return true;
}

const dayMs = 86_400_000;
/** 2000-01-01, from which PostgreSQL counts. */
const epochMs = 946_684_800_000;

/**
 * The binary form of a value that is given in text form. undefined: not known here, or another text may stand for it, too;
 * null: no text of this type, so that it is no such value.
 */
export function binaryOf(type: string, text: Buffer): Buffer | null | undefined {
  if (sameInBoth(type)) return text;
  const s = text.toString("latin1");
  switch (type) {
    case "int2":
    case "int4":
    case "int8":
    case "oid":
      return integer(type, s);
    case "bool":
      return s === "t" ? Buffer.from([1]) : s === "f" ? Buffer.from([0]) : null;
    case "uuid":
      return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(s)
        ? Buffer.from(s.replaceAll("-", ""), "hex")
        : undefined;
    case "bytea":
      return /^\\x(?:[0-9a-f]{2})*$/.test(s) ? Buffer.from(s.slice(2), "hex") : undefined;
    case "float4":
    case "float8":
      return float(type, s);
    case "date":
    case "timestamp":
    case "timestamptz":
      return instant(type, s);
    default:
      return undefined;
  }
}

function integer(type: "int2" | "int4" | "int8" | "oid", text: string): Buffer | null {
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(text)) return null;
  const value = BigInt(text);
  const bits = type === "int2" ? 16 : type === "int8" ? 64 : 32;
  const fits = type === "oid" ? BigInt.asUintN(32, value) : BigInt.asIntN(bits, value);
  if (fits !== value) return null;
  const out = Buffer.alloc(bits / 8);
  if (bits === 16) out.writeInt16BE(Number(value));
  else if (bits === 64) out.writeBigInt64BE(value);
  else if (type === "oid") out.writeUInt32BE(Number(value));
  else out.writeInt32BE(Number(value));
  return out;
}

function float(type: "float4" | "float8", text: string): Buffer | undefined {
  if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text)) return undefined;
  const out = Buffer.alloc(type === "float4" ? 4 : 8);
  if (type === "float4") out.writeFloatBE(Number(text));
  else out.writeDoubleBE(Number(text));
  return out;
}

const iso = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?)?)?$/;

/** Dates and times in ISO form; those written otherwise, and infinite ones, are not known here. */
function instant(type: "date" | "timestamp" | "timestamptz", text: string): Buffer | null | undefined {
  const found = iso.exec(text);
  if (found === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", sign, zone, zoneMinutes = "0"] = found;
  const date = new Date(0).setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const day0 = new Date(date);
  if (day0.getUTCMonth() + 1 !== Number(month) || day0.getUTCDate() !== Number(day)) return null;
  if (Number(hour ?? 0) > 23 || Number(minute ?? 0) > 59 || Number(second ?? 0) > 59) return null;
  if (type === "date") {
    if (hour !== undefined) return undefined;
    const out = Buffer.alloc(4);
    out.writeInt32BE((date - epochMs) / dayMs);
    return out;
  }
  if (hour === undefined || (sign === undefined) !== (type === "timestamp")) return undefined;
  const offset = sign === undefined ? 0 : Number(zone) * 3600 + Number(zoneMinutes) * 60;
  const local = (date - epochMs) / 1000 + Number(hour) * 3600 + Number(minute) * 60 + Number(second);
  const seconds = sign === "-" ? local + offset : local - offset;
  const out = Buffer.alloc(8);
  out.writeBigInt64BE(BigInt(seconds) * 1_000_000n + BigInt(fraction.padEnd(6, "0")));
  return out;
}

/** A number in text form; null: it is none, or not finite. */
export function textNumber(_type: string, value: Buffer): number | null {
  const text = value.toString("latin1");
  if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text)) return null;
  const number = Number(text);
  return Number.isFinite(number) ? number : null;
}

/** A float in binary form; null: it is none, or not finite. */
export function binaryNumber(type: string, value: Buffer): number | null {
  if (value.length !== sizes.get(type)) return null;
  const number =
    type === "float4" ? value.readFloatBE() : type === "float8" ? value.readDoubleBE() : Number.NaN;
  return Number.isFinite(number) ? number : null;
}

/** Whether a number as a program may have rewritten it is surely not the one delivered: programs keep 6 digits at the least. */
export function isOtherNumber(delivered: number | null, copy: number | null): boolean {
  if (delivered === null || copy === null) return false;
  return Math.abs(delivered - copy) > 1e-5 * Math.max(Math.abs(delivered), Math.abs(copy));
}
