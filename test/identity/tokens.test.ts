import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { Principal } from "../../src/facts/principal.ts";
import {
  hideTokens,
  idOfUser,
  isToken,
  newToken,
  readToken,
  userOf,
} from "../../src/identity/tokens/format.ts";
import {
  createPosternTokens,
  IssueError,
  namedAgentIssuer,
  type PosternTokens,
} from "../../src/identity/tokens/index.ts";
import { memoryStore, type Store } from "../../src/store/index.ts";

const second = 1000;
const start = 1_800_000_000_000;

function person(over: Partial<Principal> = {}): Principal {
  return {
    subject: "erin",
    issuer: "https://idp.example",
    email: "erin@example.com",
    kind: "human",
    groups: ["employees", "dba"],
    actor: [],
    provider: "corp",
    claims: { sub: "erin", department: "data" },
    token: { jti: "j1", sha256: "a".repeat(64), issued: start / second - 10, expires: start / second + 7200 },
    ...over,
  };
}

const open: Store[] = [];
afterEach(async () => {
  for (const store of open.splice(0)) await store.close();
});

function setUp(settings = {}): { tokens: PosternTokens; store: Store; clock: { now: number } } {
  const store = memoryStore();
  open.push(store);
  const clock = { now: Date.now() };
  const tokens = createPosternTokens({
    store,
    now: () => clock.now,
    settings: { lifetime: 1800, longest: 3600, perPrincipal: 100, ...settings },
  });
  return { tokens, store, clock };
}

function at(now: number, over: Partial<Principal> = {}): Principal {
  const issued = Math.floor(now / second);
  return person({
    token: { jti: "j1", sha256: "a".repeat(64), issued: issued - 10, expires: issued + 7200 },
    ...over,
  });
}

const wire = { audience: "wire", database: "shop" } as const;

describe("the text of a token", () => {
  it("is 66 characters of base62 with its id in front, and never the same", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const { token, id } = newToken();
      expect(token).toMatch(/^pgt_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}$/);
      expect(readToken(token)).toBe(id);
      expect(idOfUser(userOf(id))).toBe(id);
      seen.add(token);
    }
    expect(seen.size).toBe(200);
  });

  it("notices every single character that is changed, cut off or added", () => {
    fc.assert(
      fc.property(fc.nat({ max: 65 }), fc.constantFrom(..."0Aaz9Z_-. "), (place, letter) => {
        const { token } = newToken();
        const changed = token.slice(0, place) + letter + token.slice(place + 1);
        expect(isToken(changed)).toBe(changed === token);
        expect(isToken(token.slice(0, place))).toBe(false);
        expect(isToken(`${token}${letter}`)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it("is taken out of whatever holds it by mistake", () => {
    const { token, id } = newToken();
    expect(hideTokens(`user=${token} x`)).toBe(`user=pgt_${id} x`);
    expect(hideTokens(token.slice(0, 30))).toBe(`pgt_${id}`);
    expect(hideTokens("alice")).toBe("alice");
    expect(idOfUser(token)).toBeNull();
  });
});

describe("issue and lookup", () => {
  it("gives back the whole principal, with the token's own facts and where it comes from", async () => {
    const { tokens, clock } = setUp();
    const source = at(clock.now, { actor: [{ subject: "app", issuer: null }] });
    const issued = await tokens.issue(source, {});
    const principal = await tokens.lookup(issued.token, wire);
    expect(principal).toMatchObject({
      subject: "erin",
      issuer: "https://idp.example",
      email: "erin@example.com",
      kind: "human",
      groups: ["employees", "dba"],
      actor: [{ subject: "app", issuer: null }],
      provider: "corp",
      claims: { department: "data" },
    });
    expect(principal.token.jti).toBe(issued.id);
    expect(principal.token.from).toEqual([
      { jti: "j1", sha256: "a".repeat(64), issued: source.token.issued },
    ]);
    expect(issued.expires - issued.issued).toBe(1800);
  });

  it("keeps neither the token nor its secret part in the store", async () => {
    const { tokens, store, clock } = setUp();
    const { token, id } = await tokens.issue(at(clock.now), {});
    const page = await store.list("tokens", { limit: 10 });
    const text = JSON.stringify(page.items);
    expect(text).toContain(id);
    expect(text).not.toContain(token.slice(17, 40));
  });

  it("clamps the lifetime to 5-60 minutes and to what the source has left", async () => {
    const { tokens, clock } = setUp();
    const lifetime = async (seconds: number | null, left = 7200) => {
      const issued = Math.floor(clock.now / second);
      const source = at(clock.now, {
        token: { jti: null, sha256: "b".repeat(64), issued, expires: issued + left },
      });
      const { expires, issued: from } = await tokens.issue(source, { seconds });
      return expires - from;
    };
    expect(await lifetime(null)).toBe(1800);
    expect(await lifetime(1)).toBe(300);
    expect(await lifetime(999_999)).toBe(3600);
    expect(await lifetime(3600, 120)).toBe(120);
    await expect(lifetime(3600, 0)).rejects.toBeInstanceOf(IssueError);
  });

  it("ends with its time", async () => {
    const { tokens, clock } = setUp();
    const { token } = await tokens.issue(at(clock.now), { seconds: 300 });
    await tokens.lookup(token, wire);
    clock.now += 301 * second;
    await expect(tokens.lookup(token, wire)).rejects.toMatchObject({ code: "TOKEN_EXPIRED" });
  });

  it("is refused elsewhere than it is for: audience, database, certificate", async () => {
    const { tokens, clock } = setUp();
    const certificate = "c".repeat(43);
    const { token } = await tokens.issue(at(clock.now), {
      audience: ["wire"],
      database: "shop",
      certificate,
    });
    const good = { audience: "wire", database: "shop", certificate } as const;
    await tokens.lookup(token, good);
    await expect(tokens.lookup(token, { ...good, audience: "api" })).rejects.toMatchObject({
      code: "TOKEN_AUDIENCE",
    });
    await expect(tokens.lookup(token, { database: "shop", certificate })).rejects.toMatchObject({
      code: "TOKEN_AUDIENCE",
    });
    await expect(tokens.lookup(token, { ...good, database: "hr" })).rejects.toMatchObject({
      code: "TOKEN_DATABASE",
    });
    await expect(tokens.lookup(token, { ...good, certificate: null })).rejects.toMatchObject({
      code: "TOKEN_BOUND",
    });
  });

  it("does not know a token with the right id and another secret", async () => {
    const { tokens, store, clock } = setUp();
    const mine = await tokens.issue(at(clock.now), {});
    const { token: other } = newToken();
    // The record of one id under another: as if somebody had guessed an id and made a secret of his own.
    const document = await store.get("tokens", mine.id);
    await store.insert("tokens", readToken(other), document?.value ?? null);
    await expect(tokens.lookup(other, wire)).rejects.toMatchObject({ code: "TOKEN_UNKNOWN" });
  });

  it("makes an agent of whoever is to act, by name or by a token of its own", async () => {
    const { tokens, clock } = setUp();
    const named = await tokens.issue(at(clock.now), { agent: "claude" });
    expect(named.principal).toMatchObject({
      kind: "agent",
      subject: "erin",
      actor: [{ subject: "claude", issuer: namedAgentIssuer }],
    });
    const bot = at(clock.now, {
      subject: "bot",
      kind: "service",
      groups: ["robots"],
      actor: [{ subject: "runner", issuer: null }],
      token: {
        jti: "bot1",
        sha256: "d".repeat(64),
        issued: Math.floor(clock.now / second),
        expires: Math.floor(clock.now / second) + 400,
      },
    });
    const delegated = await tokens.issue(at(clock.now), { actor: bot, seconds: 3600 });
    expect(delegated.principal.actor).toEqual([
      { subject: "runner", issuer: null },
      { subject: "bot", issuer: "https://idp.example" },
    ]);
    expect(delegated.principal.groups).toEqual(["employees", "dba"]);
    expect(delegated.principal.kind).toBe("agent");
    // No longer than the actor's own token either.
    expect(delegated.expires - delegated.issued).toBe(400);
    expect(delegated.principal.token.from?.map(({ jti }) => jti)).toEqual(["j1", "bot1"]);
  });

  it("bounds the chain of actors and the tokens of one principal", async () => {
    const { tokens, clock } = setUp({ perPrincipal: 3 });
    const actor = Array.from({ length: 8 }, (_, i) => ({ subject: `a${i}`, issuer: null }));
    await expect(tokens.issue(at(clock.now, { actor }), { agent: "one-more" })).rejects.toMatchObject({
      code: "invalid_request",
    });
    for (let i = 0; i < 3; i++) await tokens.issue(at(clock.now), {});
    await expect(tokens.issue(at(clock.now), {})).rejects.toMatchObject({ code: "slow_down" });
    // Somebody else is not hindered.
    await tokens.issue(at(clock.now, { subject: "ada" }), {});
  });
});

describe("rotation", () => {
  it("ends the old token, never outlives the source, and keeps what it was bound to", async () => {
    const { tokens, clock } = setUp();
    const issued = Math.floor(clock.now / second);
    const source = at(clock.now, {
      token: { jti: "j1", sha256: "a".repeat(64), issued, expires: issued + 2000 },
    });
    const first = await tokens.issue(source, { audience: ["wire"], database: "shop" });
    clock.now += 1000 * second;
    const next = await tokens.rotate(first.token, {}, {});
    expect(next.expires).toBe(issued + 2000);
    expect(next).toMatchObject({ audience: ["wire"], database: "shop" });
    await expect(tokens.lookup(first.token, wire)).rejects.toMatchObject({ code: "TOKEN_UNKNOWN" });
    await expect(tokens.rotate(first.token, {}, {})).rejects.toMatchObject({ code: "TOKEN_UNKNOWN" });
    await tokens.lookup(next.token, wire);
    // The first of the family is known to all that follow.
    const third = await tokens.rotate(next.token, {}, {});
    expect(third.principal.token.from?.map(({ jti }) => jti)).toEqual(["j1", first.id]);
    expect((await tokens.inspect(third.token)).head).toBe(first.id);
  });

  it("may narrow but never widen", async () => {
    const { tokens, clock } = setUp();
    const wide = await tokens.issue(at(clock.now), {});
    const narrow = await tokens.rotate(wide.token, { audience: ["wire"], database: "shop" }, {});
    expect(narrow).toMatchObject({ audience: ["wire"], database: "shop" });
    for (const request of [{ audience: ["api" as const] }, { database: "hr" }])
      await expect(tokens.rotate(narrow.token, request, {})).rejects.toMatchObject({
        code: "invalid_target",
      });
    // What was refused has not ended the token.
    await tokens.lookup(narrow.token, wire);
  });

  it("gives one winner when two rotate at once", async () => {
    const { tokens, clock } = setUp();
    const { token } = await tokens.issue(at(clock.now), {});
    const both = await Promise.allSettled([tokens.rotate(token, {}, {}), tokens.rotate(token, {}, {})]);
    expect(both.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("binds a delegated token at least as tightly as the one it comes from", async () => {
    const { tokens, clock } = setUp();
    const mine = await tokens.issue(at(clock.now), { database: "shop" });
    const within = await tokens.inspect(mine.token);
    const handed = await tokens.issue(within.principal, { agent: "claude", within });
    expect(handed.database).toBe("shop");
    await expect(
      tokens.issue(within.principal, { agent: "claude", database: "hr", within }),
    ).rejects.toMatchObject({ code: "invalid_target" });
  });
});

describe("listing and ending", () => {
  it("lists the living tokens of one owner and ends them", async () => {
    const { tokens, clock } = setUp();
    const one = await tokens.issue(at(clock.now), { database: "shop" });
    await tokens.issue(at(clock.now, { subject: "ada" }), {});
    const listed = await tokens.list(person());
    expect(listed.map(({ id }) => id)).toEqual([one.id]);
    expect(JSON.stringify(listed)).not.toContain(one.token);
    expect((await tokens.end(one.id))?.principal.subject).toBe("erin");
    expect(await tokens.end(one.id)).toBeNull();
    await expect(tokens.lookup(one.token, wire)).rejects.toMatchObject({ code: "TOKEN_UNKNOWN" });
  });

  it("knows nothing of any token while the store does not answer", async () => {
    const { tokens, store, clock } = setUp();
    const { token, id } = await tokens.issue(at(clock.now), {});
    await store.close();
    await expect(tokens.lookup(token, wire)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await expect(tokens.scram(id)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    await expect(tokens.issue(at(clock.now), {})).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  });
});

describe("salts of SCRAM", () => {
  const saltKey = Buffer.alloc(32, 7);
  const user = "pgt_abcdefghijkl";

  it("are the same on every node, after every start, and of other names others", async () => {
    const [here, there] = [memoryStore(), memoryStore()];
    open.push(here, there);
    const one = createPosternTokens({ store: here, saltKey });
    const two = createPosternTokens({ store: there, saltKey });
    for (const name of ["abcdefghijkl", `user ${user}`, "user postgres", ""]) {
      expect(await two.scram(name)).toEqual(await one.scram(name));
      expect(await createPosternTokens({ store: here }).scram(name)).not.toEqual(await one.scram(name));
    }
    expect((await one.scram("abcdefghijkl")).salt).not.toBe((await one.scram("abcdefghijkm")).salt);
  });

  it("do not tell a token that was ended from one that never was", async () => {
    const store = memoryStore();
    open.push(store);
    const tokens = createPosternTokens({ store, saltKey });
    const { id } = await tokens.issue(at(Date.now()), {});
    const living = await tokens.scram(id);
    await tokens.end(id);
    const ended = await tokens.scram(id);
    // Salt and iterations are all that a client is told before its proof; the keys are others, so no proof fits.
    expect([ended.salt, ended.iterations]).toEqual([living.salt, living.iterations]);
    expect([ended.storedKey, ended.serverKey]).not.toEqual([living.storedKey, living.serverKey]);
    // Another node of the same store, asked before the token was made, would have said the same.
    const elsewhere = memoryStore();
    open.push(elsewhere);
    expect((await createPosternTokens({ store: elsewhere, saltKey }).scram(id)).salt).toBe(living.salt);
  });
});
