/** Masks of dates, times, uuid, bool, bytea, "char" and network addresses. */
import { decodeParameter } from "../../protocol/index.ts";
import { mayKeep } from "./partial.ts";
import type { ScalarType } from "./scalar.ts";
import { dateDays, dateOfDays, spanDays, timeMicros, timestampMicros, truncateIso } from "./times.ts";

export const dateType: ScalarType = {
  redact: () => "1970-01-01",
  normal: (text) => dateDays(text)?.toString() ?? null,
  hash: (digest) => dateOfDays(digest.readUInt32BE(0) % spanDays),
  date: (text, unit) => checked(text, unit, dateDays),
  binary(text) {
    const days = dateDays(text);
    if (days === null) return null;
    const b = Buffer.alloc(4);
    b.writeInt32BE(days);
    return b;
  },
};

/** timestamp, and timestamptz with its values' zones. */
export function timestampType(zone: "" | "+00"): ScalarType {
  return {
    redact: () => `1970-01-01 00:00:00${zone}`,
    normal: (text) => timestampMicros(text)?.toString() ?? null,
    hash(digest) {
      const clock = new Date((digest.readUInt32BE(4) % 86_400) * 1000).toISOString().slice(11, 19);
      return `${dateOfDays(digest.readUInt32BE(0) % spanDays)} ${clock}${zone}`;
    },
    date: (text, unit) => checked(text, unit, timestampMicros),
    binary(text) {
      const micros = timestampMicros(text);
      if (micros === null) return null;
      const b = Buffer.alloc(8);
      b.writeBigInt64BE(micros);
      return b;
    },
  };
}

/** Truncates what the type takes, before and after: the first of a year may lie before its first value. */
function checked(
  text: string,
  unit: "year" | "month" | "day",
  read: (text: string) => number | bigint | null,
): string | null {
  if (read(text) === null) return null;
  const shown = truncateIso(text, unit);
  return shown === null || read(shown) === null ? null : shown;
}

export const timeType: ScalarType = {
  redact: () => "00:00:00",
  normal: (text) => timeMicros(text)?.toString() ?? null,
  hash: (digest) => new Date((digest.readUInt32BE(0) % 86_400) * 1000).toISOString().slice(11, 19),
  binary(text) {
    const micros = timeMicros(text);
    if (micros === null) return null;
    const b = Buffer.alloc(8);
    b.writeBigInt64BE(BigInt(micros));
    return b;
  },
};

const uuidParts = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/;

/** Digits that a partial mask shows. */
export const uuidDigits = 4;

export const uuidType: ScalarType = {
  redact: () => dashed("0".repeat(32)),
  normal: (text) => (uuidParts.test(text) ? text : null),
  hash(digest) {
    const id = Buffer.from(digest.subarray(0, 16));
    // Version 8, "custom" (RFC 9562, section 5.8): no real identifier of versions 1 to 7 can be met.
    id[6] = (digest.readUInt8(6) & 0x0f) | 0x80;
    id[8] = (digest.readUInt8(8) & 0x3f) | 0x80;
    return dashed(id.toString("hex"));
  },
  partial: (text) => keepHex(text, 0, uuidDigits),
  keep: keepHex,
  binary: (text) => Buffer.from(text.replaceAll("-", ""), "hex"),
};

function keepHex(text: string, first: number, last: number): string | null {
  if (!uuidParts.test(text)) return null;
  const hex = text.replaceAll("-", "");
  if (!mayKeep(32, first, last)) return dashed("0".repeat(32));
  return dashed(hex.slice(0, first) + "0".repeat(32 - first - last) + hex.slice(32 - last));
}

function dashed(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export const boolType: ScalarType = {
  redact: () => "f",
  normal: (text) => (text === "t" || text === "f" ? text : null),
  hash: null,
  binary: (text) => Buffer.from([text === "t" ? 1 : 0]),
};

/** "char", one byte. */
export const charType: ScalarType = {
  redact: () => "*",
  normal: (text) => text,
  hash: null,
  binary: (text) => Buffer.from(text, "latin1"),
};

export const byteaType: ScalarType = {
  redact: () => "\\x",
  normal: byteaHex,
  hash: (digest) => `\\x${digest.toString("hex", 0, 16)}`,
  binary: (text) => Buffer.from(text.slice(2), "hex"),
};

/** Both forms of bytea_output as hex (manual, "Binary Data Types"). */
function byteaHex(text: string): string | null {
  if (text.startsWith("\\x")) return text.length % 2 === 0 && !/[^0-9a-f]/.test(text.slice(2)) ? text : null;
  const bytes = text.replace(/\\(\\|[0-3][0-7]{2})/g, (_, code: string) =>
    code === "\\" ? "\\" : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return `\\x${Buffer.from(bytes, "latin1").toString("hex")}`;
}

const inetOid = 869;
const cidrOid = 650;
const ipv4 = /^(\d{1,3})\.\d{1,3}\.\d{1,3}\.\d{1,3}(?:\/\d{1,2})?$/;
const ipv6 = /^[0-9a-f:.]{2,45}(?:\/\d{1,3})?$/;

/** inet and cidr. A partial address is the first eighth or quarter of its bits. */
export function addressType(isCidr: boolean): ScalarType {
  return {
    redact: () => (isCidr ? "0.0.0.0/32" : "0.0.0.0"),
    normal: (text) => (ipv4.test(text) || ipv6.test(text) ? text : null),
    hash(digest) {
      // A unique local address (RFC 4193): routed nowhere.
      const b = Buffer.concat([Buffer.from([3, 128, isCidr ? 1 : 0, 16, 0xfd]), digest.subarray(0, 15)]);
      const text = decodeParameter(isCidr ? cidrOid : inetOid, 1, b);
      return typeof text === "string" ? text : null;
    },
    partial(text) {
      const first = ipv4.exec(text)?.[1];
      if (first !== undefined) return `${first}.0.0.0${isCidr ? "/8" : ""}`;
      if (!ipv6.test(text)) return null;
      const word = text.slice(0, text.indexOf(":"));
      return word === "" || word.includes(".")
        ? `::${isCidr ? "/16" : ""}`
        : `${word}::${isCidr ? "/16" : ""}`;
    },
    binary: (text) => addressBinary(text, isCidr),
  };
}

/** inet_send: family, bits of the mask, 1 for cidr, number of bytes, address. Takes what the masks above give. */
function addressBinary(text: string, isCidr: boolean): Buffer | null {
  const [address = "", bits] = text.split("/");
  if (!address.includes(":")) {
    const bytes = address.split(".").map(Number);
    return Buffer.from([2, Number(bits ?? 32), isCidr ? 1 : 0, 4, ...bytes]);
  }
  const [head = "", tail] = address.split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const words =
    tail === undefined ? front : [...front, ...Array(8 - front.length - back.length).fill("0"), ...back];
  if (words.length !== 8) return null;
  const b = Buffer.alloc(20);
  b.set([3, Number(bits ?? 128), isCidr ? 1 : 0, 16]);
  for (const [i, word] of words.entries()) b.writeUInt16BE(Number.parseInt(word, 16), 4 + i * 2);
  return b;
}

/** @param bytes 6 for macaddr, 8 for macaddr8. */
export function macType(bytes: 6 | 8): ScalarType {
  const pattern = new RegExp(`^[0-9a-f]{2}(?::[0-9a-f]{2}){${bytes - 1}}$`);
  return {
    redact: () => Array(bytes).fill("00").join(":"),
    normal: (text) => (pattern.test(text) ? text : null),
    hash(digest) {
      const address = Buffer.from(digest.subarray(0, bytes));
      // Locally administered, of one station (IEEE 802, the two lowest bits of the first byte).
      address[0] = (digest.readUInt8(0) & 0xfc) | 2;
      return Array.from(address, (byte) => byte.toString(16).padStart(2, "0")).join(":");
    },
    binary: (text) => Buffer.from(text.replaceAll(":", ""), "hex"),
  };
}
