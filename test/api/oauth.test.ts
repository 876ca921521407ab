/** The OAuth endpoints and the lifecycle routes, over a gateway with a real PostgreSQL behind it. */

import pg from "pg";
import pino from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../src/api/app.ts";
import { createConsoleSessions, createRest, lifecycleRoutes, oauthRoutes } from "../../src/api/index.ts";
import { createProtection } from "../../src/identity/protection.ts";
import { namedAgentIssuer } from "../../src/identity/tokens/index.ts";
import { memoryStore, type Store } from "../../src/store/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";

const url = "https://postern.example";
const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange";
const jwtGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const accessToken = "urn:ietf:params:oauth:token-type:access_token";

let cluster: Database;
let dbname: string;
let store: Store;
let postern: TestPostern;
let app: ReturnType<typeof createApp>;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  store = await memoryStore();
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    store,
    kinds: [{ kind: "human", when: '"people" in groups' }],
  });
});
beforeEach(() => {
  // A fresh app has fresh limits: the tests of one must not use up those of another.
  app = build();
});
afterAll(async () => {
  await postern?.stop();
  await store?.close();
  await cluster?.dropDatabase(dbname);
});

function build(protection = createProtection(null)) {
  const { identity, gateway, audit, tokens, revocations } = postern;
  if (tokens === null || revocations === null) throw new Error("no store");
  const consoleSessions = createConsoleSessions(store, { secure: () => true });
  const roles = { admins: ["admins"], auditors: [], approvers: [] };
  const rest = createRest({
    version: "test",
    node: "node",
    identity,
    gateway,
    audit,
    store,
    consoleSessions,
    databases: [],
    providers: () => [],
    roles: () => roles,
    publicUrl: () => url,
    stepUpSeconds: 600,
    protection,
    logger: pino({ level: "silent" }),
    tls: false,
    logKey: () => "",
    anchors: () => [],
    more: lifecycleRoutes({ gateway, identity, tokens, revocations, audit }),
  });
  return createApp(
    {
      version: "test",
      readiness: () => ({}),
      metrics: () => [],
      onError: (error) => {
        throw error;
      },
      rest,
      mounts: [
        oauthRoutes({
          identity,
          protection,
          tokens,
          revocations,
          store,
          audit,
          publicUrl: () => url,
          mayUse: (principal, name) => name === "shop" && principal.groups.includes("testers"),
          isAdmin: (principal) => principal.groups.includes("admins"),
          wellKnown: () => ({
            version: 1,
            issuer: url,
            providers: [],
            postgres: [],
            token_endpoint: `${url}/oauth/token`,
            revocation_endpoint: `${url}/oauth/revoke`,
            introspection_endpoint: `${url}/oauth/introspect`,
            backchannel_logout_uri: `${url}/oauth/backchannel-logout`,
            mcp: `${url}/mcp`,
            console: `${url}/`,
          }),
        }),
      ],
    },
    false,
  );
}

type Fields = Record<string, string | readonly string[]>;

async function post(path: string, fields: Fields, headers: Record<string, string> = {}) {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(fields))
    for (const one of typeof value === "string" ? [value] : value) form.append(name, one);
  const body = form.toString();
  const response = await app.request(path, {
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      "content-length": String(body.length),
      ...headers,
    },
    body,
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? null : JSON.parse(text) };
}

const exchange = async (fields: Fields = {}, claims: Record<string, unknown> = {}) =>
  post("/oauth/token", {
    grant_type: exchangeGrant,
    subject_token: await person(claims),
    subject_token_type: accessToken,
    ...fields,
  });
const person = (claims: Record<string, unknown> = {}, seconds = 3600) =>
  postern.idp.mint({ sub: "erin", groups: ["people", "testers"], ...claims }, { expiresIn: seconds });

async function json(method: string, path: string, token: string, body?: unknown) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const response = await app.request(path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(text === undefined
        ? {}
        : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
    },
    ...(text === undefined ? {} : { body: text }),
  });
  const answer = await response.text();
  return { status: response.status, body: answer === "" ? null : JSON.parse(answer) };
}

async function connect(password: string, database = "shop") {
  const client = new pg.Client({ host: postern.host, port: postern.port, user: "x", database, password });
  const over = Promise.withResolvers<{ code?: string }>();
  client.on("error", (error: Error & { code?: string }) => over.resolve(error));
  await client.connect();
  return { client, over: over.promise };
}

describe("POST /oauth/token, token exchange", () => {
  it("gives a token that opens a session and stands on the record, its text nowhere", async () => {
    const { status, body, headers } = await exchange({
      audience: "wire",
      database: "shop",
      expires_in: "600",
    });
    expect(status).toBe(200);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(body).toMatchObject({
      issued_token_type: accessToken,
      token_type: "Bearer",
      expires_in: 600,
      scope: "wire database:shop",
    });
    expect(body.user).toBe(body.access_token.slice(0, 16));
    const { client } = await connect(body.access_token);
    await client.end();
    const records = await postern.records();
    const issued = records.find(
      (r) => r.action === "token.issued" && (r.token as { jti: string }).jti === body.id,
    );
    expect(issued).toMatchObject({
      type: "admin.action",
      grant: "token-exchange",
      principal: { subject: "erin", kind: "human" },
      database: "shop",
      audience: ["wire"],
    });
    expect(JSON.stringify(records)).not.toContain(body.access_token.slice(17));
  });

  it("reads resource and scope as other ways to say the same", async () => {
    const resource = await exchange({ resource: ["postgres://db.example/shop", `${url}/mcp`] });
    expect(resource.body.scope).toBe("wire mcp database:shop");
    const scope = await exchange({ scope: "wire api database:shop agent:claude" });
    expect(scope.body.scope).toBe("wire api database:shop");
    const principal = await postern.identity.authenticate(scope.body.access_token, { audience: "api" });
    expect(principal).toMatchObject({
      kind: "agent",
      actor: [{ subject: "claude", issuer: namedAgentIssuer }],
    });
    expect((await exchange()).body.scope).toBe("all");
  });

  it("makes a chain of the actor's token, unless the subject's says otherwise", async () => {
    const actor_token = await postern.idp.mint({ sub: "bot", groups: [] });
    const fields = { actor_token, actor_token_type: accessToken };
    const { body } = await exchange(fields);
    const principal = await postern.identity.authenticate(body.access_token, { audience: "api" });
    expect(principal.actor).toEqual([{ subject: "bot", issuer: postern.idp.issuer }]);
    expect(principal).toMatchObject({ subject: "erin", kind: "agent", groups: ["people", "testers"] });
    expect((await exchange(fields, { may_act: { sub: "bot" } })).status).toBe(200);
    for (const may_act of [{ sub: "other" }, { sub: "bot", iss: "https://elsewhere.example" }, "bot"])
      expect((await exchange(fields, { may_act })).body.error).toBe("invalid_grant");
  });

  it("rotates a Postern token: the old one ends, nothing is widened", async () => {
    const first = (await exchange({ audience: "wire", database: "shop" })).body;
    const again = { subject_token: first.access_token, subject_token_type: accessToken };
    expect((await exchange({ ...again, audience: "api" })).body.error).toBe("invalid_target");
    const second = (await exchange(again)).body;
    expect(second.scope).toBe("wire database:shop");
    await expect(connect(first.access_token)).rejects.toMatchObject({ code: "28P01" });
    expect((await exchange(again)).body.error).toBe("invalid_grant");
    await (await connect(second.access_token)).client.end();
    // Handing on to an agent leaves the own one alive.
    const handed = (await exchange({ subject_token: second.access_token, agent: "claude" })).body;
    expect(handed.scope).toBe("wire database:shop");
    await (await connect(second.access_token)).client.end();
  });

  it("never lives longer than what it comes from", async () => {
    const { body } = await exchange({ subject_token: await person({}, 200), expires_in: "3600" });
    expect(body.expires_in).toBeLessThanOrEqual(200);
    expect(body.expires_in).toBeGreaterThan(150);
  });

  it.each<[string, Fields, string]>([
    ["no grant", { grant_type: "" }, "invalid_request"],
    ["another grant", { grant_type: "password" }, "unsupported_grant_type"],
    ["no subject", { subject_token: "" }, "invalid_request"],
    ["no type", { subject_token_type: "" }, "invalid_request"],
    ["an ID token", { subject_token_type: "urn:ietf:params:oauth:token-type:id_token" }, "invalid_request"],
    [
      "another type wanted",
      { requested_token_type: "urn:ietf:params:oauth:token-type:jwt" },
      "invalid_request",
    ],
    ["a type without a token", { actor_token_type: accessToken }, "invalid_request"],
    ["a strange audience", { audience: "elsewhere" }, "invalid_target"],
    ["a strange resource", { resource: "https://elsewhere.example/mcp" }, "invalid_target"],
    ["a resource with a fragment", { resource: `${url}/mcp#x` }, "invalid_target"],
    ["a database that is not there", { database: "hr" }, "invalid_target"],
    ["two databases", { database: "shop", scope: "database:hr" }, "invalid_target"],
    ["a strange scope", { scope: "admin" }, "invalid_scope"],
    ["a strange lifetime", { expires_in: "-1" }, "invalid_request"],
    ["a strange thumbprint", { "x5t#S256": "abc" }, "invalid_request"],
    ["rubbish", { subject_token: "rub.bi.sh" }, "invalid_grant"],
    ["a token of nobody", { subject_token: `pgt_${"A".repeat(12)}_${"B".repeat(49)}` }, "invalid_grant"],
  ])("refuses %s", async (_name, fields, error) => {
    const { status, body, headers } = await exchange(fields);
    expect(body.error).toBe(error);
    expect(status).toBe(400);
    expect(headers.get("cache-control")).toBe("no-store");
    expect(JSON.stringify(body)).not.toContain("pgt_");
  });

  it("refuses parameters given twice, other bodies, other methods", async () => {
    expect((await exchange({ database: ["shop", "shop"] })).body.error).toBe("invalid_request");
    const asJson = await post(
      "/oauth/token",
      { grant_type: exchangeGrant },
      { "content-type": "application/json" },
    );
    expect(asJson.body.error).toBe("invalid_request");
    expect((await app.request("/oauth/token")).status).toBe(405);
  });

  it("records a refused token with its cause and tells the client none", async () => {
    const expired = await person({}, -120);
    const { body } = await exchange({ subject_token: expired });
    expect(body).toEqual({ error: "invalid_grant", error_description: "the token was not accepted" });
    const failed = (await postern.records()).filter((r) => r.type === "auth.failed").at(-1);
    expect(failed).toMatchObject({ code: "TOKEN_EXPIRED", client: { via: "api" } });
  });

  const limits = { perIp: 6, perPrincipal: 3, windowSeconds: 60, firstSeconds: 10, longestSeconds: 60 };

  it("makes an address that fails too often wait, at this door and the others", async () => {
    app = build(createProtection(limits));
    const wrong = { subject_token: "a.b.c" };
    for (const answer of [
      await exchange(wrong),
      await post("/oauth/token", { grant_type: "authorization_code", code: "x", code_verifier: "y" }),
      await post("/oauth/introspect", { token: "x" }, { authorization: "Bearer a.b.c" }),
      await post("/oauth/backchannel-logout", { logout_token: "a.b.c" }),
    ])
      expect([400, 401]).toContain(answer.status);
    // RFC 7009: told nothing, but counted.
    expect((await post("/oauth/revoke", { token: "a.b.c" })).status).toBe(200);
    // The sixth failure is another door's.
    expect((await json("GET", "/api/me", "a.b.c")).status).toBe(401);
    for (let i = 0; i < 3; i++) {
      const { status, headers, body } = await exchange();
      expect([status, body.error]).toEqual([429, "slow_down"]);
      expect(Number(headers.get("retry-after"))).toBeLessThanOrEqual(10);
    }
    expect((await json("GET", "/api/me", await person())).status).toBe(429);
    const told = (await postern.records()).filter(({ code }) => code === "LOCKED_OUT");
    expect(told).toHaveLength(1);
  });

  it("counts by the connection's address, whatever headers say of another", async () => {
    app = build(createProtection(limits));
    const fields = { grant_type: exchangeGrant, subject_token: "a.b.c", subject_token_type: accessToken };
    for (let i = 0; i < 6; i++) {
      const from = `198.51.100.${i}`;
      const headers = { "x-forwarded-for": from, forwarded: `for=${from}`, "x-real-ip": from };
      expect((await post("/oauth/token", fields, headers)).status).toBe(400);
    }
    expect((await exchange()).status).toBe(429);
  });

  it("counts no failure where nobody showed a token, and none for which the gateway is to blame", async () => {
    app = build(createProtection(limits));
    for (let i = 0; i < 8; i++) {
      expect((await exchange({ database: "elsewhere" })).status).toBe(400);
      await post("/oauth/token", { grant_type: "password" });
      await post("/oauth/introspect", { token: "x" });
    }
    expect((await exchange()).status).toBe(200);
  });

  it("takes nothing from pages of others, which could make their visitors wait", async () => {
    app = build(createProtection(limits));
    const fields = { grant_type: exchangeGrant, subject_token: "a.b.c", subject_token_type: accessToken };
    for (const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: `${url}.evil.example` },
    ])
      for (let i = 0; i < 2; i++) {
        const { status, body } = await post("/oauth/token", fields, headers as Record<string, string>);
        expect([status, body.error]).toEqual([400, "invalid_request"]);
      }
    expect((await exchange()).status).toBe(200);
    expect((await exchange({}, {})).status).toBe(200);
  });

  it("answers so many requests of one address in a minute", async () => {
    const answers = await Promise.all(
      Array.from({ length: 125 }, () => post("/oauth/token", { grant_type: "password" })),
    );
    // A minute may end in between.
    expect(answers.filter(({ status }) => status === 429).length).toBeLessThanOrEqual(5);
    const more = await Promise.all(
      Array.from({ length: 125 }, () => post("/oauth/token", { grant_type: "password" })),
    );
    const refused = [...answers, ...more].filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThanOrEqual(10);
    expect(refused[0]?.headers.get("retry-after")).toBe("60");
  });
});

describe("POST /oauth/token, assertions", () => {
  it("takes a provider's JWT as an authorization grant, and no Postern token", async () => {
    const { status, body } = await post("/oauth/token", { grant_type: jwtGrant, assertion: await person() });
    expect(status).toBe(200);
    const again = await post("/oauth/token", { grant_type: jwtGrant, assertion: body.access_token });
    expect(again.body.error).toBe("invalid_grant");
  });
});

describe("POST /oauth/revoke", () => {
  it("ends a Postern token, its successors and their sessions", async () => {
    const first = (await exchange()).body;
    const { over } = await connect(first.access_token);
    const second = (await exchange({ subject_token: first.access_token, subject_token_type: accessToken }))
      .body;
    const later = await connect(second.access_token);
    expect((await post("/oauth/revoke", { token: second.access_token })).status).toBe(200);
    expect(await over).toMatchObject({ code: "57P01" });
    expect(await later.over).toMatchObject({ code: "57P01" });
    await expect(connect(second.access_token)).rejects.toMatchObject({ code: "28P01" });
  });

  it("ends a provider's token with what was exchanged for it, in whatever spelling its signature comes", async () => {
    const token = await person({ jti: undefined });
    const derived = (await exchange({ subject_token: token })).body;
    expect((await post("/oauth/revoke", { token })).status).toBe(200);
    await expect(connect(token)).rejects.toMatchObject({ code: "28P01" });
    await expect(connect(derived.access_token)).rejects.toMatchObject({ code: "28P01" });
    await expect(connect(otherSignature(token))).rejects.toMatchObject({ code: "28P01" });
    // Other tokens of the same person are none of its business.
    await (await connect(await person())).client.end();
  });

  it("says the same of tokens nobody knows", async () => {
    const answers = await Promise.all(
      ["rubbish", "a.b.c", `pgt_${"A".repeat(12)}_${"B".repeat(49)}`].map((token) =>
        post("/oauth/revoke", { token }),
      ),
    );
    for (const { status, body } of answers) expect({ status, body }).toEqual({ status: 200, body: {} });
  });
});

/** ECDSA: (r, n - s) verifies like (r, s). */
function otherSignature(token: string): string {
  const [header, payload, signature] = token.split(".");
  const bytes = Buffer.from(signature ?? "", "base64url");
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = BigInt(`0x${bytes.subarray(32).toString("hex")}`);
  const other = (n - s).toString(16).padStart(64, "0");
  const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(other, "hex")]).toString("base64url");
  return `${header}.${payload}.${twin}`;
}

describe("POST /oauth/introspect", () => {
  it("tells owners of theirs, admins of anybody's, others nothing", async () => {
    const { body } = await exchange({ database: "shop", audience: "wire", agent: "claude" });
    const ask = async (token: string) =>
      post("/oauth/introspect", { token: body.access_token }, { authorization: `Bearer ${token}` });
    const own = await ask(await person());
    expect(own.body).toMatchObject({
      active: true,
      sub: "erin",
      iss: postern.idp.issuer,
      kind: "agent",
      jti: body.id,
      aud: ["wire"],
      database: "shop",
      act: { sub: "claude" },
    });
    expect((await ask(await person({ sub: "root", groups: ["people", "admins"] }))).body.active).toBe(true);
    expect((await ask(await person({ sub: "ada" }))).body).toEqual({ active: false });
    expect((await post("/oauth/introspect", { token: body.access_token })).status).toBe(401);
    await post("/oauth/revoke", { token: body.access_token });
    expect((await ask(await person())).body).toEqual({ active: false });
  });
});

describe("back-channel logout", () => {
  const event = "http://schemas.openid.net/event/backchannel-logout";
  const logout = (
    claims: Record<string, unknown> = {},
    header: Record<string, unknown> = { typ: "logout+jwt" },
  ) =>
    postern.idp.mint(
      { groups: undefined, sid: "s-1", events: { [event]: {} }, sub: undefined, ...claims },
      { header },
    );

  it("ends the sessions of one login, at once, and only those of before", async () => {
    const mine = await connect(await person({ sub: "leaver", sid: "s-1" }));
    const other = await connect(await person({ sub: "leaver", sid: "s-2" }));
    const logout_token = await logout();
    expect((await post("/oauth/backchannel-logout", { logout_token })).status).toBe(200);
    expect(await mine.over).toMatchObject({ code: "57P01" });
    await other.client.query("select 1");
    // Used once, it is used up.
    expect((await post("/oauth/backchannel-logout", { logout_token })).body.error).toBe("invalid_request");
    // Without a session id: all of that subject.
    const all = await logout({ sid: undefined, sub: "leaver" });
    expect((await post("/oauth/backchannel-logout", { logout_token: all })).status).toBe(200);
    expect(await other.over).toMatchObject({ code: "57P01" });
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>?]>([
    ["no event", { events: undefined }],
    ["another event", { events: { "https://x": {} } }],
    ["a nonce", { nonce: "n" }],
    ["neither sub nor sid", { sid: undefined }],
    ["another audience", { aud: "elsewhere" }],
    ["no jti", { jti: undefined }],
    ["an old one", { iat: Math.floor(Date.now() / 1000) - 3000 }],
    ["an access token's type", {}, { typ: "at+jwt" }],
  ])("refuses %s", async (_name, claims, header) => {
    const logout_token = await logout(claims, header);
    const { status, body } = await post("/oauth/backchannel-logout", { logout_token });
    expect(status).toBe(400);
    expect(body.error).toBe("invalid_grant");
  });

  it("is no login", async () => {
    await expect(connect(await logout({ sub: "erin", groups: ["testers"] }))).rejects.toMatchObject({
      code: "28P01",
    });
  });
});

describe("sessions and revocations over REST", () => {
  const admin = () => person({ sub: "root", groups: ["people", "admins"] });

  it("renews a session with a fresh token of its principal", async () => {
    const { client } = await connect(await person({ sub: "stay" }, 600));
    const session = [...postern.gateway.sessions.values()].find((one) => one.principal.subject === "stay");
    const path = `/api/sessions/${session?.id}/renew`;
    const mine = await person({ sub: "stay" }, 3000);
    const { status, body } = await json("POST", path, mine, { token: mine });
    expect(status).toBe(200);
    expect(Date.parse(body.expires)).toBe((session?.deadline.at ?? 0) * 1000);
    expect((session?.deadline.at ?? 0) - Date.now() / 1000).toBeGreaterThan(2900);
    const other = await person({ sub: "other" });
    expect((await json("POST", path, other, { token: other })).status).toBe(404);
    const grown = await person({ sub: "stay", groups: ["people", "testers", "dba"] });
    expect((await json("POST", path, grown, { token: grown })).status).toBe(409);
    expect((await json("POST", path, mine, { token: "rubbish" })).status).toBe(400);
    expect((await json("POST", "/api/sessions/none/renew", mine, { token: mine })).status).toBe(404);
    await client.end();
  });

  it("is the admins' kill switch, and theirs alone", async () => {
    const { over } = await connect(await person({ sub: "mallory" }));
    const body = { subject: "mallory", reason: "leaves tonight" };
    expect((await json("POST", "/api/revocations", await person(), body)).status).toBe(403);
    expect((await json("POST", "/api/revocations", await admin(), { reason: "x" })).status).toBe(400);
    expect(
      (await json("POST", "/api/revocations", await admin(), { ...body, everything: true })).status,
    ).toBe(400);
    const added = await json("POST", "/api/revocations", await admin(), body);
    expect(added).toMatchObject({ status: 200, body: { kind: "subject", value: "mallory", mode: "block" } });
    expect(await over).toMatchObject({ code: "57P01" });
    expect((await json("GET", "/api/tokens", await person({ sub: "mallory" }))).status).toBe(401);
    const listed = await json("GET", "/api/revocations", await admin());
    expect(listed.body.items.map(({ id }: { id: string }) => id)).toContain(added.body.id);
    expect((await json("DELETE", `/api/revocations/${added.body.id}`, await person())).status).toBe(403);
    expect((await json("DELETE", `/api/revocations/${added.body.id}`, await admin())).status).toBe(204);
    expect((await json("GET", "/api/tokens", await person({ sub: "mallory" }))).status).toBe(200);
    const actions = (await postern.records()).filter((r) => String(r.action).startsWith("revocation."));
    expect(actions.map((r) => r.action)).toEqual(
      expect.arrayContaining(["revocation.added", "revocation.lifted"]),
    );
  });

  it("lists one's own tokens and ends them", async () => {
    const { body } = await exchange({}, { sub: "keeper" });
    const mine = await json("GET", "/api/tokens", await person({ sub: "keeper" }));
    expect(mine.body.items.map(({ id }: { id: string }) => id)).toEqual([body.id]);
    expect((await json("DELETE", `/api/tokens/${body.id}`, await person())).status).toBe(404);
    expect((await json("DELETE", `/api/tokens/${body.id}`, await person({ sub: "keeper" }))).status).toBe(
      204,
    );
    await expect(connect(body.access_token)).rejects.toMatchObject({ code: "28P01" });
  });
});

describe("GET /.well-known/postern", () => {
  it("is for anyone and holds no secret", async () => {
    const response = await app.request("/.well-known/postern");
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      version: 1,
      issuer: url,
      token_endpoint: `${url}/oauth/token`,
    });
  });
});
