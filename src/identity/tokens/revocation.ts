/** What a revocation is, and whether it meets a principal. Pure. */
import { z } from "zod";
import type { Principal } from "../../facts/principal.ts";
import type { Audience } from "./record.ts";

/**
 * `subject`: a principal, by its subject. `sub`: by the `sub` claim, as an identity provider names it. `agent`: whoever this agent acts
 * for, and itself. `token`: a token by jti or SHA-256, and all that were made of it. `sid`: a login at the identity provider.
 * `everything`: everybody.
 */
const kinds = ["subject", "sub", "agent", "token", "sid", "everything"] as const;
export type RevocationKind = (typeof kinds)[number];

const schema = z.strictObject({
  v: z.literal(1),
  kind: z.enum(kinds),
  /** null: of any issuer. */
  issuer: z.string().nullable(),
  /** "" for everything. */
  value: z.string(),
  /** `block`: until it is lifted; `before`: only tokens that were issued until then. */
  mode: z.enum(["block", "before"]),
  /** Milliseconds since the epoch. */
  at: z.number(),
  expires: z.number().nullable(),
  reason: z.string(),
  by: z.strictObject({ subject: z.string(), issuer: z.string() }).nullable(),
});

export type StoredRevocation = z.output<typeof schema>;
export type Revocation = StoredRevocation & { readonly id: string };

/** null: this version cannot read it. */
export function decodeRevocation(id: string, value: unknown): Revocation | null {
  const parsed = schema.safeParse(value);
  return parsed.success ? { ...parsed.data, id } : null;
}

/** Under what a revocation is looked up. */
export function keyOf(kind: RevocationKind, value: string): string {
  return `${kind}\0${value}`;
}

/** Every key under which something could stand that meets this principal. */
export function keysOf(principal: Principal): string[] {
  const { token, claims } = principal;
  const keys = [keyOf("subject", principal.subject), keyOf("everything", "")];
  for (const one of [token, ...(token.from ?? [])]) {
    keys.push(keyOf("token", one.sha256));
    // Whoever holds an ECDSA signature can compute a second one, and with it a token of another hash.
    if (one.input !== undefined) keys.push(keyOf("token", one.input));
    if (one.twin !== undefined) keys.push(keyOf("token", one.twin));
    if (one.jti !== null) keys.push(keyOf("token", one.jti));
  }
  for (const agent of agentsOf(principal)) keys.push(keyOf("agent", agent));
  for (const name of ["sub", "sid"] as const) {
    const value = claims[name];
    if (typeof value === "string") keys.push(keyOf(name, value));
  }
  return keys;
}

/** Who acts: the actors, and the client that the token was issued to. */
function agentsOf({ actor, claims, kind, subject }: Principal): Set<string> {
  const agents = new Set(actor.map((one) => one.subject));
  if (kind !== "human") agents.add(subject);
  for (const name of ["client_id", "azp", "cid", "appid"]) {
    const value = claims[name];
    if (typeof value === "string") agents.add(value);
  }
  return agents;
}

/**
 * Whether a revocation found under one of the principal's keys meets it.
 * @param audience where the token is shown. Of `everything` the HTTP interface is spared for tokens issued afterwards: a person has to be
 * able to come and lift it.
 */
export function meets(revocation: Revocation, principal: Principal, audience: Audience | null): boolean {
  const { issuer, kind, at } = revocation;
  if (issuer !== null && !issuers(principal, kind).includes(issuer)) return false;
  const before = issuedAt(principal) * 1000 <= at;
  if (revocation.mode === "before") return before;
  return before || !(kind === "everything" && audience === "api" && principal.kind === "human");
}

function issuers(principal: Principal, kind: RevocationKind): readonly (string | null)[] {
  if (kind !== "agent") return [principal.issuer];
  return [principal.issuer, ...principal.actor.map((one) => one.issuer)];
}

/** When the oldest of the tokens behind a principal was issued, in seconds; 0 when that is not known. */
function issuedAt({ token }: Principal): number {
  return Math.min(token.issued ?? 0, ...(token.from ?? []).map((one) => one.issued ?? 0));
}
