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
      return jsonText(toOcsf(record, product));
    case "ecs":
      return jsonText(toEcs(record, product));
    case "cef":
      return toCef(record, product);
    case "otlp":
      return jsonText(toOtlpRequest([record], product));
  }
}

/**
 * JSON text that every receiver takes. JSON.stringify writes half of a surrogate pair, which names of a SQL_ASCII database and claims may have, as an
 * escape; many parsers refuse the whole text for it (RFC 8259 section 8.2). They get U+FFFD in its place.
 */
function jsonText(value: unknown): string {
  const json = JSON.stringify(value);
  if (!json.includes("\\ud")) return json;
  // A pair is never escaped. An escaped backslash is passed over with what it escapes.
  return json.replace(/\\(?:ud[89a-f][0-9a-f]{2}|.)/g, (written) =>
    written.startsWith("\\ud") ? "\ufffd" : written,
  );
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
  if (format === "otlp") return { type: "application/json", body: jsonText(toOtlpRequest(records, product)) };
  const body = records.map((r) => `${encodeOne(r, format, product)}\n`).join("");
  return { type: format === "cef" ? "text/plain; charset=utf-8" : "application/x-ndjson", body };
}
