/** `limits:` of a rule. */
import type { Reader, Spot } from "../yaml/reader.ts";
import { readDuration, readSize } from "./units.ts";

/** Limits as written; null: not given. Times in milliseconds. */
export interface RuleLimits {
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly timeoutMs: number | null;
  readonly affectedRows: number | null;
  readonly perMinute: number | null;
  readonly perHour: number | null;
  readonly perDay: number | null;
  readonly rowsPerHour: number | null;
  readonly rowsPerDay: number | null;
}

export const noLimits: RuleLimits = {
  rows: null,
  bytes: null,
  timeoutMs: null,
  affectedRows: null,
  perMinute: null,
  perHour: null,
  perDay: null,
  rowsPerHour: null,
  rowsPerDay: null,
};

const known = [
  "rows",
  "bytes",
  "timeout",
  "affected_rows",
  "per_minute",
  "per_hour",
  "per_day",
  "rows_per_hour",
  "rows_per_day",
] as const;
const most = 1_000_000_000_000;
const day = 86_400_000;

export function readLimits(reader: Reader, spot: Spot): RuleLimits | null {
  const fields = reader.map(spot, known, "limits such as { rows: 1000, bytes: 10MiB, timeout: 30s }");
  if (fields === null) return null;
  const given = (field: Spot | undefined, least: number) =>
    field === undefined ? null : reader.whole(field, least, most);
  return {
    rows: given(fields.rows, 0),
    bytes: fields.bytes === undefined ? null : readSize(reader, fields.bytes),
    timeoutMs: fields.timeout === undefined ? null : readDuration(reader, fields.timeout, 1, day),
    affectedRows: given(fields.affected_rows, 0),
    perMinute: given(fields.per_minute, 1),
    perHour: given(fields.per_hour, 1),
    perDay: given(fields.per_day, 1),
    rowsPerHour: given(fields.rows_per_hour, 1),
    rowsPerDay: given(fields.rows_per_day, 1),
  };
}
