/** The facts that conditions may name: their types, and the objects that CEL reads them from. */
import type { StatementFacts } from "../../facts/effects.ts";
import type { Principal } from "../../facts/principal.ts";
import type { Estimate, SessionFacts } from "../types.ts";

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

/** Thrown where a fact is asked for that is not known at this stage; `asked` of its view says so too. */
export class UnknownFact extends Error {
  override readonly name = "UnknownFact";
}
// One instance: a stack trace for each would cost more than the evaluation.
const unknownFact = new UnknownFact("not known yet");

export class ActorView {
  readonly subject: string;
  readonly issuer: string;
  constructor(subject: string, issuer: string) {
    this.subject = subject;
    this.issuer = issuer;
  }
}

export class ClaimedView {
  readonly agent: string;
  readonly model: string;
  readonly run: string;
  readonly intent: string;
  readonly traceparent: string;
  constructor(claimed: SessionFacts["claimed"]) {
    this.agent = claimed.agent ?? "";
    this.model = claimed.model ?? "";
    this.run = claimed.run ?? "";
    this.intent = claimed.intent ?? "";
    this.traceparent = claimed.traceparent ?? "";
  }
}

/** Claims as CEL is given them: maps, so that no name of a claim can mean anything to JavaScript. */
type Claims = ReadonlyMap<string, unknown>;
const claimsOf = new WeakMap<object, Claims>();
const maxClaimDepth = 64;

function claimMap(claims: Readonly<Record<string, unknown>>): Claims {
  let map = claimsOf.get(claims);
  if (map === undefined) {
    map = new Map(Object.entries(claims).map(([name, value]) => [name, claimValue(value, 1)]));
    claimsOf.set(claims, map);
  }
  return map;
}

function claimValue(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth > maxClaimDepth) throw new Error("claims are nested too deeply");
  if (Array.isArray(value)) return value.map((item) => claimValue(item, depth + 1));
  return new Map(Object.entries(value).map(([name, inner]) => [name, claimValue(inner, depth + 1)]));
}

export class PrincipalView {
  private readonly facts: Principal;
  constructor(facts: Principal) {
    this.facts = facts;
  }
  get subject() {
    return this.facts.subject;
  }
  get issuer() {
    return this.facts.issuer;
  }
  get email() {
    return this.facts.email ?? "";
  }
  get kind() {
    return this.facts.kind;
  }
  get groups() {
    return this.facts.groups;
  }
  get actor() {
    return this.facts.actor.map((link) => new ActorView(link.subject, link.issuer ?? ""));
  }
  get claims() {
    return claimMap(this.facts.claims);
  }
  get provider() {
    return this.facts.provider;
  }
}

export class SessionView {
  private readonly facts: SessionFacts;
  constructor(facts: SessionFacts) {
    this.facts = facts;
  }
  get database() {
    return this.facts.database;
  }
  get role() {
    return this.facts.role;
  }
  get application() {
    return this.facts.application ?? "";
  }
  get client_ip() {
    return this.facts.clientIp;
  }
  get via() {
    return this.facts.via;
  }
  get tls() {
    return this.facts.tls;
  }
  get claimed() {
    return new ClaimedView(this.facts.claimed);
  }
}

/** A statement; without facts every one of them is unknown. */
export class StatementView {
  private readonly facts: StatementFacts | null;
  asked = false;
  constructor(facts: StatementFacts | null) {
    this.facts = facts;
  }
  private known(): StatementFacts {
    if (this.facts !== null) return this.facts;
    this.asked = true;
    throw unknownFact;
  }
  get kind() {
    return this.known().kind;
  }
  get command() {
    return this.known().command;
  }
  get effects() {
    return this.known().effects;
  }
  get reads() {
    return this.known().reads;
  }
  get writes() {
    return this.known().writes;
  }
  get columns() {
    return this.known().columns;
  }
  get functions() {
    return this.known().functions;
  }
  get labels() {
    return this.known().labels;
  }
  get labels_in_predicates() {
    return this.known().labelsInPredicates;
  }
  get unbounded_write() {
    return this.known().unboundedWrite;
  }
  get has_where() {
    return this.known().hasWhere;
  }
  get has_limit() {
    return this.known().hasLimit;
  }
  get statements() {
    return BigInt(this.known().statements);
  }
  get in_transaction() {
    return this.known().inTransaction;
  }
  get bytes() {
    return BigInt(this.known().bytes);
  }
  get fingerprint() {
    return this.known().fingerprint ?? "";
  }
}

/** The server's estimate; without it, unknown. */
export class EstimateView {
  private readonly facts: Estimate | null;
  asked = false;
  constructor(facts: Estimate | null) {
    this.facts = facts;
  }
  private known(): Estimate {
    if (this.facts !== null) return this.facts;
    this.asked = true;
    throw unknownFact;
  }
  get rows() {
    return this.known().rows;
  }
  get cost() {
    return this.known().cost;
  }
}

/** All that a condition is evaluated against. */
export interface Facts {
  readonly principal: PrincipalView;
  readonly session: SessionView;
  readonly statement: StatementView;
  readonly estimate: EstimateView;
  readonly now: Date;
}
