/** From verified claims to a principal: mapping, kinds, groups, actors, the cache and revocation. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createIdentity, IdentityConfigError } from "../../src/identity/index.ts";
import type { KindRule, OidcProviderSettings } from "../../src/identity/settings.ts";
import { startTestIdp, type TestIdp } from "../support/idp.ts";
import { clock, provider, refused } from "./helpers.ts";

let idp: TestIdp;
beforeAll(async () => {
  idp = await startTestIdp();
});
afterAll(() => idp.close());

const open = (changes: Partial<OidcProviderSettings> = {}, now?: () => number) =>
  createIdentity([provider(idp.issuer, changes)], now === undefined ? {} : { now });
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function principalOf(claims: Record<string, unknown>, changes: Partial<OidcProviderSettings> = {}) {
  return (await open(changes)).authenticate(await idp.mint(claims));
}

describe("mapping", () => {
  test("every fact of a principal", async () => {
    const token = await idp.mint({
      sub: "alice",
      email: "alice@example.com",
      groups: ["b", "a", "b"],
      jti: "t1",
    });
    const principal = await (await open()).authenticate(token);
    expect(principal).toMatchObject({
      subject: "alice",
      issuer: idp.issuer,
      email: "alice@example.com",
      kind: "agent",
      groups: ["b", "a"],
      actor: [],
      provider: "corp",
      token: { jti: "t1", sha256: sha256(token) },
    });
    expect(principal.claims).toMatchObject({ sub: "alice", aud: "postern" });
    expect(principal.token.expires).toBe(principal.claims.exp);
    expect(principal.token.issued).toBe(principal.claims.iat);
    expect(() => Object.assign(principal.claims, { sub: "root" })).toThrow(TypeError);
    expect(() => (principal.groups as string[]).push("dba")).toThrow(TypeError);
  });

  test("dotted paths, and a literal name that holds dots before them", async () => {
    const claims = { subject: "user.id", groups: "realm_access.roles", email: "email", agent: "client_id" };
    const nested = { user: { id: "u1" }, realm_access: { roles: ["dba"] } };
    expect(await principalOf(nested, { claims })).toMatchObject({ subject: "u1", groups: ["dba"] });
    expect(await principalOf({ ...nested, "realm_access.roles": "x" }, { claims })).toMatchObject({
      groups: ["x"],
    });
    await refused(principalOf({ user: "u1" }, { claims }), "TOKEN_CLAIMS");
    const inherited = { ...claims, subject: "constructor.name" };
    await refused(principalOf({}, { claims: inherited }), "TOKEN_CLAIMS");
  });

  test.each([
    ["an empty subject", { sub: "" }],
    ["a subject that is a number", { sub: 7 }],
    ["a subject that is null", { sub: null }],
    ["a long subject", { sub: "é".repeat(513) }],
    ["a subject with NUL", { sub: "alice\0postern.kind\0human" }],
    ["a subject with a line break", { sub: "alice\nroot" }],
    ["an e-mail that is a list", { email: ["a@example.com"] }],
    ["a jti that is a number", { jti: 7 }],
    ["a client that is an object", { client_id: {} }],
    ["groups that are objects", { groups: [{ name: "dba" }] }],
    ["groups as an object", { groups: { dba: true } }],
    ["an empty group", { groups: [""] }],
    ["a long group", { groups: ["g".repeat(513)] }],
    ["too many groups", { groups: Array.from({ length: 1001 }, (_, index) => `g${index}`) }],
  ])("%s is refused", async (_what, claims) => {
    await refused(principalOf(claims), "TOKEN_CLAIMS");
  });

  test("a subject of 1024 bytes gets in", async () => {
    expect((await principalOf({ sub: "é".repeat(512) })).subject).toHaveLength(512);
  });

  test("groups: one text, none, null", async () => {
    expect((await principalOf({ groups: "dba" })).groups).toEqual(["dba"]);
    expect((await principalOf({ groups: undefined })).groups).toEqual([]);
    expect((await principalOf({ groups: null })).groups).toEqual([]);
  });

  test("an e-mail address that is not verified is none", async () => {
    expect((await principalOf({ email: "a@example.com", email_verified: false })).email).toBeNull();
    expect((await principalOf({ email: "a@example.com", email_verified: true })).email).toBe("a@example.com");
    expect((await principalOf({})).email).toBeNull();
    const claims = { subject: "email", groups: "groups", email: "email", agent: "client_id" };
    await refused(principalOf({ email: "a@example.com", email_verified: false }, { claims }), "TOKEN_CLAIMS");
  });
});

describe("groups that are not all there", () => {
  test.each([
    { _claim_names: { groups: "src1" }, _claim_sources: { src1: { endpoint: "https://graph.example" } } },
    { _claim_names: { groups: "src1" } },
    { _claim_sources: [] },
    { hasgroups: true },
    { hasgroups: "true" },
    { "groups:src1": "https://graph.example" },
  ])("%j", async (claims) => {
    await refused(principalOf({ groups: undefined, ...claims }), "GROUPS_OVERAGE");
    await refused(principalOf(claims), "GROUPS_OVERAGE");
  });
  test("markers that say nothing", async () => {
    await principalOf({ _claim_names: {}, _claim_sources: {}, hasgroups: false });
  });
  test("exactly 100 groups are let in and counted", async () => {
    const identity = await open();
    const groups = Array.from({ length: 100 }, (_, index) => `g${index}`);
    await identity.authenticate(await idp.mint({ groups }));
    expect(identity.metrics.groupsMaybeTruncated).toBe(1);
    await identity.authenticate(await idp.mint({ groups: groups.slice(1) }));
    expect(identity.metrics.groupsMaybeTruncated).toBe(1);
  });
});

describe("actors", () => {
  const nest = (depth: number): unknown =>
    depth === 0 ? undefined : { sub: `a${depth}`, act: nest(depth - 1) };

  test("an act chain, nearest first", async () => {
    const act = { sub: "agent-1", iss: "https://agents.example", act: { sub: "orchestrator" } };
    expect((await principalOf({ act, client_id: "app" })).actor).toEqual([
      { subject: "agent-1", issuer: "https://agents.example" },
      { subject: "orchestrator", issuer: null },
    ]);
    expect((await principalOf({ act: nest(4) })).actor).toHaveLength(4);
    await refused(principalOf({ act: nest(5) }), "TOKEN_DELEGATION");
  });
  test.each(["agent", null, [], {}, { sub: "" }, { sub: "a", iss: 7 }, { sub: "a", act: 7 }])(
    "act %j is refused",
    async (act) => {
      await refused(principalOf({ act }), "TOKEN_CLAIMS");
    },
  );
  test("an agent's client acts for the subject, a person's does not", async () => {
    expect((await principalOf({ client_id: "agent-7" })).actor).toEqual([
      { subject: "agent-7", issuer: null },
    ]);
    expect((await principalOf({ azp: "agent-8" })).actor).toEqual([{ subject: "agent-8", issuer: null }]);
    expect((await principalOf({ sub: "agent-7", client_id: "agent-7" })).actor).toEqual([]);
    expect(
      (await principalOf({ client_id: "cli" }, { kinds: [{ kind: "human", when: "true" }] })).actor,
    ).toEqual([]);
  });
});

describe("kinds", () => {
  const kinds: KindRule[] = [
    { kind: "agent", when: 'claims.client_id.startsWith("agent-")' },
    { kind: "human", when: '"employees" in claims.groups' },
    { kind: "service", when: 'claims.level > 3 && "batch" in groups' },
  ];
  test.each([
    [{ client_id: "agent-1", groups: ["employees"] }, "agent"],
    [{ client_id: "web", groups: ["employees"] }, "human"],
    // Without client_id the first rule fails, which is no match.
    [{ groups: ["employees"] }, "human"],
    [{ groups: "batch", level: 4 }, "service"],
    [{ groups: ["batch"], level: 3 }, "agent"],
    [{ groups: ["batch"], level: "4" }, "agent"],
    [{ groups: ["batch"] }, "agent"],
    [{ groups: null }, "agent"],
  ])("%j is %s", async (claims, kind) => {
    expect((await principalOf(claims, { kinds })).kind).toBe(kind);
  });
  test("only true is true", async () => {
    const rule: KindRule[] = [{ kind: "human", when: "claims.staff" }];
    expect((await principalOf({ staff: true }, { kinds: rule })).kind).toBe("human");
    for (const staff of ["true", 1, [true], { a: 1 }]) {
      expect((await principalOf({ staff }, { kinds: rule })).kind).toBe("agent");
    }
  });
  test.each([
    ['claims.client_id.startsWith("agent-"', "syntax"],
    ['principal.kind == "human"', "unknown fact"],
    ["groups == 1", "types"],
    ["1 + 1", "no condition"],
    ['"a"', "no condition"],
    ["", "empty"],
    ['claims.sub.matches("^(a+)+$")', "regular expression"],
    ['claims.groups.exists(g, g.matches("x"))', "regular expression inside a macro"],
  ])("%s is a fault of the settings (%s)", async (when) => {
    const attempt = open({
      kinds: [
        { kind: "human", when: "true" },
        { kind: "service", when },
      ],
    });
    const error: unknown = await attempt.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(IdentityConfigError);
    expect(error).toMatchObject({ provider: "corp", key: "kinds[1].when" });
    const message = String(error);
    expect(message).toContain("corp");
    expect(message).toContain("kinds[1]");
    expect(message).toContain(JSON.stringify(when));
    expect(message).not.toContain("\n");
  });
});

describe("settings", () => {
  test.each<[string, Partial<OidcProviderSettings>, string]>([
    ["alg none", { algorithms: ["RS256", "none"] }, "algorithms"],
    ["HS256", { algorithms: ["HS256"] }, "algorithms"],
    ["no algorithm", { algorithms: [] }, "algorithms"],
    ["logout tokens", { tokenTypes: ["logout+jwt"] }, "token_types"],
    ["proofs", { tokenTypes: ["application/DPoP+JWT"] }, "token_types"],
    ["no type", { tokenTypes: [] }, "token_types"],
    ["no audience", { audience: [] }, "audience"],
    ["an empty audience", { audience: [""] }, "audience"],
    ["no age", { maxTokenAge: 0 }, "max_token_age"],
    ["keys over plain http", { jwks: "http://idp.example/jwks" }, "jwks"],
    ["keys with a password in the URL", { jwks: "https://a:b@idp.example/jwks" }, "jwks"],
    ["keys nowhere", { jwks: "jwks.json" }, "jwks"],
    ["an issuer over plain http", { issuer: "http://idp.example" }, "issuer"],
    ["an issuer that is no URL", { issuer: "corp" }, "issuer"],
    ["an issuer with a query", { issuer: "https://idp.example?x" }, "issuer"],
  ])("%s", async (_what, changes, key) => {
    await expect(open(changes)).rejects.toMatchObject({ name: "IdentityConfigError", provider: "corp", key });
  });
  test("an issuer that is no URL is fine when the keys are given", async () => {
    const identity = await createIdentity([provider("kubernetes/serviceaccount", { jwks: idp.jwksUri })]);
    expect(identity.discovery).toBeNull();
    await identity.authenticate(await idp.mint({ iss: "kubernetes/serviceaccount" }));
  });
  test("several providers of one issuer are told apart by audience", async () => {
    const identity = await createIdentity([
      provider(idp.issuer, {
        name: "people",
        audience: ["postern"],
        kinds: [{ kind: "human", when: "true" }],
      }),
      provider(idp.issuer, { name: "machines", audience: ["postern-m2m", "batch"] }),
    ]);
    expect(await identity.authenticate(await idp.mint())).toMatchObject({
      provider: "people",
      kind: "human",
    });
    expect(await identity.authenticate(await idp.mint({ aud: "batch" }))).toMatchObject({
      provider: "machines",
      kind: "agent",
    });
    await refused(identity.authenticate(await idp.mint({ aud: "else" })), "TOKEN_AUDIENCE");
  });
  test("ambiguous providers", async () => {
    const same = provider(idp.issuer);
    await expect(createIdentity([same, same])).rejects.toMatchObject({ key: "name" });
    await expect(createIdentity([same, { ...same, name: "b" }])).rejects.toMatchObject({ key: "audience" });
  });
  test("no provider lets nobody in", async () => {
    const identity = await createIdentity([]);
    expect(identity.discovery).toBeNull();
    await refused(identity.authenticate(await idp.mint()), "TOKEN_ISSUER");
  });
});

describe("cache and revocation", () => {
  test("a token is verified once, until it expires", async () => {
    const { now, advance } = clock();
    const identity = await open({}, now);
    const token = await idp.mint({}, { expiresIn: 100 });
    const first = await identity.authenticate(token);
    expect(await identity.authenticate(token)).toBe(first);
    expect(identity.metrics).toMatchObject({ verified: 1, cached: 1, refused: 0 });
    advance(132_000);
    await refused(identity.authenticate(token), "TOKEN_EXPIRED");
    expect(identity.metrics).toMatchObject({ verified: 1, cached: 1, refused: 1 });
  });

  test("a cached token ends at max_token_age", async () => {
    const { now, advance } = clock();
    const identity = await open({ maxTokenAge: 60 }, now);
    const token = await idp.mint();
    await identity.authenticate(token);
    advance(92_000);
    await refused(identity.authenticate(token), "TOKEN_EXPIRED");
  });

  test("a revoked token is refused, cached or not, in either case of the hex", async () => {
    const identity = await open();
    const seen = await idp.mint();
    const unseen = await idp.mint();
    await identity.authenticate(seen);
    identity.revoke(sha256(seen).toUpperCase());
    identity.revoke(sha256(unseen));
    await refused(identity.authenticate(seen), "TOKEN_REVOKED");
    await refused(identity.authenticate(unseen), "TOKEN_REVOKED");
    await identity.authenticate(await idp.mint());
    expect(identity.metrics.refused).toBe(2);
    expect(() => identity.revoke("alice")).toThrow(TypeError);
  });

  test("a token revoked while its keys are on their way is refused", async () => {
    const identity = await open();
    const token = await idp.mint();
    const attempt = refused(identity.authenticate(token), "TOKEN_REVOKED");
    identity.revoke(sha256(token));
    await attempt;
  });

  test("a second signature computed from the first does not outlive a revocation", async () => {
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const identity = await open();
    const token = await idp.mint();
    const [head, claims, signature = ""] = token.split(".");
    const bytes = Buffer.from(signature, "base64url");
    const s = BigInt(`0x${bytes.subarray(32).toString("hex")}`);
    bytes.write((order - s).toString(16).padStart(64, "0"), 32, "hex");
    const twin = `${head}.${claims}.${bytes.toString("base64url")}`;
    expect((await identity.authenticate(twin)).subject).toBe("alice");
    await identity.authenticate(token);
    identity.revoke(sha256(token));
    await refused(identity.authenticate(twin), "TOKEN_REVOKED");
    await refused(identity.authenticate(token), "TOKEN_REVOKED");
  });

  test("nor does it when only the hash of the other one is known", async () => {
    const identity = await open();
    const token = await idp.mint();
    const { twin } = (await identity.authenticate(token)).token;
    identity.revoke(twin ?? "");
    await refused(identity.authenticate(token), "TOKEN_REVOKED");
    const other = await open();
    other.revoke(twin ?? "");
    await refused(other.authenticate(token), "TOKEN_REVOKED");
  });
});
