/** Elastic Common Schema 8.17 (https://www.elastic.co/docs/reference/ecs). What ECS has no field for stands under `postern`. */
import { at, type Json, list, number, text } from "../read/leaves.ts";
import { person, sentence } from "../read/sentence.ts";
import { about, compact, type Ending, type ExportRecord, ending, type Product, traceOf } from "./record.ts";

const outcomes: Readonly<Record<Ending, "success" | "failure" | "unknown">> = {
  allowed: "unknown",
  held: "unknown",
  unknown: "unknown",
  ok: "success",
  note: "success",
  denied: "failure",
  failed: "failure",
  cut: "failure",
};

/** event.category and event.type: values of ECS's closed lists only. */
function categories(
  record: ExportRecord,
  end: Ending,
): { readonly category: readonly string[]; readonly type: readonly string[] } {
  const of = about(record);
  switch (text(record.leaf, "type")) {
    case "statement.intent":
    case "statement.outcome": {
      const effects = list(of, "statement.effects") ?? [];
      const types = new Set<string>(["access"]);
      if (effects.includes("write")) types.add("change");
      if (effects.includes("ddl") || effects.includes("admin")) types.add("admin");
      if (end === "denied") types.add("denied");
      else if (end === "allowed") types.add("allowed");
      else if (end === "failed") types.add("error");
      return { category: ["database"], type: [...types] };
    }
    case "session.start":
      return { category: ["session", "authentication"], type: ["start"] };
    case "session.end":
      return { category: ["session"], type: ["end"] };
    case "auth.failed":
      return { category: ["authentication"], type: ["denied", "start"] };
    case "config.changed":
    case "policy.changed":
      return { category: ["configuration"], type: ["change"] };
    case "transaction.rolled_back":
    case "transaction.unknown":
      return { category: ["database"], type: ["change", "error"] };
    default:
      return { category: [], type: ["info"] };
  }
}

export function toEcs(record: ExportRecord, product: Product): unknown {
  const { leaf } = record;
  const of = about(record);
  const end = ending(record);
  const { category, type } = categories(record, end);
  const subject = text(of, "principal.subject");
  const ip = text(of, "client.ip");
  const tls = /^TLSv(\d\.\d)$/.exec(text(of, "client.tls") ?? "");
  const duration = number(leaf, "duration_us");
  const { v: _v, id: _id, time: _time, node: _node, type: _type, session, request, ...fields } = leaf;
  const known = [
    "principal",
    "client",
    "claimed",
    "database",
    "statement",
    "decision",
    "sealed",
    "parameters",
  ];
  return compact({
    "@timestamp": text(leaf, "time"),
    ecs: { version: "8.17.0" },
    message: sentence(leaf, record.intent),
    event: {
      id: text(leaf, "id"),
      kind: "event",
      category,
      type,
      action: text(leaf, "type"),
      outcome: outcomes[end],
      duration: duration === null ? undefined : duration * 1000,
      sequence: record.index,
      module: "postern",
      dataset: "postern.audit",
      provider: record.log,
      code: text(leaf, "decision.code") ?? text(leaf, "code"),
      reason: text(leaf, "cause") ?? text(leaf, "reason"),
    },
    user:
      subject === null
        ? undefined
        : {
            id: subject,
            name: subject,
            full_name: undefined,
            domain: text(of, "principal.issuer"),
            roles: list(of, "principal.groups"),
          },
    source: ip === null ? undefined : { ip, port: number(of, "client.port") },
    tls: tls === null ? undefined : { version: tls[1], version_protocol: "tls", established: true },
    trace: { id: traceOf(of)?.trace },
    rule: { name: text(of, "decision.rule"), ruleset: text(of, "decision.policy") },
    error: { code: text(leaf, "sqlstate") },
    observer: {
      name: text(leaf, "node"),
      type: "database-gateway",
      vendor: "Postern",
      product: "Postern",
      version: product.version,
    },
    related: { user: subject === null ? undefined : [subject], ip: ip === null ? undefined : [ip] },
    postern: {
      log: record.log,
      index: record.index,
      leaf_sha256: record.hash,
      session,
      request,
      who: subject === null ? undefined : person(of),
      principal: {
        kind: text(of, "principal.kind"),
        actor: at(of, "principal.actor"),
        token: at(of, "principal.token"),
        provider: text(of, "principal.provider"),
      },
      client: {
        application: text(of, "client.application"),
        user: text(of, "client.user"),
        via: text(of, "client.via"),
      },
      claimed: at(of, "claimed"),
      database: at(of, "database"),
      statement: statementOf(of),
      decision: at(of, "decision"),
      outcome: leaf.type === "statement.outcome" ? { ...fields, sealed: undefined } : undefined,
      fields:
        leaf.type === "statement.outcome"
          ? undefined
          : Object.fromEntries(Object.entries(fields).filter(([name]) => !known.includes(name))),
    },
  });
}

function statementOf(leaf: Json): Json | undefined {
  const statement = at(leaf, "statement");
  if (typeof statement !== "object" || statement === null) return undefined;
  const { sealed: _sealed, ...shown } = statement as Json;
  return shown;
}
