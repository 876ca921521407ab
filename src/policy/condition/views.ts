/** The objects that CEL reads facts from. */
import type { StatementFacts } from "../../facts/effects.ts";
import type { Principal } from "../../facts/principal.ts";
import type { Estimate, SessionFacts } from "../types.ts";

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

/** What the caller claims of itself. */
export class ClaimedView {
  private readonly session: SessionView;
  readonly agent: string;
  readonly model: string;
  readonly run: string;
  readonly traceparent: string;
  readonly unmask: string;
  constructor(session: SessionView, claimed: SessionFacts["claimed"]) {
    this.session = session;
    this.agent = claimed.agent ?? "";
    this.model = claimed.model ?? "";
    this.run = claimed.run ?? "";
    this.traceparent = claimed.traceparent ?? "";
    this.unmask = claimed.unmask ?? "";
  }
  get intent() {
    return this.session.intent();
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

/** A principal; claims and e-mail that are absent (a record does not show them) are unknown. */
export type PrincipalFacts = Omit<Principal, "claims" | "email"> &
  Partial<Pick<Principal, "claims" | "email">>;

export class PrincipalView {
  private readonly facts: PrincipalFacts;
  asked = false;
  constructor(facts: PrincipalFacts) {
    this.facts = facts;
  }
  get subject() {
    return this.facts.subject;
  }
  get issuer() {
    return this.facts.issuer;
  }
  get email() {
    const { email } = this.facts;
    if (email !== undefined) return email ?? "";
    this.asked = true;
    throw unknownFact;
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
    const { claims } = this.facts;
    if (claims !== undefined) return claimMap(claims);
    this.asked = true;
    throw unknownFact;
  }
  get provider() {
    return this.facts.provider;
  }
}

/** A session; with `sealed` the claimed intent is not known. */
export class SessionView {
  private readonly facts: SessionFacts;
  private readonly sealed: boolean;
  asked = false;
  constructor(facts: SessionFacts, sealed = false) {
    this.facts = facts;
    this.sealed = sealed;
  }
  intent(): string {
    if (!this.sealed) return this.facts.claimed.intent ?? "";
    this.asked = true;
    throw unknownFact;
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
    return new ClaimedView(this, this.facts.claimed);
  }
}

/** A statement; a fact that is absent is unknown. */
export class StatementView {
  private readonly facts: Partial<StatementFacts>;
  asked = false;
  constructor(facts: Partial<StatementFacts>) {
    this.facts = facts;
  }
  private known<Value>(value: Value | undefined): Value {
    if (value !== undefined) return value;
    this.asked = true;
    throw unknownFact;
  }
  get kind() {
    return this.known(this.facts.kind);
  }
  get command() {
    return this.known(this.facts.command);
  }
  get effects() {
    return this.known(this.facts.effects);
  }
  get reads() {
    return this.known(this.facts.reads);
  }
  get writes() {
    return this.known(this.facts.writes);
  }
  get columns() {
    return this.known(this.facts.columns);
  }
  get functions() {
    return this.known(this.facts.functions);
  }
  get labels() {
    return this.known(this.facts.labels);
  }
  get labels_in_predicates() {
    return this.known(this.facts.labelsInPredicates);
  }
  get unbounded_write() {
    return this.known(this.facts.unboundedWrite);
  }
  get has_where() {
    return this.known(this.facts.hasWhere);
  }
  get has_limit() {
    return this.known(this.facts.hasLimit);
  }
  get statements() {
    return BigInt(this.known(this.facts.statements));
  }
  get in_transaction() {
    return this.known(this.facts.inTransaction);
  }
  get bytes() {
    return BigInt(this.known(this.facts.bytes));
  }
  get fingerprint() {
    return this.known(this.facts.fingerprint) ?? "";
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

/** The moment; null: unknown, as where it is asked what may ever be. */
export class ClockView {
  private readonly moment: Date | null;
  asked = false;
  constructor(moment: Date | null) {
    this.moment = moment;
  }
  get now(): Date {
    if (this.moment !== null) return this.moment;
    this.asked = true;
    throw unknownFact;
  }
}

/** All that a condition is evaluated against. */
export interface Facts {
  readonly principal: PrincipalView;
  readonly session: SessionView;
  readonly statement: StatementView;
  readonly estimate: EstimateView;
  readonly clock: ClockView;
  /** Throws where the moment is unknown. */
  readonly now: Date;
}
