/** What bounds a token: what it is issued within, who acts by it, where it may be shown. */
import type { Actor, Principal, TokenSource } from "../../facts/principal.ts";
import type { CallContext } from "../context.ts";
import { IdentityError } from "../errors.ts";
import type { Audience, TokenRecord } from "./record.ts";
import { IssueError, type IssueRequest, type TokenFound } from "./types.ts";

const maxSources = 16;
/** The issuer of an actor that a person named when the token was made: nobody but that person vouches for it. */
export const namedAgentIssuer = "urn:postern:agent";

/** Actors, kind and sources of a token that is issued for a principal, perhaps to act for it. */
export function delegated(
  principal: Principal,
  request: IssueRequest,
  maxActors: number,
): { actor: Actor[]; kind: Principal["kind"]; from: TokenSource[] } {
  const { agent = null, actor = null } = request;
  const actors: Actor[] = [...principal.actor];
  const from = sourcesOf(principal);
  if (actor !== null) {
    actors.unshift(...actor.actor, { subject: actor.subject, issuer: actor.issuer });
    from.push(...sourcesOf(actor));
  }
  if (agent !== null) actors.unshift({ subject: agent, issuer: namedAgentIssuer });
  if (actors.length > maxActors)
    throw new IssueError("invalid_request", `a token may have at most ${maxActors} actors`);
  if (from.length > maxSources) throw new IssueError("invalid_request", "exchanged too often");
  // Whoever lets somebody act in his place hands on his groups, never the standing of a person.
  const kind = agent === null && actor === null ? principal.kind : "agent";
  return { actor: actors, kind, from };
}

function sourcesOf({ token }: Principal): TokenSource[] {
  const { jti, sha256, input, twin, issued } = token;
  const signed = { ...(input === undefined ? {} : { input }), ...(twin === undefined ? {} : { twin }) };
  return [...(token.from ?? []), { jti, sha256, ...signed, issued }];
}

/**
 * What a token is bound to against where it is shown. `audience` false: it is shown to be exchanged, not to be used.
 * Throws IdentityError TOKEN_AUDIENCE, TOKEN_DATABASE or TOKEN_BOUND.
 */
export function checkBinding(record: TokenRecord, context: CallContext, audience: boolean): void {
  const { audience: at = null, database = null, certificate = null } = context;
  if (audience && record.audience !== null && (at === null || !record.audience.includes(at)))
    throw new IdentityError(
      "TOKEN_AUDIENCE",
      `the Postern token is for ${record.audience.join(", ")}, not for ${at ?? "any place"}`,
    );
  if (record.database !== null && database !== null && record.database !== database)
    throw new IdentityError("TOKEN_DATABASE", "the Postern token is for another database");
  if (record.certificate !== null && record.certificate !== certificate)
    throw new IdentityError(
      "TOKEN_BOUND",
      "the Postern token is bound to a client certificate that was not shown",
    );
}

/** What is asked for, inside what there is. Throws IssueError invalid_target. */
export function narrowed(
  held: Pick<TokenFound, "audience" | "database" | "certificate"> | null,
  request: IssueRequest,
): Pick<TokenRecord, "audience" | "database" | "certificate"> {
  return {
    audience: narrower(held?.audience ?? null, request.audience ?? null),
    database: same("database", held?.database ?? null, request.database ?? null),
    certificate: same("certificate", held?.certificate ?? null, request.certificate ?? null),
  };
}

function narrower(old: readonly Audience[] | null, wanted: readonly Audience[] | null): Audience[] | null {
  if (wanted === null) return old === null ? null : [...old];
  if (old !== null && wanted.some((audience) => !old.includes(audience)))
    throw new IssueError(
      "invalid_target",
      "a token is exchanged for one of the same audience, or a part of it",
    );
  return [...wanted];
}

function same(what: string, old: string | null, wanted: string | null): string | null {
  if (old !== null && wanted !== null && old !== wanted)
    throw new IssueError("invalid_target", `the token is bound to another ${what}`);
  return old ?? wanted;
}
