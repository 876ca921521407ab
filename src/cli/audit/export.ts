/** `postern audit export`: records in the format of other programs, to standard output. */
import { once } from "node:events";
import { encodeMany } from "../../audit/export/encode.ts";
import { about, type ExportFormat, type ExportRecord, formats } from "../../audit/export/record.ts";
import { ExportSource } from "../../audit/export/source.ts";
import { RecordFilter } from "../../audit/read/filters.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { packageVersion } from "../lib/version.ts";
import { filterOptions, filterUsage, readFilters } from "./filters.ts";
import { findPlace, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit export --format ${formats.join("|")} [filters] > FILE

Writes records one a line (otlp: a request of up to 500 records a line), oldest first, each with its leaf hash and place.
All formats but jsonl leave things out: docs/audit-exports.md says what. Sealed text is never exported.

      --format F              jsonl: the records as stored; ocsf, ecs, cef, otlp
${filterUsage}${placeUsage}
An outcome is exported when its statement fits. Exit code 0: done. 1: no record fits.
`;

const most = { records: 500, bytes: 1024 * 1024 };

export async function exportLog(args: string[]): Promise<number> {
  const options = { ...placeOptions, ...filterOptions, format: { type: "string" } } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const { values } = parsed;
  const format = formats.find((f) => f === values.format);
  if (format === undefined) throw new UsageError(`--format is one of ${formats.join(", ")}`, usage);
  const filters = readFilters(values, usage);
  const place = await findPlace(values, usage);
  const { status, type, since, until, ...of } = filters;
  const own = new RecordFilter({
    ...(type === undefined ? {} : { type }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  });
  const statement = new RecordFilter(of);
  const fits = (record: ExportRecord) =>
    own.fits(record.leaf, record.index) &&
    statement.fits(about(record), record.index) &&
    (status === undefined || (record.leaf.type === "statement.outcome" && record.leaf.status === status));
  let written = 0;
  for (const log of place.logs) {
    const source = new ExportSource(log, null);
    for (;;) {
      const records = source.read(most.records, most.bytes);
      if (records.length === 0) break;
      const chosen = records.filter(fits);
      written += chosen.length;
      if (chosen.length > 0) await print(chosen, format);
    }
  }
  return written > 0 ? 0 : 1;
}

/** A reader that is slower than the log must not make it gather in memory. */
async function print(records: readonly ExportRecord[], format: ExportFormat): Promise<void> {
  const { body } = encodeMany(records, format, { version: packageVersion() });
  const text = format === "otlp" ? `${body}\n` : body;
  if (!process.stdout.write(text)) await once(process.stdout, "drain");
}
