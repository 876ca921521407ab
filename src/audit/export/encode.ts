/** Records as the text of a format. */
import { toCef } from "./cef.ts";
import { toEcs } from "./ecs.ts";
import { toOcsf } from "./ocsf.ts";
import { toOtlpRequest } from "./otlp.ts";
import type { ExportFormat, ExportRecord, Product } from "./record.ts";

/**
 * One record in one line, without its end. The jsonl line is the place of the leaf, and then the leaf exactly as it is stored: what
 * stands behind `"index":<n>,` with a `{` before it is the bytes that its hash is of.
 */
export function encodeOne(record: ExportRecord, format: ExportFormat, product: Product): string {
  switch (format) {
    case "jsonl":
      return `{${logOf(record)}"index":${record.index},${record.stored.slice(1)}`;
    case "ocsf":
      return JSON.stringify(toOcsf(record, product));
    case "ecs":
      return JSON.stringify(toEcs(record, product));
    case "cef":
      return toCef(record, product);
    case "otlp":
      return JSON.stringify(toOtlpRequest([record], product));
  }
}

/** log.opened says itself which log it is of, and receivers refuse an object that has a name twice. */
function logOf({ log, leaf }: ExportRecord): string {
  return Object.hasOwn(leaf, "log") ? "" : `"log":${JSON.stringify(log)},`;
}

/** Several records as the body of one request, with its media type. */
export function encodeMany(
  records: readonly ExportRecord[],
  format: ExportFormat,
  product: Product,
): { readonly type: string; readonly body: string } {
  if (format === "otlp")
    return { type: "application/json", body: JSON.stringify(toOtlpRequest(records, product)) };
  const body = records.map((r) => `${encodeOne(r, format, product)}\n`).join("");
  return { type: format === "cef" ? "text/plain; charset=utf-8" : "application/x-ndjson", body };
}
