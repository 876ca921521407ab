/**
 * Hashes without a detour through strings, of every type that is masked by way of its text: what numbers.ts and others.ts say of it,
 * byte by byte.
 */
import { precisionOf } from "../numbers.ts";
import {
  appendBytea,
  appendMac,
  appendUuid,
  byteaBinary,
  byteaText,
  macBinary,
  macText,
  uuidBinary,
  uuidText,
} from "./bytes.ts";
import { appendFloat, floatBinary, floatText } from "./floats.ts";
import { addressBinary, addressText, appendAddress } from "./network.ts";
import {
  appendInteger,
  appendNumeric,
  integerBinary,
  integerText,
  numericBinary,
  numericText,
} from "./numbers.ts";
import type { QuickHash } from "./parts.ts";
import {
  appendDate,
  appendTime,
  appendTimestamp,
  dateBinary,
  dateText,
  timeBinary,
  timestampBinary,
  timestampText,
  timeText,
} from "./times.ts";

/** What hashes a type in a format; null: only the general way does. */
export function quickHash(name: string, format: 0 | 1, typmod: number): QuickHash | null {
  const text = format === 0;
  switch (name) {
    case "int2":
      return { normal: text ? integerText : integerBinary(2), append: appendInteger(2, text) };
    case "int4":
      return { normal: text ? integerText : integerBinary(4), append: appendInteger(4, text) };
    case "int8":
      return { normal: text ? integerText : integerBinary(8), append: appendInteger(8, text) };
    case "numeric": {
      const precision = precisionOf(typmod);
      if (precision !== null && (precision.precision < 4 || precision.scale < 0)) return null;
      return { normal: text ? numericText : numericBinary, append: appendNumeric(precision, text) };
    }
    case "float4":
      return { normal: text ? floatText(4) : floatBinary(4), append: appendFloat(4, text) };
    case "float8":
      return { normal: text ? floatText(8) : floatBinary(8), append: appendFloat(8, text) };
    case "uuid":
      return { normal: text ? uuidText : uuidBinary, append: appendUuid(text) };
    case "date":
      return { normal: text ? dateText : dateBinary, append: appendDate(text) };
    case "time":
      return { normal: text ? timeText : timeBinary, append: appendTime(text) };
    case "timestamp":
      return { normal: text ? timestampText(false) : timestampBinary, append: appendTimestamp(text, false) };
    case "timestamptz":
      return { normal: text ? timestampText(true) : timestampBinary, append: appendTimestamp(text, true) };
    case "bytea":
      return { normal: text ? byteaText : byteaBinary, append: appendBytea(text) };
    case "inet":
      return { normal: text ? addressText : addressBinary(false), append: appendAddress(false, text) };
    case "cidr":
      return { normal: text ? addressText : addressBinary(true), append: appendAddress(true, text) };
    case "macaddr":
      return { normal: text ? macText(6) : macBinary(6), append: appendMac(6, text) };
    case "macaddr8":
      return { normal: text ? macText(8) : macBinary(8), append: appendMac(8, text) };
    default:
      return null;
  }
}
