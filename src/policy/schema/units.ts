/** Sizes and times as policy files write them. */
import { describe, type Reader, type Spot } from "../yaml/reader.ts";

const sizes: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const times: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Bytes from "10MiB", "512KiB" or a plain number; at least 1. */
export function readSize(reader: Reader, spot: Spot): number | null {
  const expected = "a size such as 10MiB, 512KiB or a number of bytes";
  const { node } = spot;
  const written = node.kind === "scalar" ? String(node.value) : "";
  const match = /^(\d{1,15})(B|KiB|MiB|GiB)?$/.exec(written);
  const bytes = match === null ? 0 : Number(match[1]) * (sizes[match[2] ?? ""] ?? 1);
  if (bytes >= 1 && Number.isSafeInteger(bytes)) return bytes;
  return reader.fail(spot, describe(node), expected);
}

/** Milliseconds from "500ms", "30s", "15m", "8h", "1d"; `least` to `most`. */
export function readDuration(reader: Reader, spot: Spot, least: number, most: number): number | null {
  const expected = `a time from ${showTime(least)} to ${showTime(most)}, such as 30s, 15m or 8h`;
  const { node } = spot;
  const written = node.kind === "scalar" ? String(node.value) : "";
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(written);
  const ms = match === null ? -1 : Number(match[1]) * (times[match[2] ?? ""] ?? 0);
  return ms >= least && ms <= most ? ms : reader.fail(spot, describe(node), expected);
}

function showTime(ms: number): string {
  for (const unit of ["d", "h", "m", "s"])
    if (ms % (times[unit] ?? 1) === 0 && ms > 0) return `${ms / (times[unit] ?? 1)}${unit}`;
  return `${ms}ms`;
}
