/** The facts that conditions may name, and their types. */
import type { Effect } from "../../facts/effects.ts";
import type { PrincipalKind } from "../../facts/principal.ts";
import type { Via } from "../../facts/session.ts";

/** Every effect; the compiler sees to it that none is left out. */
const isEffect: Readonly<Record<Effect, true>> = {
  admin: true,
  ddl: true,
  execute: true,
  file: true,
  lock: true,
  network: true,
  read: true,
  session: true,
  write: true,
};
export const effectNames = Object.keys(isEffect) as readonly Effect[];
export const principalKinds: readonly PrincipalKind[] = ["human", "agent", "service"];
export const vias: readonly Via[] = ["wire", "mcp", "api"];

/** What `statement.kind` may be: every kind that sql/ tells apart, and what is no SQL. */
export const statementKindNames: readonly string[] = [
  ...["select", "insert", "update", "delete", "merge", "copy", "truncate", "ddl", "transaction", "session"],
  ...["utility", "call", "do", "prepare", "execute", "deallocate", "declare", "fetch", "close", "explain"],
  ...["lock", "notify", "listen", "unknown", "empty", "function", "replication"],
];

/** CEL types of every fact. Those that may be absent are texts, then empty. */
export const factTypes = {
  principal: {
    subject: "string",
    issuer: "string",
    email: "string",
    kind: "string",
    groups: "list<string>",
    actor: "list<Actor>",
    claims: "map<string, dyn>",
    provider: "string",
  },
  session: {
    database: "string",
    role: "string",
    application: "string",
    client_ip: "string",
    via: "string",
    tls: "bool",
    claimed: "Claimed",
  },
  statement: {
    kind: "string",
    command: "string",
    effects: "list<string>",
    reads: "list<string>",
    writes: "list<string>",
    columns: "list<string>",
    functions: "list<string>",
    labels: "list<string>",
    labels_in_predicates: "list<string>",
    unbounded_write: "bool",
    has_where: "bool",
    has_limit: "bool",
    statements: "int",
    in_transaction: "bool",
    bytes: "int",
    fingerprint: "string",
  },
  estimate: { rows: "double", cost: "double" },
} as const;

export const claimedTypes = {
  agent: "string",
  model: "string",
  run: "string",
  intent: "string",
  traceparent: "string",
  unmask: "string",
} as const;
export const actorTypes = { subject: "string", issuer: "string" } as const;

/** Facts that only the server's own tree can tell. */
export const analysedFacts: readonly string[] = [
  "effects",
  "reads",
  "writes",
  "columns",
  "functions",
  "labels",
  "labels_in_predicates",
].map((field) => `statement.${field}`);

/** Facts that may differ between statements that are otherwise equal: decisions on them are not kept. */
export const passingFacts: readonly string[] = [
  "now",
  "estimate.rows",
  "estimate.cost",
  "statement.in_transaction",
  "statement.statements",
  "statement.bytes",
];
