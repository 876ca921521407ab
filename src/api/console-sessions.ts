/**
 * The console's sessions: a random cookie, of which the store holds only the SHA-256, with an idle and an absolute end. What the person
 * was at login (groups above all) stays as it was until then, so the absolute end is kept short.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Principal } from "../facts/principal.ts";
import type { Json, Store, StoredDocument } from "../store/types.ts";
import { readCookie, setCookie } from "./cookies.ts";
import { isPrincipal } from "./principal.ts";

const cookie = "postern_session";
const collection = "console-sessions";
const absoluteMs = 8 * 3600_000;
const idleMs = 3600_000;
/** The store is told of use no more often than this. */
const touchMs = 60_000;

export interface ConsoleSession {
  readonly principal: Principal;
  /** Seconds since the epoch; null: the provider did not say. */
  readonly authTime: number | null;
  readonly csrf: string;
  /** Milliseconds since the epoch: when it ends if it goes on being used. */
  readonly until: number;
}

export interface NewSession {
  readonly principal: Principal;
  readonly authTime: number | null;
  /** The provider's own name of its session (`sid`, OpenID Connect Back-Channel Logout section 2.1; SAML SessionIndex). */
  readonly sid: string | null;
}

export interface ConsoleSessions {
  /** Opens a session and gives the value of a Set-Cookie header. Rejects with StoreUnavailable. */
  open(session: NewSession): Promise<string>;
  /** The session of a Cookie header; null: none, or it is over. Rejects with StoreUnavailable. */
  find(cookies: string | undefined): Promise<ConsoleSession | null>;
  /** What the store calls the session of a Cookie header, whether or not it is there; nobody can be somebody with it. null: the header has none. */
  nameOf(cookies: string | undefined): string | null;
  /** Ends a session by what the store calls it. */
  end(name: string): Promise<void>;
  /** Ends the session of a Cookie header, and gives the Set-Cookie header that removes the cookie. */
  close(cookies: string | undefined): Promise<string>;
  /** Ends every session of a person at a provider, or only those of one `sid`. Gives how many. */
  endOf(who: {
    readonly provider: string;
    readonly subject?: string;
    readonly sid?: string;
  }): Promise<number>;
}

export interface ConsoleSessionOptions {
  /** Whether browsers reach the listener by https: then the cookie goes nowhere else. */
  readonly secure: () => boolean;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export function createConsoleSessions(store: Store, options: ConsoleSessionOptions): ConsoleSessions {
  const now = options.now ?? Date.now;
  const marks = () => ({ secure: options.secure(), sameSite: "Strict" }) as const;

  async function touch(found: StoredDocument, until: number): Promise<void> {
    if (now() - found.updated < touchMs) return;
    // Somebody else may have touched or ended it meanwhile: then this one has nothing to say.
    const expires = Math.min(now() + idleMs, until);
    await store.update(collection, found.key, found.version, found.value, { expires });
  }

  return {
    async open({ principal, authTime, sid }) {
      const secret = randomBytes(32).toString("base64url");
      const until = now() + absoluteMs;
      // From here on the session stands for the person, not the token that began it.
      const token = { ...principal.token, expires: Math.floor(until / 1000) };
      const value = { principal: { ...principal, token }, authTime, until } as unknown as Json;
      await store.insert(collection, keyOf(secret), value, {
        tags: tagsOf(principal.provider, principal.subject, sid),
        expires: Math.min(now() + idleMs, until),
      });
      return setCookie(cookie, secret, { ...marks(), seconds: absoluteMs / 1000 });
    },
    async find(cookies) {
      const secret = readCookie(cookies, cookie, options.secure());
      if (secret === null || !/^[\w-]{43}$/.test(secret)) return null;
      const found = await store.get(collection, keyOf(secret));
      if (found === null) return null;
      const { principal, authTime, until } = (found.value ?? {}) as Record<string, unknown>;
      const readable =
        isPrincipal(principal) &&
        typeof until === "number" &&
        (authTime === null || typeof authTime === "number");
      if (!readable || now() >= until || (found.expires !== null && now() >= found.expires)) {
        await store.remove(collection, found.key);
        return null;
      }
      await touch(found, until);
      return { principal, authTime, until, csrf: csrfOf(secret) };
    },
    nameOf(cookies) {
      const secret = readCookie(cookies, cookie, options.secure());
      return secret === null ? null : keyOf(secret);
    },
    async end(name) {
      await store.remove(collection, name);
    },
    async close(cookies) {
      const secret = readCookie(cookies, cookie, options.secure());
      if (secret !== null) await store.remove(collection, keyOf(secret));
      return setCookie(cookie, "", { ...marks(), seconds: 0 });
    },
    async endOf({ provider, subject, sid }) {
      const tags = [
        ...(subject === undefined ? [] : [subjectTag(provider, subject)]),
        ...(sid === undefined ? [] : [sidTag(provider, sid)]),
      ];
      if (tags.length === 0) return 0;
      let count = 0;
      for (;;) {
        const { items } = await store.list(collection, { tags, limit: 100 });
        if (items.length === 0) return count;
        for (const { key } of items) if (await store.remove(collection, key)) count++;
      }
    },
  };
}

function keyOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** Follows from the cookie, which scripts cannot read: only this site is told it (GET /api/me). */
function csrfOf(secret: string): string {
  return createHash("sha256").update("postern csrf\0").update(secret).digest("base64url");
}

function tagsOf(provider: string, subject: string, sid: string | null): string[] {
  return [subjectTag(provider, subject), ...(sid === null ? [] : [sidTag(provider, sid)])];
}

/** Hashed: names of people may be long, and hold what tags may not. */
function subjectTag(provider: string, subject: string): string {
  return `subject:${createHash("sha256").update(`${provider}\0${subject}`).digest("hex")}`;
}

function sidTag(provider: string, sid: string): string {
  return `sid:${createHash("sha256").update(`${provider}\0${sid}`).digest("hex")}`;
}
