/** Values in binary format as PostgreSQL's text form (the types' send functions, read backwards). */
import { utf8OrNull } from "../bytes.ts";
import { arrayText } from "./array.ts";
import { float4Text, float8Text } from "./floats.ts";
import { inetText, macText } from "./network.ts";
import { numericText } from "./numeric.ts";
import { dateText, intervalText, timestampText, timeText, timetzText } from "./times.ts";
import { elementType, typeName } from "./types.ts";

/**
 * Gives a binary value of a built-in type as text; null for types that are not known here, malformed values, and text
 * that is not UTF-8. Object identifiers of the reg* types stay numbers; jsonb and xml stay as they were sent.
 */
export function binaryText(oid: number, b: Buffer): string | null {
  const element = elementType(oid);
  return element === undefined ? scalarText(oid, b) : arrayText(element, b, scalarText);
}

function scalarText(oid: number, b: Buffer): string | null {
  switch (typeName(oid)) {
    case "bool":
      return b.length === 1 ? (b[0] === 0 ? "f" : "t") : null;
    case "int2":
      return b.length === 2 ? String(b.readInt16BE(0)) : null;
    case "int4":
      return b.length === 4 ? String(b.readInt32BE(0)) : null;
    case "int8":
      return b.length === 8 ? String(b.readBigInt64BE(0)) : null;
    case "oid":
    case "xid":
    case "cid":
    case "regproc":
    case "regprocedure":
    case "regoper":
    case "regoperator":
    case "regclass":
    case "regtype":
    case "regconfig":
    case "regdictionary":
    case "regnamespace":
    case "regrole":
    case "regcollation":
      return b.length === 4 ? String(b.readUInt32BE(0)) : null;
    case "xid8":
      return b.length === 8 ? String(b.readBigUInt64BE(0)) : null;
    case "float4":
      return b.length === 4 ? float4Text(b.readFloatBE(0)) : null;
    case "float8":
      return b.length === 8 ? float8Text(b.readDoubleBE(0)) : null;
    case "numeric":
      return numericText(b);
    case "text":
    case "varchar":
    case "bpchar":
    case "name":
    case "unknown":
    case "cstring":
    case "refcursor":
    case "json":
    case "xml":
      return utf8OrNull(b);
    case "jsonb":
    case "jsonpath":
      return b[0] === 1 ? utf8OrNull(b.subarray(1)) : null;
    case "char":
      return charText(b);
    case "void":
      return b.length === 0 ? "" : null;
    case "bytea":
      return `\\x${b.toString("hex")}`;
    case "uuid":
      return b.length === 16
        ? b.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
        : null;
    case "date":
      return dateText(b);
    case "time":
      return timeText(b);
    case "timetz":
      return timetzText(b);
    case "timestamp":
      return timestampText(b, "");
    case "timestamptz":
      return timestampText(b, "+00");
    case "interval":
      return intervalText(b);
    case "inet":
      return inetText(b, false);
    case "cidr":
      return inetText(b, true);
    case "macaddr":
      return macText(b, 6);
    case "macaddr8":
      return macText(b, 8);
    case "bit":
    case "varbit":
      return bitText(b);
    default:
      return null;
  }
}

/** "char": one byte; 0 is the empty string, bytes above 0x7f are shown in octal (PostgreSQL 16). */
function charText(b: Buffer): string | null {
  const byte = b[0];
  if (byte === undefined || b.length !== 1) return null;
  if (byte === 0) return "";
  return byte < 0x80 ? String.fromCharCode(byte) : `\\${byte.toString(8)}`;
}

/** bit and varbit: Int32 number of bits, then the bits, first one highest. */
function bitText(b: Buffer): string | null {
  if (b.length < 4) return null;
  const length = b.readInt32BE(0);
  if (length < 0 || b.length !== 4 + Math.ceil(length / 8)) return null;
  let text = "";
  for (const byte of b.subarray(4)) text += byte.toString(2).padStart(8, "0");
  return text.slice(0, length);
}
