/** ArcSight Common Event Format, version 0: one line, header between bars, extension as key=value. Long values are shortened as CEF's field sizes ask. */
import { list, number, text } from "../read/leaves.ts";
import { sentence } from "../read/sentence.ts";
import { about, type Ending, type ExportRecord, ending, type Product, shortened } from "./record.ts";

const severities: Readonly<Record<Ending, number>> = {
  allowed: 1,
  ok: 1,
  note: 1,
  held: 4,
  failed: 3,
  cut: 4,
  unknown: 6,
  denied: 7,
};
const acts: Readonly<Record<Ending, string>> = {
  allowed: "allowed",
  held: "held",
  denied: "denied",
  ok: "allowed",
  failed: "allowed",
  cut: "allowed",
  unknown: "allowed",
  note: "noted",
};
const results: Partial<Record<Ending, string>> = {
  ok: "success",
  failed: "failure",
  cut: "failure",
  denied: "failure",
  unknown: "unknown",
};

const names: Readonly<Record<string, string>> = {
  "statement.intent": "Statement",
  "statement.outcome": "Statement ended",
  "session.start": "Session began",
  "session.end": "Session ended",
  "auth.failed": "Connection refused",
  "transaction.rolled_back": "Statements undone",
  "transaction.unknown": "Statements perhaps undone",
};

/** What some receivers take for the end of a line, though CEF knows two only, and what nobody can see. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is for
const invisible = /[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029]/g;

/** Bars and backslashes are escaped in the header; a line is one line. */
function header(value: string): string {
  return value
    .replace(/[\r\n]+/g, " ")
    .replace(invisible, " ")
    .replace(/[\\|]/g, "\\$&");
}

/** Backslashes, equals signs and line ends are escaped in the extension. */
function extension(value: string): string {
  return value.replace(/[\\=]/g, "\\$&").replace(/\r/g, "\\r").replace(/\n/g, "\\n").replace(invisible, " ");
}

export function toCef(record: ExportRecord, product: Product): string {
  const { leaf } = record;
  const of = about(record);
  const end = ending(record);
  const type = text(leaf, "type") ?? "unknown";
  const duration = number(leaf, "duration_us");
  const relations = [
    ...new Set([...(list(of, "statement.reads") ?? []), ...(list(of, "statement.writes") ?? [])]),
  ];
  const fields: (readonly [string, string | number | null | undefined, number?])[] = [
    ["rt", Date.parse(text(leaf, "time") ?? "")],
    ["externalId", text(leaf, "id")],
    ["cat", type],
    ["act", acts[end]],
    ["outcome", results[end]],
    ["suid", text(of, "principal.subject"), 1023],
    ["suser", text(of, "principal.subject") ?? text(of, "client.user"), 1023],
    ["sntdom", text(of, "principal.issuer"), 255],
    ["spriv", text(of, "principal.kind"), 1023],
    ["src", text(of, "client.ip")],
    ["spt", number(of, "client.port")],
    ["duser", text(of, "database.login"), 1023],
    ["destinationServiceName", text(of, "database.name"), 1023],
    ["requestClientApplication", text(of, "client.application"), 1023],
    ["dvchost", text(leaf, "node"), 100],
    ["reason", text(leaf, "sqlstate") ?? text(leaf, "decision.code") ?? text(leaf, "code"), 1023],
    ["msg", sentence(leaf, record.intent), 1023],
    ["cnt", undefined],
    ...labelled("cs1", "sql", text(of, "statement.sql")),
    ...labelled("cs2", "rule", text(of, "decision.rule")),
    ...labelled("cs3", "relations", relations.length === 0 ? null : relations.join(" ")),
    ...labelled("cs4", "claimedRun", text(of, "claimed.run")),
    ...labelled("cs5", "request", text(leaf, "request") ?? text(leaf, "session")),
    ...labelled("cs6", "leaf", `${record.log} ${record.index} ${record.hash}`),
    ...labelled("cn1", "rows", number(leaf, "result.rows")),
    ...labelled("cn2", "rowsAffected", number(leaf, "rows_affected")),
    ...labelled("cn3", "durationMicros", duration),
  ];
  const pairs = fields.flatMap(([key, value, limit]) => {
    if (value === null || value === undefined || Number.isNaN(value)) return [];
    return [`${key}=${extension(shortened(String(value), limit ?? 4000))}`];
  });
  const head = ["CEF:0", "Postern", "Postern", product.version, type, names[type] ?? type].map(header);
  return `${[...head, severities[end]].join("|")}|${pairs.join(" ")}`;
}

function labelled(
  key: string,
  label: string,
  value: string | number | null,
): (readonly [string, string | number | null])[] {
  return value === null
    ? []
    : [
        [`${key}Label`, label],
        [key, value],
      ];
}
