/** What holders of tokens try: more than the token was made for, in a place it was not made for. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createConsoleSessions } from "../../src/api/index.ts";
import { localPath } from "../../src/api/login/routes.ts";
import type { Principal } from "../../src/facts/principal.ts";
import { createPosternTokens } from "../../src/identity/tokens/index.ts";
import { startTestApi, type TestApi } from "./support.ts";

const accessToken = "urn:ietf:params:oauth:token-type:access_token";
const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange";
const jwtGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const samlGrant = "urn:ietf:params:oauth:grant-type:saml2-bearer";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({ provider: "id_jag: true", identity: "max_delegation_depth: 2" });
}, 120_000);
afterAll(() => api.stop());

async function post(path: string, fields: Record<string, string>) {
  const answer = await fetch(`${api.url}${path}`, {
    method: "POST",
    body: new URLSearchParams(fields),
  });
  return { status: answer.status, body: any(await answer.json()) };
}

// biome-ignore lint/suspicious/noExplicitAny: answers are looked at by the tests, member by member
const any = (value: unknown): any => value;

const exchange = (token: string, fields: Record<string, string> = {}) =>
  post("/oauth/token", {
    grant_type: exchangeGrant,
    subject_token: token,
    subject_token_type: accessToken,
    ...fields,
  });

const introspect = async (token: string) => {
  const answer = await fetch(`${api.url}/oauth/introspect`, {
    method: "POST",
    headers: { authorization: `Bearer ${await api.token("admin")}` },
    body: new URLSearchParams({ token }),
  });
  return any(await answer.json());
};

describe("a Postern token stays bound", () => {
  test.each([
    ["as a SAML assertion", samlGrant],
    ["as a JWT", jwtGrant],
  ])("to its database when it is shown %s", async (_how, grant) => {
    const bound = (await exchange(await api.token("user"), { database: "shop" })).body.access_token;
    const { status, body } = await post("/oauth/token", { grant_type: grant, assertion: bound });
    expect([status, body.error]).toEqual([400, "invalid_grant"]);
    // It was not used up by that either.
    expect((await introspect(bound)).database).toBe("shop");
  });

  test("a provider's JWT is no SAML assertion", async () => {
    const { body } = await post("/oauth/token", {
      grant_type: samlGrant,
      assertion: await api.token("user"),
    });
    expect(body.error).toBe("invalid_grant");
  });
});

describe("delegation", () => {
  test("is no deeper by exchange than a provider's token may be", async () => {
    const first = (await exchange(await api.token("user"), { agent: "one" })).body.access_token;
    const second = (await exchange(first, { agent: "two" })).body.access_token;
    expect((await introspect(second)).act.sub).toBe("two");
    const third = await exchange(second, { agent: "three" });
    expect([third.status, third.body.error]).toEqual([400, "invalid_request"]);
  });
});

describe("an agent in a person's name", () => {
  const asAgent = async (name: string) =>
    ({ token: (await exchange(await api.token("user"), { agent: name })).body.access_token }) as const;

  test("sees its own sessions and statements, not the person's nor another agent's", async () => {
    const [helper, other] = [await asAgent("helper"), await asAgent("other")];
    const person = await api.connect("user");
    try {
      await person.query("SELECT 'of the person'");
      const listed = await api.ask(helper, "/api/sessions");
      expect([listed.status, listed.body.items]).toEqual([200, []]);
      await api.gateway.audit.settle();
      const found = await api.ask(helper, "/api/audit?limit=50");
      expect(found.status).toBe(200);
      for (const item of found.body.items)
        expect(item.principal.actor).toEqual([{ subject: "helper", issuer: "urn:postern:agent" }]);
      // The person sees what is done in their name.
      const own = await api.ask("user", "/api/audit?limit=50&type=statement.intent");
      expect(own.body.items.length).toBeGreaterThan(0);
      const { request } = own.body.items[0];
      expect((await api.ask("user", `/api/audit/${request}`)).status).toBe(200);
      expect((await api.ask(helper, `/api/audit/${request}`)).status).toBe(404);
      expect((await api.ask(other, `/api/audit/${request}`)).status).toBe(404);
    } finally {
      await person.end();
    }
  });

  test("sees and ends its own tokens, not the person's", async () => {
    const persons = (await exchange(await api.token("user"))).body;
    const helper = await asAgent("keyring");
    const listed = await api.ask(helper, "/api/tokens");
    expect(listed.body.items.map(({ agent }: { agent: string }) => agent)).toEqual(["keyring"]);
    expect((await api.ask(helper, `/api/tokens/${persons.id}`, { method: "DELETE" })).status).toBe(404);
    expect((await introspect(persons.access_token)).active).toBe(true);
    const all = await api.ask("user", "/api/tokens");
    expect(all.body.items.map(({ id }: { id: string }) => id)).toContain(persons.id);
    expect(
      (await api.ask("user", `/api/tokens/${listed.body.items[0].id}`, { method: "DELETE" })).status,
    ).toBe(204);
    expect((await api.ask(helper, "/api/me")).status).toBe(401);
  });
});

describe("an ID-JAG at /oauth/token", () => {
  const jag = (claims: Record<string, unknown> = {}) => {
    const now = Math.floor(Date.now() / 1000);
    return api.idp.mint(
      {
        aud: api.url,
        sub: "jane",
        groups: ["people", "testers"],
        client_id: "wiki",
        jti: createHash("sha256").update(`${Math.random()}`).digest("hex"),
        iat: now,
        ...claims,
      },
      { header: { typ: "oauth-id-jag+jwt" } },
    );
  };
  const redeem = async (assertion: string, fields: Record<string, string> = {}) =>
    post("/oauth/token", { grant_type: jwtGrant, assertion, ...fields });

  test("makes an agent that acts for the person, once", async () => {
    const grant = await jag();
    const { status, body } = await redeem(grant);
    expect(status).toBe(200);
    expect(await introspect(body.access_token)).toMatchObject({
      sub: "jane",
      kind: "agent",
      act: { sub: "wiki" },
    });
    expect((await redeem(grant)).body.error).toBe("invalid_grant");
    const stolen = await redeem(await jag(), { client_id: "another" });
    expect(stolen.body.error).toBe("invalid_grant");
  });

  test("is good for what it says and nothing more", async () => {
    const forMcp = await redeem(await jag({ resource: `${api.url}/mcp` }));
    expect((await introspect(forMcp.body.access_token)).aud).toEqual(["mcp"]);
    const narrower = await redeem(await jag({ resource: [`${api.url}/mcp`, `${api.url}/api`] }), {
      scope: "api",
    });
    expect((await introspect(narrower.body.access_token)).aud).toEqual(["api"]);
    const wider = await redeem(await jag({ resource: `${api.url}/mcp` }), { audience: "wire" });
    expect([wider.status, wider.body.error]).toEqual([400, "invalid_target"]);
    const scoped = await redeem(await jag({ scope: "mcp database:shop" }));
    expect(await introspect(scoped.body.access_token)).toMatchObject({ aud: ["mcp"], database: "shop" });
    const elsewhere = await redeem(await jag({ resource: "https://files.example/" }));
    expect(elsewhere.body.error).toBe("invalid_target");
    // Scopes of other makes say nothing here.
    const foreign = await redeem(await jag({ scope: "openid chat.read" }));
    expect((await introspect(foreign.body.access_token)).aud).toEqual(["wire", "api", "mcp"]);
  });

  test("is no login", async () => {
    expect((await api.ask({ token: await jag() }, "/api/me")).status).toBe(401);
  });
});

describe("a provider that was taken out of the configuration", () => {
  const now = () => Math.floor(Date.now() / 1000);
  const person = (provider: string): Principal => ({
    subject: "leftover",
    issuer: api.idp.issuer,
    email: null,
    kind: "human",
    groups: ["people"],
    actor: [],
    provider,
    claims: { sub: "leftover" },
    token: { jti: null, sha256: "0".repeat(64), issued: now(), expires: now() + 3600 },
  });

  test.each([
    ["gone", 401],
    ["corp", 200],
  ])("leaves no console session behind (%s)", async (provider, status) => {
    const sessions = createConsoleSessions(api.gateway.store, { secure: () => false });
    const set = await sessions.open({ principal: person(provider), authTime: now(), sid: null });
    const cookie = set.split(";", 1)[0] ?? "";
    expect((await api.ask(null, "/api/me", { headers: { cookie } })).status).toBe(status);
  });

  test.each([
    ["gone", 401],
    ["corp", 200],
  ])("leaves no Postern token behind (%s)", async (provider, status) => {
    const tokens = createPosternTokens({ store: api.gateway.store });
    const { token } = await tokens.issue(person(provider), {});
    expect((await api.ask({ token }, "/api/me")).status).toBe(status);
    const again = await exchange(token);
    expect(again.status).toBe(status === 200 ? 200 : 400);
  });
});

test("a token that does not renew a session is on the record, with its cause", async () => {
  const client = await api.connect("user");
  const [session] = api.gateway.gateway.describe().filter(({ principal }) => principal.subject === "user");
  const token = await api.token("user", { exp: 1 });
  const path = `/api/sessions/${session?.id}/renew`;
  const answer = await api.ask("user", path, { method: "POST", json: { token } });
  await client.end();
  expect(answer.status).toBe(400);
  const failed = (await api.records()).filter(({ type }) => type === "auth.failed").at(-1);
  expect(failed).toMatchObject({
    code: "TOKEN_EXPIRED",
    client: { via: "api" },
    token: { sha256: createHash("sha256").update(token).digest("hex") },
  });
});

test("a live stream ends at once when its reader is revoked", async () => {
  const stream = await fetch(`${api.url}/api/events`, {
    headers: { authorization: `Bearer ${await api.token("user", { sub: "watcher" })}` },
  });
  expect(stream.status).toBe(200);
  const ended = stream.text().then(() => "ended");
  const later = new Promise((resolve) => setTimeout(resolve, 5_000, "goes on"));
  const revoked = await api.ask("admin", "/api/revocations", {
    method: "POST",
    json: { subject: "watcher", reason: "left" },
  });
  expect(revoked.status).toBe(200);
  // Far earlier than the next beat.
  expect(await Promise.race([ended, later])).toBe("ended");
});

describe("what others did", () => {
  test("is not told to approvers who try policies on the trail", async () => {
    const client = await api.connect("user");
    await client.query("SELECT name FROM people WHERE id = 3");
    await client.end();
    await api.gateway.audit.settle();
    const files = [{ name: "p.yaml", text: "version: 1\ndefault: deny\n" }];
    const tried = async (role: "approver" | "auditor") =>
      (await api.ask(role, "/api/policy/replay", { method: "POST", json: { files } })).body;
    const told = await tried("auditor");
    expect(told.changes[0].examples.length).toBeGreaterThan(0);
    const blind = await tried("approver");
    expect(blind.changes[0].count).toBeGreaterThan(0);
    expect(blind.changes.flatMap((one: { examples: unknown[] }) => one.examples)).toEqual([]);
  });

  test("rows of a preview are not told to whoever asked for the change", async () => {
    const agent = await api.connect("agent");
    try {
      const write = agent
        .query("UPDATE people SET name = 'taken' WHERE id = 4")
        .catch((error: Error) => error);
      let id = "";
      for (let i = 0; i < 100 && id === ""; i++) {
        const { body } = await api.ask("agent", "/api/approvals?state=pending");
        id = body.items[0]?.id ?? "";
        if (id === "") await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const path = `/api/approvals/${id}`;
      expect((await api.ask("approver", `${path}/preview`, { method: "POST", json: {} })).status).toBe(200);
      const seen = await api.ask("approver", path);
      expect(JSON.stringify(seen.body.preview.sample.before)).toContain("n4");
      const own = await api.ask("agent", path);
      expect([own.status, own.body.preview.sample]).toEqual([200, null]);
      expect(JSON.stringify(own.body)).not.toContain("n4");
      await api.ask("approver", `${path}/deny`, { method: "POST", json: { reason: "no" } });
      expect(String(await write)).toContain("policy");
    } finally {
      await agent.end();
    }
  });
});

test.each([
  "/.//evil.example",
  "/x/..//evil.example",
  "/%2e//evil.example",
  "/./%2e//evil.example/a?b#c",
  "/.//\\evil.example",
  "//evil.example",
  "/\\evil.example",
  "/\t/evil.example",
])("a login leads back to no other site: %j", (path) => {
  const to = localPath(path, "https://postern.example");
  expect(new URL(to, "https://postern.example").origin).toBe("https://postern.example");
});
