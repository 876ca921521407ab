/**
 * What masks of each type cost: CPU per row (process.cpuUsage, all threads) of rows with seven columns, two of them of the type and
 * masked, in chunks of 64 KiB. Median and least of short batches. `node bench/masking.ts --types [type,...] [mask,...] [batches]`
 */
import { isIPv6 } from "node:net";
import type { Mask } from "../src/facts/effects.ts";
import { createRowMasker, type MaskKeys, MaskOutput } from "../src/masking/index.ts";
import { dataRow } from "./maskrows.ts";

const samples = 20_000;
const batch = 5000;
const batches = Number(process.argv[5] ?? 15);

interface Sample {
  readonly type: number;
  /** The n-th value as the server prints it; all are different, as far as the type has so many. */
  text(n: number): string;
  /** The same as the server sends it in binary format. */
  binary(text: string): Buffer;
}

const masks: readonly Mask[] = [
  { kind: "hash" },
  { kind: "partial" },
  { kind: "keep", first: 1, last: 2 },
  { kind: "redact" },
  { kind: "date", unit: "month" },
];

/** Spread over the numbers below 2^32, all different. */
const spread = (n: number): number => Math.imul(n + 1, 0x9e37_79b1) >>> 0;
const hex = (n: number, width: number): string => n.toString(16).padStart(width, "0");
const two = (n: number): string => String(n).padStart(2, "0");
const clock = (n: number): string =>
  `${two(n % 24)}:${two(n % 60)}:${two(n % 59)}.${String(100_000 + n).slice(0, 6)}`;
/** One of 40,000 days from 1910 on. */
const day = (n: number): string =>
  new Date(Date.UTC(1910, 0, 1 + (spread(n) % 40_000))).toISOString().slice(0, 10);
const unhex = (text: string): Buffer => Buffer.from(text.replace(/[^0-9a-f]/g, ""), "hex");

function bigEndian(size: number, write: (b: Buffer) => void): Buffer {
  const b = Buffer.alloc(size);
  write(b);
  return b;
}

const integer = (bytes: 2 | 4 | 8) => (text: string) =>
  bigEndian(8, (b) => b.writeBigInt64BE(BigInt(text))).subarray(8 - bytes);

const epoch = Date.UTC(2000, 0, 1);
const micros = (text: string): Buffer => {
  const [whole = "", fraction = ""] = text.replace("+00", "").replace(" ", "T").split(".");
  const since = BigInt(Date.parse(`${whole}Z`) - epoch) * 1000n + BigInt(fraction.padEnd(6, "0"));
  return bigEndian(8, (b) => b.writeBigInt64BE(since));
};

/** Positive, with two digits behind the point. */
function numeric(text: string): Buffer {
  const [whole = "", fraction = ""] = text.split(".");
  const padded = whole.padStart(Math.ceil(whole.length / 4) * 4, "0");
  const digits = `${padded}${fraction.padEnd(4, "0")}`.match(/\d{4}/g) ?? [];
  return bigEndian(8 + digits.length * 2, (b) => {
    b.writeUInt16BE(digits.length, 0);
    b.writeInt16BE(padded.length / 4 - 1, 2);
    b.writeUInt16BE(fraction.length, 6);
    for (const [i, group] of digits.entries()) b.writeUInt16BE(Number(group), 8 + i * 2);
  });
}

function address(isCidr: boolean) {
  return (text: string): Buffer => {
    const [host = "", bits] = text.split("/");
    const six = isIPv6(host);
    const words = six && host.split(":").map((word) => word.padStart(4, "0"));
    const bytes = words ? unhex(words.join("")) : Buffer.from(host.split(".").map(Number));
    return Buffer.concat([
      Buffer.from([six ? 3 : 2, Number(bits ?? bytes.length * 8), isCidr ? 1 : 0, bytes.length]),
      bytes,
    ]);
  };
}

const ipv4 = (n: number): string => `10.${spread(n) >>> 24}.${(n >>> 8) & 255}.${n & 255}`;
const ipv6 = (n: number): string =>
  `2001:db8:${hex(0x1000 + n, 4)}:1111:2222:3333:${hex(0x1000 + (spread(n) >>> 17), 4)}:4444`;
const latin = (text: string): Buffer => Buffer.from(text);

const types: Readonly<Record<string, Sample>> = {
  text: { type: 25, text: (n) => `maria.gonzalez.${n}@example.com`, binary: latin },
  bpchar: { type: 1042, text: (n) => `Maria Gonzalez ${n}    `, binary: latin },
  jsonb: {
    type: 3802,
    text: (n) => `{"n": ${n}, "name": "Maria"}`,
    binary: (text) => Buffer.concat([Buffer.from([1]), Buffer.from(text)]),
  },
  int2: { type: 21, text: (n) => String(n), binary: integer(2) },
  int4: { type: 23, text: (n) => String(spread(n) >>> 1), binary: integer(4) },
  int8: { type: 20, text: (n) => String(spread(n) * 1000), binary: integer(8) },
  "int8 above 2^53": {
    type: 20,
    text: (n) => String((BigInt(spread(n)) << 30n) + 2n ** 54n),
    binary: integer(8),
  },
  numeric: { type: 1700, text: (n) => (spread(n) / 100).toFixed(2), binary: numeric },
  float4: {
    type: 700,
    text: (n) => String((spread(n) % 1_000_000) / 100),
    binary: (text) => bigEndian(4, (b) => b.writeFloatBE(Number(text))),
  },
  float8: {
    type: 701,
    text: (n) => String(spread(n) / 100),
    binary: (text) => bigEndian(8, (b) => b.writeDoubleBE(Number(text))),
  },
  "float8 of 17 digits": {
    type: 701,
    text: (n) => String(spread(n) / 0x1_0000_0007 + n),
    binary: (text) => bigEndian(8, (b) => b.writeDoubleBE(Number(text))),
  },
  bool: { type: 16, text: (n) => (n % 2 === 0 ? "t" : "f"), binary: (t) => Buffer.from([t === "t" ? 1 : 0]) },
  char: { type: 18, text: (n) => String.fromCharCode(65 + (n % 26)), binary: latin },
  date: {
    type: 1082,
    text: day,
    binary: (text) => bigEndian(4, (b) => b.writeInt32BE((Date.parse(`${text}Z`) - epoch) / 86_400_000)),
  },
  time: { type: 1083, text: clock, binary: (text) => micros(`2000-01-01 ${text}`) },
  timestamp: { type: 1114, text: (n) => `${day(n)} ${clock(n)}`, binary: micros },
  timestamptz: { type: 1184, text: (n) => `${day(n)} ${clock(n)}+00`, binary: micros },
  uuid: {
    type: 2950,
    text: (n) => `${hex(spread(n), 8)}-1234-4567-89ab-${hex(spread(n), 12)}`,
    binary: unhex,
  },
  bytea: { type: 17, text: (n) => `\\x${hex(spread(n), 16)}0123456789abcdef`, binary: unhex },
  "bytea of 64 bytes": {
    type: 17,
    text: (n) => `\\x${hex(spread(n), 16)}${"0123456789abcdef".repeat(7)}`,
    binary: unhex,
  },
  inet: { type: 869, text: ipv4, binary: address(false) },
  "inet v6": { type: 869, text: ipv6, binary: address(false) },
  cidr: { type: 650, text: (n) => `${ipv4(n).replace(/\d+$/, "0")}/24`, binary: address(true) },
  macaddr: {
    type: 829,
    text: (n) => hex(spread(n), 12).replace(/(..)(?=.)/g, "$1:"),
    binary: unhex,
  },
  macaddr8: {
    type: 774,
    text: (n) => hex(spread(n), 16).replace(/(..)(?=.)/g, "$1:"),
    binary: unhex,
  },
};

/** Prints a table: a row for each type and format, a column for each mask. "median (least)", in µs. */
export function measureTypes(
  keys: MaskKeys,
  wantedTypes: string | undefined,
  wantedMasks: string | undefined,
): void {
  const names = Object.keys(types).filter(
    (name) =>
      wantedTypes === undefined ||
      wantedTypes === "" ||
      wantedTypes.split(",").some((w) => name === w || name.startsWith(`${w} `)),
  );
  const chosen = masks.filter(
    (mask) => wantedMasks === undefined || wantedMasks.split(",").includes(mask.kind),
  );
  if (names.length === 0 || chosen.length === 0)
    throw new Error(
      `nothing to measure; types: ${Object.keys(types).join(", ")}; masks: ${masks.map(({ kind }) => kind).join(", ")}`,
    );
  console.log("us CPU/row".padEnd(28), ...chosen.map((mask) => mask.kind.padStart(12)));
  for (const name of names)
    for (const format of [0, 1] as const) {
      const sample = types[name] as Sample;
      const chunks = chunksOf(sample, format);
      const cells = chosen.map((mask) => {
        // Text that holds dates, not columns of numbers.
        if (mask.kind === "date" && ![1082, 1114, 1184].includes(sample.type)) return "".padStart(12);
        return measure(mask, sample.type, format, chunks, keys).padStart(12);
      });
      console.log(`${name}, ${format === 0 ? "text" : "binary"}`.padEnd(28), ...cells);
    }
}

function chunksOf(sample: Sample, format: 0 | 1): { chunk: Buffer; rows: number }[] {
  const chunks: { chunk: Buffer; rows: number }[] = [];
  let pending: Buffer[] = [];
  let size = 0;
  const value = (n: number): Buffer => {
    const text = sample.text(n);
    return format === 0 ? Buffer.from(text) : sample.binary(text);
  };
  const others = (n: number): string[] => [
    String(n),
    `Maria Gonzalez ${n}`,
    "Rothenburg ob der Tauber",
    `2024-05-06 07:08:09.${100_000 + n}+00`,
    "12345.67",
  ];
  for (let n = 0; n < samples; n++) {
    const [id = "", name = "", ...rest] = others(n);
    const all = [id, name, value(n), value(samples - 1 - n), ...rest];
    const row = dataRow(all.map((one) => (typeof one === "string" ? Buffer.from(one) : one)));
    pending.push(row);
    size += row.length;
    if (size > 64 * 1024 || n === samples - 1) {
      chunks.push({ chunk: Buffer.concat(pending), rows: pending.length });
      pending = [];
      size = 0;
    }
  }
  return chunks;
}

function measure(
  mask: Mask,
  type: number,
  format: 0 | 1,
  chunks: readonly { chunk: Buffer; rows: number }[],
  keys: MaskKeys,
): string {
  const column = { mask, label: "pii", column: "c", domain: "d" };
  const plan = { columns: [null, null, column, column, null, null, null], scrub: true };
  const columns = [23, 25, type, type, 25, 1184, 1700].map((oid) => ({ type: oid, typmod: -1, format }));
  const masker = createRowMasker(plan, columns, keys);
  const out = new MaskOutput();
  let next = 0;
  const go = (rows: number): number => {
    let done = 0;
    while (done < rows) {
      const { chunk, rows: count } = chunks[next++ % chunks.length] as { chunk: Buffer; rows: number };
      masker.maskInto(chunk, 0, chunk.length, out);
      out.take();
      done += count;
    }
    return done;
  };
  go(samples);
  const times = Array.from({ length: batches }, () => {
    const cpu = process.cpuUsage();
    const done = go(batch);
    const used = process.cpuUsage(cpu);
    return (used.user + used.system) / done;
  }).sort((x, y) => x - y);
  return `${times[batches >> 1]?.toFixed(2)} (${times[0]?.toFixed(2)})`;
}
