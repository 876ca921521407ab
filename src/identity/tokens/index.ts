/**
 * Postern's own tokens (`pgt_…`): short, opaque, revocable, bound. They carry the whole principal of the token they were exchanged
 * for and never outlive it. The store holds only their SHA-256 and what SCRAM needs.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Principal, TokenSource } from "../../facts/principal.ts";
import type { Store, StoredDocument } from "../../store/types.ts";
import { sha256 } from "../compact.ts";
import { IdentityError } from "../errors.ts";
import { checkBinding, delegated, narrowed } from "./bounds.ts";
import { isId, newToken, readToken, userOf } from "./format.ts";
import { decodeRecord, encodeRecord, principalOf, type TokenRecord } from "./record.ts";
import { mockScramSecret, saltOf, scramSecret } from "./scram.ts";
import { defaultTokenSettings, shortestSeconds, type TokenSettings } from "./settings.ts";
import {
  type IssuedToken,
  IssueError,
  type PosternTokens,
  type TokenFound,
  type TokenListing,
} from "./types.ts";

export { namedAgentIssuer } from "./bounds.ts";
export {
  type IssuedToken,
  IssueError,
  type IssueRequest,
  type PosternTokens,
  type TokenFound,
  type TokenListing,
} from "./types.ts";

const collection = "tokens";
/** Where nothing else is said. */
const defaultMaxActors = 4;

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
