/**
 * OpenTelemetry logs in OTLP's JSON form (OTLP 1.x, "JSON Protobuf Encoding": 64-bit integers as strings, ids as hex), with the
 * semantic conventions of databases (`db.*`, stable since 1.33). A projection: the leaf is the record.
 */
import { list, number, text } from "../read/leaves.ts";
import { sentence } from "../read/sentence.ts";
import {
  about,
  type Ending,
  type ExportRecord,
  ending,
  onlyRelation,
  type Product,
  traceOf,
} from "./record.ts";

const severities: Readonly<Record<Ending, readonly [number, string]>> = {
  allowed: [9, "INFO"],
  ok: [9, "INFO"],
  note: [9, "INFO"],
  held: [10, "INFO2"],
  failed: [13, "WARN"],
  cut: [13, "WARN"],
  denied: [13, "WARN"],
  unknown: [17, "ERROR"],
};

type Value = string | number | boolean | readonly string[] | null | undefined;

function attribute(key: string, value: Value): unknown[] {
  if (value === null || value === undefined) return [];
  if (typeof value === "string") return [{ key, value: { stringValue: value } }];
  if (typeof value === "boolean") return [{ key, value: { boolValue: value } }];
  if (typeof value === "number")
    return [
      { key, value: Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value } },
    ];
  return [{ key, value: { arrayValue: { values: value.map((v) => ({ stringValue: v })) } } }];
}

/** Nanoseconds since the epoch of a time with up to nine digits of a second; "0" (unknown) when it is none. */
export function nanoseconds(time: string | null): string {
  const parts = /^(.+:\d\d)(?:\.(\d{1,9}))?Z$/.exec(time ?? "");
  const seconds = Date.parse(`${parts?.[1]}Z`);
  if (parts === null || Number.isNaN(seconds)) return "0";
  return String(BigInt(seconds) * 1_000_000n + BigInt((parts[2] ?? "").padEnd(9, "0")));
}

/** One LogRecord. */
export function toOtlp(record: ExportRecord): unknown {
  const { leaf } = record;
  const of = about(record);
  const [severityNumber, severityText] = severities[ending(record)];
  const time = nanoseconds(text(leaf, "time"));
  const trace = traceOf(of);
  const relation = onlyRelation(of);
  const command = text(of, "statement.command");
  const type = text(leaf, "type") ?? "unknown";
  const status = text(leaf, "sqlstate");
  const attributes: Readonly<Record<string, Value>> = {
    "log.record.uid": text(leaf, "id"),
    "db.system.name": text(of, "database.name") === null ? null : "postgresql",
    "db.namespace": text(of, "database.name"),
    "db.collection.name": relation,
    "db.operation.name": command,
    "db.query.text": text(of, "statement.sql"),
    "db.query.summary": command === null ? null : relation === null ? command : `${command} ${relation}`,
    "db.response.status_code": status,
    "db.response.returned_rows": number(leaf, "result.rows"),
    "error.type":
      status ?? (ending(record) === "denied" ? (text(of, "decision.code") ?? text(leaf, "code")) : null),
    "client.address": text(of, "client.ip"),
    "client.port": number(of, "client.port"),
    "user.id": text(of, "principal.subject"),
    "user.roles": list(of, "principal.groups"),
    "session.id": text(leaf, "session"),
    "postern.log": record.log,
    "postern.index": record.index,
    "postern.leaf.sha256": record.hash,
    "postern.request": text(leaf, "request"),
    "postern.principal.kind": text(of, "principal.kind"),
    "postern.principal.issuer": text(of, "principal.issuer"),
    "postern.token.sha256": text(of, "principal.token.sha256"),
    "postern.database.login": text(of, "database.login"),
    "postern.statement.fingerprint": text(of, "statement.fingerprint"),
    "postern.statement.reads": list(of, "statement.reads"),
    "postern.statement.writes": list(of, "statement.writes"),
    "postern.statement.labels": list(of, "statement.labels"),
    "postern.decision.verdict": text(of, "decision.verdict"),
    "postern.decision.rule": text(of, "decision.rule"),
    "postern.decision.code": text(of, "decision.code"),
    "postern.decision.masked": list(of, "decision.masked"),
    "postern.outcome.status": text(leaf, "status"),
    "postern.outcome.rows_affected": number(leaf, "rows_affected"),
    "postern.outcome.duration_us": number(leaf, "duration_us"),
    "postern.claimed.agent": text(of, "claimed.agent"),
    "postern.claimed.model": text(of, "claimed.model"),
    "postern.claimed.run": text(of, "claimed.run"),
  };
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber,
    severityText,
    eventName: `postern.${type}`,
    body: { stringValue: sentence(leaf, record.intent) },
    attributes: Object.entries(attributes).flatMap(([key, value]) => attribute(key, value)),
    ...(trace === null ? {} : { traceId: trace.trace, spanId: trace.span }),
  };
}

/** An ExportLogsServiceRequest. */
export function toOtlpRequest(records: readonly ExportRecord[], product: Product): unknown {
  const byLog = Map.groupBy(records, (r) => r.log);
  return {
    resourceLogs: [...byLog].map(([log, group]) => ({
      resource: {
        attributes: [
          ...attribute("service.name", "postern"),
          ...attribute("service.version", product.version),
          ...attribute("service.instance.id", log),
        ],
      },
      scopeLogs: [
        { scope: { name: "postern.audit", version: product.version }, logRecords: group.map(toOtlp) },
      ],
    })),
  };
}
