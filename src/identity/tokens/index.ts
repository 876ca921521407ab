/**
 * Postern's own tokens (`pgt_…`): short, opaque, revocable, bound. They carry the whole principal of the token they were exchanged
 * for and never outlive it. The store holds only their SHA-256 and what SCRAM needs.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Actor, Principal, TokenSource } from "../../facts/principal.ts";
import type { Store, StoredDocument } from "../../store/types.ts";
import { sha256 } from "../compact.ts";
import type { CallContext } from "../context.ts";
import { IdentityError } from "../errors.ts";
import { isId, newToken, readToken, userOf } from "./format.ts";
import { type Audience, decodeRecord, encodeRecord, principalOf, type TokenRecord } from "./record.ts";
import { mockScramSecret, type ScramSecret, saltOf, scramSecret } from "./scram.ts";
import { defaultTokenSettings, shortestSeconds, type TokenSettings } from "./settings.ts";

const collection = "tokens";
/** Where nothing else is said. */
const defaultMaxActors = 4;
const maxSources = 16;
/** The issuer of an actor that a person named when the token was made: nobody but that person vouches for it. */
export const namedAgentIssuer = "urn:postern:agent";

export interface IssueRequest {
  /** null: any. */
  readonly audience?: readonly Audience[] | null;
  readonly database?: string | null;
  /** The agent it is made for: becomes the nearest actor, and the principal an agent. */
  readonly agent?: string | null;
  /** Who acts for the principal from here on, as verified by a token of its own (RFC 8693 section 2.1, actor_token). */
  readonly actor?: Principal | null;
  /** Wanted lifetime; cut to what is allowed. */
  readonly seconds?: number | null;
  /** base64url SHA-256 of a client certificate. */
  readonly certificate?: string | null;
  /** What the token of `principal` is itself bound to, when it is a Postern token: the new one is bound at least as tightly. */
  readonly within?: Pick<TokenFound, "audience" | "database" | "certificate"> | null;
}

export interface IssuedToken {
  readonly token: string;
  readonly id: string;
  /** The startup `user` with which SCRAM-SHA-256 is offered for it. */
  readonly user: string;
  /** Seconds since the epoch. */
  readonly issued: number;
  readonly expires: number;
  readonly audience: readonly Audience[] | null;
  readonly database: string | null;
  readonly principal: Principal;
}

/** A token as its owner may see it. */
export interface TokenListing {
  readonly id: string;
  readonly audience: readonly Audience[] | null;
  readonly database: string | null;
  readonly agent: string | null;
  readonly certificate: string | null;
  readonly issued: number;
  readonly expires: number;
  readonly actor: readonly Actor[];
}

export interface TokenFound {
  readonly id: string;
  /** The first of the tokens that took each other's place: revoking it revokes them all. */
  readonly head: string;
  readonly principal: Principal;
  readonly audience: readonly Audience[] | null;
  readonly database: string | null;
  readonly agent: string | null;
  readonly certificate: string | null;
}

/** A token shall not be issued. `code` is an error code of RFC 6749 section 5.2 or RFC 8693 section 2.2.2. */
export class IssueError extends Error {
  override readonly name = "IssueError";
  readonly code: "invalid_request" | "invalid_grant" | "invalid_target" | "invalid_scope" | "slow_down";
  constructor(code: IssueError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export interface PosternTokens {
  /** A token for a principal that was just authenticated. Throws IssueError; IdentityError STORE_UNAVAILABLE. */
  issue(principal: Principal, request: IssueRequest): Promise<IssuedToken>;
  /**
   * A fresh token in the place of an old one, which ends with this; bound at least as tightly, and within the lifetime of
   * what the first one was exchanged for. Throws IssueError, IdentityError.
   */
  rotate(token: string, request: IssueRequest, context: CallContext): Promise<IssuedToken>;
  /** The principal of a token shown here. Throws IdentityError. */
  lookup(token: string, context: CallContext): Promise<Principal>;
  /** As lookup, with what the token is bound to; nothing of that is checked. */
  inspect(token: string): Promise<TokenFound>;
  /** What SCRAM needs for the token with this id, made up when there is none or it is no id at all. Throws IdentityError STORE_UNAVAILABLE. */
  scram(id: string): Promise<ScramSecret>;
  /** The principal of a token whose holder has proved it by SCRAM. Throws IdentityError. */
  proved(id: string, context: CallContext): Promise<Principal>;
  /** The living tokens of a principal, newest first. */
  list(principal: Pick<Principal, "issuer" | "subject">): Promise<readonly TokenListing[]>;
  /** The living token of this id; null: there is none (any more). */
  find(id: string): Promise<TokenFound | null>;
  /** Ends a token. Gives what it was, for the list of revocations; null: there is none (any more). */
  end(id: string): Promise<TokenFound | null>;
  readonly settings: TokenSettings;
}

export interface TokenOptions {
  readonly store: Store;
  readonly settings?: TokenSettings;
  /** The longest chain of actors, as a provider's tokens may have it (`identity.max_delegation_depth`). Default 4. */
  readonly maxActors?: number;
  /**
   * 32 bytes that nodes of one store share and that outlive them: salts follow from them, so that no name can be told from another by a salt that
   * changes. Default: drawn anew.
   */
  readonly saltKey?: Buffer;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Makes the tokens of this node ready; all nodes that share the store know each other's. */
export function createPosternTokens(options: TokenOptions): PosternTokens {
  const { store } = options;
  const settings = options.settings ?? defaultTokenSettings;
  const now = options.now ?? Date.now;
  const saltKey = options.saltKey ?? randomBytes(32);
  const maxActors = options.maxActors ?? defaultMaxActors;

  async function load(id: string): Promise<{ document: StoredDocument; record: TokenRecord }> {
    const document = await guarded(store.get(collection, id));
    const record = document === null ? null : decodeRecord(document.value);
    if (document === null || record === null)
      throw new IdentityError("TOKEN_UNKNOWN", `Postern token ${userOf(id)} has ended, or never was`);
    if (record.expires * 1000 <= now())
      throw new IdentityError("TOKEN_EXPIRED", "the Postern token has expired");
    return { document, record };
  }

  async function shown(
    token: string,
  ): Promise<{ id: string; document: StoredDocument; record: TokenRecord }> {
    const id = readToken(token);
    const loaded = await load(id);
    const digest = createHash("sha256").update(token).digest();
    if (!timingSafeEqual(digest, Buffer.from(loaded.record.sha256, "hex")))
      throw new IdentityError("TOKEN_UNKNOWN", `the secret of Postern token ${userOf(id)} is wrong`);
    return { id, ...loaded };
  }

  async function known(id: string): Promise<TokenFound | null> {
    try {
      return foundOf(id, (await load(id)).record);
    } catch (error) {
      if (error instanceof IdentityError && error.code !== "STORE_UNAVAILABLE") return null;
      throw error;
    }
  }

  async function write(
    principal: TokenRecord["principal"],
    bound: Pick<TokenRecord, "audience" | "database" | "agent" | "certificate">,
    times: { seconds: number | null; sourceExpires: number },
    origin: { head: TokenSource | null; from: readonly TokenSource[] },
  ): Promise<IssuedToken> {
    const issued = Math.floor(now() / 1000);
    const wanted = Math.min(
      Math.max(times.seconds ?? settings.lifetime, Math.min(shortestSeconds, settings.longest)),
      settings.longest,
    );
    const expires = Math.min(issued + wanted, times.sourceExpires);
    if (expires <= issued) throw new IssueError("invalid_grant", "the token it comes from has ended");
    const { token, id } = newToken();
    const record: TokenRecord = {
      v: 1,
      sha256: sha256(token),
      scram: await scramSecret(token, saltOf(id, saltKey)),
      ...bound,
      issued,
      expires,
      sourceExpires: times.sourceExpires,
      head: origin.head,
      from: [...origin.from],
      principal,
    };
    const written = await guarded(
      store.insert(collection, id, encodeRecord(record), {
        tags: [ownerTag(principal)],
        expires: expires * 1000,
      }),
    );
    if (!written) throw new IdentityError("IDENTITY_INTERNAL", "two tokens got the same id");
    return {
      token,
      id,
      user: userOf(id),
      issued,
      expires,
      audience: bound.audience,
      database: bound.database,
      principal: principalOf(id, record),
    };
  }

  return {
    settings,
    async issue(principal, request) {
      const { actor, kind, from } = delegated(principal, request, maxActors);
      const held = await guarded(
        store.list(collection, { tags: [ownerTag(principal)], limit: settings.perPrincipal }),
      );
      if (held.items.length >= settings.perPrincipal)
        throw new IssueError(
          "slow_down",
          `you hold ${settings.perPrincipal} tokens already: revoke one, or wait until one ends`,
        );
      return write(
        {
          subject: principal.subject,
          issuer: principal.issuer,
          email: principal.email,
          kind,
          groups: [...principal.groups],
          actor,
          provider: principal.provider,
          claims: { ...principal.claims },
        },
        { ...narrowed(request.within ?? null, request), agent: request.agent ?? null },
        {
          seconds: request.seconds ?? null,
          sourceExpires: Math.floor(
            Math.min(principal.token.expires, request.actor?.token.expires ?? Number.POSITIVE_INFINITY),
          ),
        },
        { head: null, from },
      );
    },
    async rotate(token, request, context) {
      const { id, document, record } = await shown(token);
      checkBinding(record, { ...context, database: null }, false);
      if (request.agent !== undefined && request.agent !== null && request.agent !== record.agent)
        throw new IssueError(
          "invalid_request",
          "another agent needs a token of its own, not one in this one's place",
        );
      const bound = { ...narrowed(record, request), agent: record.agent };
      if (!(await guarded(store.remove(collection, id, document.version))))
        throw new IdentityError("TOKEN_UNKNOWN", `Postern token ${userOf(id)} was exchanged already`);
      return write(
        record.principal,
        bound,
        { seconds: request.seconds ?? null, sourceExpires: record.sourceExpires },
        {
          head: record.head ?? { jti: id, sha256: record.sha256, issued: record.issued },
          from: record.from,
        },
      );
    },
    async lookup(token, context) {
      const { id, record } = await shown(token);
      checkBinding(record, context, true);
      return principalOf(id, record);
    },
    async inspect(token) {
      const { id, record } = await shown(token);
      return foundOf(id, record);
    },
    async scram(id) {
      if (!isId(id)) return mockScramSecret(id, saltKey);
      try {
        return (await load(id)).record.scram;
      } catch (error) {
        if (error instanceof IdentityError && error.code !== "STORE_UNAVAILABLE")
          return mockScramSecret(id, saltKey);
        throw error;
      }
    },
    async proved(id, context) {
      const { record } = await load(id);
      checkBinding(record, context, true);
      return principalOf(id, record);
    },
    async list(principal) {
      const found: TokenListing[] = [];
      let after: string | null = null;
      do {
        const page: Awaited<ReturnType<Store["list"]>> = await guarded(
          store.list(collection, { tags: [ownerTag(principal)], newestFirst: true, limit: 1000, after }),
        );
        for (const { key, value } of page.items) {
          const record = decodeRecord(value);
          if (record.expires * 1000 > now()) found.push(listingOf(key, record));
        }
        after = page.next;
      } while (after !== null);
      return found;
    },
    find: known,
    async end(id) {
      const found = await known(id);
      if (found !== null) await guarded(store.remove(collection, id));
      return found;
    },
  };
}

/** Actors, kind and sources of a token that is issued for a principal, perhaps to act for it. */
function delegated(
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
function checkBinding(record: TokenRecord, context: CallContext, audience: boolean): void {
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
function narrowed(
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

function foundOf(id: string, record: TokenRecord): TokenFound {
  const { audience, database, agent, certificate } = record;
  const head = record.head?.jti ?? id;
  return { id, head, principal: principalOf(id, record), audience, database, agent, certificate };
}

function listingOf(id: string, record: TokenRecord): TokenListing {
  const { audience, database, agent, certificate, issued, expires } = record;
  return { id, audience, database, agent, certificate, issued, expires, actor: record.principal.actor };
}

/** Tags hold no names: a hash of issuer and subject. */
function ownerTag({ issuer, subject }: Pick<Principal, "issuer" | "subject">): string {
  return `owner:${sha256(JSON.stringify([issuer, subject]))}`;
}

/** Without the store nothing is known of any token. */
async function guarded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch {
    throw new IdentityError("STORE_UNAVAILABLE", "the store of tokens cannot be reached");
  }
}
