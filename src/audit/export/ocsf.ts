/**
 * OCSF 1.8.0 (https://schema.ocsf.io/1.8.0): statements as Datastore Activity (6005), sessions and refused connections as
 * Authentication (3002), everything else as API Activity (6003). Mapping: docs/audit-exports.md.
 */
import { at, type Json, list, number, text } from "../read/leaves.ts";
import { sentence } from "../read/sentence.ts";
import {
  about,
  compact,
  type Ending,
  type ExportRecord,
  ending,
  onlyRelation,
  type Product,
} from "./record.ts";

const activities = {
  1: "Read",
  2: "Update",
  4: "Query",
  5: "Write",
  6: "Create",
  7: "Delete",
  99: "Other",
} as const;
type Activity = keyof typeof activities;

/** The activity of a statement, by its command tag and else its kind. */
function activity(leaf: Json): Activity {
  const command = text(leaf, "statement.command") ?? "";
  const verb = command.split(" ")[0] ?? "";
  switch (verb) {
    case "SELECT":
    case "SHOW":
    case "EXPLAIN":
    case "FETCH":
    case "TABLE":
    case "VALUES":
      return 4;
    case "INSERT":
    case "MERGE":
      return 5;
    case "COPY":
      return (list(leaf, "statement.writes") ?? []).length > 0 ? 5 : 1;
    case "UPDATE":
    case "ALTER":
    case "COMMENT":
    case "GRANT":
    case "REVOKE":
    case "REFRESH":
    case "REINDEX":
      return 2;
    case "CREATE":
      return 6;
    case "DELETE":
    case "DROP":
    case "TRUNCATE":
      return 7;
    default:
      return 99;
  }
}

const statuses: Readonly<Record<Ending, readonly [number, string]>> = {
  allowed: [0, "Unknown"],
  held: [0, "Unknown"],
  unknown: [0, "Unknown"],
  denied: [2, "Failure"],
  failed: [2, "Failure"],
  cut: [2, "Failure"],
  ok: [1, "Success"],
  note: [1, "Success"],
};

/** security_control profile: action and disposition. */
function control(record: ExportRecord, end: Ending): Json {
  const verdict = text(about(record), "decision.verdict");
  const of = about(record);
  if (end === "denied")
    return {
      action_id: 2,
      action: "Denied",
      disposition_id: 2,
      disposition: "Blocked",
      is_alert: true,
      policy: policy(of),
    };
  if (verdict === "approve")
    return record.leaf.type === "statement.intent"
      ? { action_id: 0, action: "Unknown", disposition_id: 14, disposition: "Delayed", policy: policy(of) }
      : { action_id: 1, action: "Allowed", disposition_id: 8, disposition: "Approved", policy: policy(of) };
  return { action_id: 1, action: "Allowed", disposition_id: 1, disposition: "Allowed", policy: policy(of) };
}

function policy(leaf: Json): Json {
  return { name: text(leaf, "decision.rule"), uid: text(leaf, "decision.policy") };
}

function user(leaf: Json): Json {
  const kind = text(leaf, "principal.kind");
  const subject = text(leaf, "principal.subject");
  return {
    uid: subject,
    name: subject,
    domain: text(leaf, "principal.issuer"),
    groups: list(leaf, "principal.groups")?.map((name) => ({ name })),
    type_id: kind === "human" ? 1 : 99,
    type: kind === "human" ? "User" : kind,
  };
}

function source(leaf: Json): Json {
  const ip = text(leaf, "client.ip");
  return ip === null
    ? { name: text(leaf, "node") ?? "postern" }
    : { ip, port: number(leaf, "client.port"), svc_name: text(leaf, "client.application") };
}

const severities: Readonly<Record<Ending, readonly [number, string]>> = {
  allowed: [1, "Informational"],
  ok: [1, "Informational"],
  note: [1, "Informational"],
  held: [2, "Low"],
  failed: [2, "Low"],
  cut: [2, "Low"],
  denied: [3, "Medium"],
  unknown: [3, "Medium"],
};

function base(
  record: ExportRecord,
  product: Product,
  classUid: number,
  className: string,
  activityId: number,
  activityName: string,
): Json {
  const end = ending(record);
  const [severity, severityName] = severities[end];
  const [status, statusName] = statuses[end];
  const { leaf } = record;
  const category = Math.floor(classUid / 1000);
  return {
    category_uid: category,
    category_name: category === 3 ? "Identity & Access Management" : "Application Activity",
    class_uid: classUid,
    class_name: className,
    activity_id: activityId,
    activity_name: activityName,
    type_uid: classUid * 100 + activityId,
    type_name: `${className}: ${activityName}`,
    severity_id: severity,
    severity: severityName,
    status_id: status,
    status: statusName,
    time: Date.parse(text(leaf, "time") ?? ""),
    message: sentence(leaf, record.intent),
    metadata: {
      version: "1.8.0",
      product: { name: "Postern", vendor_name: "Postern", version: product.version },
      uid: text(leaf, "id"),
      original_time: text(leaf, "time"),
      event_code: text(leaf, "type"),
      log_name: record.log,
      log_provider: text(leaf, "node"),
      sequence: record.index,
      correlation_uid: text(leaf, "request") ?? text(leaf, "session"),
      profiles: classUid === 6005 ? ["security_control"] : undefined,
    },
    unmapped: {
      leaf_sha256: record.hash,
      session: text(leaf, "session"),
      request: text(leaf, "request"),
      claimed: at(about(record), "claimed"),
    },
  };
}

function actor(leaf: Json): Json {
  return {
    user: user(leaf),
    session: { uid: text(leaf, "session"), issuer: text(leaf, "principal.issuer") },
    app_name: text(leaf, "client.application"),
    idp: { name: text(leaf, "principal.provider") },
  };
}

function statement(record: ExportRecord, product: Product): Json {
  const { leaf, intent } = record;
  const of = about(record);
  const id = activity(of);
  const relation = onlyRelation(of);
  const end = ending(record);
  const event = base(record, product, 6005, "Datastore Activity", id, activities[id]);
  const outcome = leaf.type === "statement.outcome";
  return {
    ...event,
    ...control(record, end),
    actor: intent === null && outcome ? { session: { uid: text(leaf, "session") } } : actor(of),
    src_endpoint: source(of),
    database: { name: text(of, "database.name") ?? "unknown", type_id: 1, type: "Relational" },
    table: relation === null ? undefined : { name: relation },
    type_id: relation === null ? 1 : 3,
    type: relation === null ? "Database" : "Table",
    query_info: {
      query_string: text(of, "statement.sql"),
      uid: text(of, "statement.fingerprint"),
      query_time: Date.parse(text(of, "time") ?? ""),
      bytes: number(leaf, "result.bytes"),
    },
    status_code: text(leaf, "sqlstate") ?? text(leaf, "decision.code"),
    status_detail: text(leaf, "tag"),
    duration: outcome ? milliseconds(number(leaf, "duration_us")) : undefined,
    unmapped: {
      ...(event.unmapped as Json),
      phase: outcome ? "outcome" : "intent",
      intent: outcome ? at(leaf, "intent.index") : undefined,
      outcome_status: outcome ? text(leaf, "status") : undefined,
      rows: number(leaf, "result.rows"),
      rows_affected: number(leaf, "rows_affected"),
      reads: list(of, "statement.reads"),
      writes: list(of, "statement.writes"),
      labels: list(of, "statement.labels"),
      masked: list(of, "decision.masked"),
      backend_login: text(of, "database.login"),
    },
  };
}

function milliseconds(us: number | null): number | null {
  return us === null ? null : Math.round(us / 1000);
}

function authentication(record: ExportRecord, product: Product): Json {
  const { leaf } = record;
  const off = leaf.type === "session.end";
  const failed = leaf.type === "auth.failed";
  return {
    ...base(record, product, 3002, "Authentication", off ? 2 : 1, off ? "Logoff" : "Logon"),
    // A refused connection has shown nobody: what it called itself is all there is.
    user: failed ? { name: text(leaf, "client.user") ?? "unknown", type_id: 0, type: "Unknown" } : user(leaf),
    src_endpoint: source(leaf),
    service: { name: text(leaf, "database.name") },
    session: { uid: text(leaf, "session") },
    status_code: text(leaf, "code"),
    status_detail: text(leaf, "cause") ?? text(leaf, "reason"),
  };
}

function other(record: ExportRecord, product: Product): Json {
  const { leaf } = record;
  const type = text(leaf, "type") ?? "unknown";
  const { v: _v, id: _id, time: _time, node: _node, type: _type, ...fields } = leaf;
  const event = base(record, product, 6003, "API Activity", 99, type);
  const known = text(leaf, "principal.subject") !== null;
  return {
    ...event,
    actor: known ? actor(leaf) : { app_name: "Postern" },
    api: { operation: text(leaf, "action") ?? type, service: { name: "Postern" } },
    src_endpoint: source(leaf),
    unmapped: { ...(event.unmapped as Json), fields },
  };
}

/** One OCSF event. */
export function toOcsf(record: ExportRecord, product: Product): unknown {
  switch (text(record.leaf, "type")) {
    case "statement.intent":
    case "statement.outcome":
      return compact(statement(record, product));
    case "session.start":
    case "session.end":
    case "auth.failed":
      return compact(authentication(record, product));
    default:
      return compact(other(record, product));
  }
}
