/** The authorization server for clients that must register: whole flows, and what attackers would try. */
import { createHash, randomBytes } from "node:crypto";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Principal } from "../../src/facts/principal.ts";
import { redirectFault } from "../../src/mcp/facade/clients.ts";
import { addressFault, fetchDocument, isPublic } from "../../src/mcp/facade/fetch.ts";
import { facadeRoutes } from "../../src/mcp/index.ts";
import { memoryStore } from "../../src/store/index.ts";
import type { Store } from "../../src/store/types.ts";

const base = "https://postern.test";
const back = "https://chat.example/callback";
const document = "https://agent.example/client.json";
const mary = {
  subject: "mary",
  issuer: "i",
  kind: "human",
  email: "mary@example.com",
  groups: ["analysts"],
} as unknown as Principal;
const bot = { ...mary, subject: "bot", kind: "agent" } as Principal;

let store: Store;
const app = new Hono();
const recorded: unknown[] = [];
const issued: unknown[] = [];
beforeAll(async () => {
  store = await memoryStore();
  facadeRoutes({
    settings: { provider: "corp", tokenSeconds: 3600, registration: true, documents: true },
    store,
    origins: [],
    publicUrl: () => base,
    login: (returnTo) => `${base}/login?${new URLSearchParams({ return: returnTo })}`,
    session: async (cookies) =>
      cookies === "mary"
        ? { principal: mary, csrf: "c1" }
        : cookies === "bot"
          ? { principal: bot, csrf: "c2" }
          : null,
    async issue(principal, request) {
      issued.push({ subject: principal.subject, ...request });
      return { token: "pgt_test", issued: 1000, expires: 4600 };
    },
    record: (fields) => recorded.push([fields.principal.subject, fields.client, fields.verdict]),
    fetchDocument: async (url) => {
      if (url !== document) throw new Error("none");
      return {
        client_id: document,
        client_name: "Doc <b>Agent</b>",
        redirect_uris: [back, "http://127.0.0.1/cb"],
      };
    },
  })(app);
});
afterAll(async () => {
  await store.close();
});

const get = (path: string, cookie?: string) =>
  app.request(path, cookie === undefined ? {} : { headers: { cookie } });
const post = (path: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
  app.request(path, { method: "POST", body: new URLSearchParams(form), headers });

async function register(redirects: readonly string[] = [back]): Promise<string> {
  const response = await app.request("/mcp/oauth/register", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ client_name: "Chat", redirect_uris: redirects }),
  });
  expect(response.status).toBe(201);
  return ((await response.json()) as { client_id: string }).client_id;
}

const verifier = randomBytes(32).toString("base64url");
const challenge = createHash("sha256").update(verifier).digest("base64url");
const wish = (client: string, more: Record<string, string> = {}) =>
  `/mcp/oauth/authorize?${new URLSearchParams({
    response_type: "code",
    client_id: client,
    redirect_uri: back,
    code_challenge: challenge,
    code_challenge_method: "S256",
    state: "s t&te",
    resource: `${base}/mcp`,
    ...more,
  })}`;

async function begin(client: string, more: Record<string, string> = {}): Promise<string> {
  const response = await get(wish(client, more));
  expect(response.status).toBe(200);
  return /request=([\w-]{32})/.exec(await response.text())?.[1] ?? "";
}

/** Where the page sends the browser. */
async function sentTo(response: Response): Promise<URL> {
  const [, url = ""] = /url=([^"]+)"/.exec(await response.text()) ?? [];
  return new URL(url.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))));
}

/** Where the page's link leads that a refused request is answered with. */
async function turnedBack(response: Response): Promise<URL> {
  expect(response.status).toBe(400);
  const [, url = ""] = /<a href="([^"]+)"/.exec(await response.text()) ?? [];
  return new URL(url.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))));
}

async function codeFor(client: string): Promise<string> {
  const request = await begin(client);
  const decided = await post(
    "/mcp/oauth/consent",
    { request, csrf: "c1", verdict: "allow" },
    { cookie: "mary" },
  );
  return (await sentTo(decided)).searchParams.get("code") ?? "";
}

const exchange = (client: string, code: string, more: Record<string, string> = {}) =>
  post("/mcp/oauth/token", {
    grant_type: "authorization_code",
    code,
    client_id: client,
    redirect_uri: back,
    code_verifier: verifier,
    ...more,
  });

describe("the whole way", () => {
  it("says what it is", async () => {
    expect(await (await get("/.well-known/oauth-authorization-server")).json()).toMatchObject({
      issuer: base,
      code_challenge_methods_supported: ["S256"],
      registration_endpoint: `${base}/mcp/oauth/register`,
      client_id_metadata_document_supported: true,
    });
  });

  it.each(["registered", document])(
    "leads a %s client to a token that is for MCP, and for it alone",
    async (kind) => {
      const client = kind === "registered" ? await register() : document;
      const request = await begin(client);
      const login = await get(`/mcp/oauth/consent?request=${request}`);
      expect(login.status).toBe(302);
      expect(login.headers.get("location")).toContain(`${base}/login?return=`);
      const page = await get(`/mcp/oauth/consent?request=${request}`, "mary");
      const text = await page.text();
      expect(text).toContain("mary@example.com");
      expect(text).toContain("https://chat.example");
      expect(text).not.toContain("<b>Agent");
      expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
      const decided = await post(
        "/mcp/oauth/consent",
        { request, csrf: "c1", verdict: "allow" },
        { cookie: "mary", origin: base },
      );
      const url = await sentTo(decided);
      expect(url.origin + url.pathname).toBe(back);
      expect(url.searchParams.get("state")).toBe("s t&te");
      expect(url.searchParams.get("iss")).toBe(base);
      const answer = await exchange(client, url.searchParams.get("code") ?? "", { resource: `${base}/mcp` });
      expect(await answer.json()).toEqual({
        access_token: "pgt_test",
        token_type: "Bearer",
        expires_in: 3600,
      });
      expect(issued.at(-1)).toMatchObject({
        subject: "mary",
        audience: ["mcp"],
        seconds: 3600,
        agent: expect.stringContaining(client),
      });
      expect(recorded.at(-1)).toEqual(["mary", client, "allowed"]);
    },
  );

  it("ends where the person says no", async () => {
    const client = await register();
    const request = await begin(client);
    const url = await sentTo(
      await post("/mcp/oauth/consent", { request, csrf: "c1", verdict: "refuse" }, { cookie: "mary" }),
    );
    expect(url.searchParams.get("error")).toBe("access_denied");
    expect(recorded.at(-1)).toEqual(["mary", client, "refused"]);
  });

  it("lets a program on this machine listen on any port", async () => {
    const client = await register(["http://127.0.0.1/cb", "cursor://anysphere.cursor/oauth"]);
    expect((await get(wish(client, { redirect_uri: "http://127.0.0.1:49152/cb" }))).status).toBe(200);
    expect((await get(wish(client, { redirect_uri: "cursor://anysphere.cursor/oauth" }))).status).toBe(200);
    for (const redirect_uri of [
      "http://127.0.0.1:49152/other",
      "http://localhost:1/cb",
      "cursor://anysphere.cursor/other",
    ])
      expect((await get(wish(client, { redirect_uri }))).status).toBe(400);
  });
});

describe("attackers", () => {
  it("cannot have a code sent elsewhere, nor an error", async () => {
    const client = await register();
    for (const redirect_uri of [
      "https://evil.example/callback",
      `${back}/x`,
      `${back}?a=1`,
      "https://chat.example.evil.example/callback",
      "javascript:alert(1)",
    ]) {
      const response = await get(wish(client, { redirect_uri, response_type: "token" }));
      expect(response.status).toBe(400);
      expect(response.headers.get("location")).toBeNull();
    }
    expect((await get(`${wish(client)}&redirect_uri=https://evil.example`)).status).toBe(400);
  });

  it("cannot do without PKCE, or with the plain kind, or ask for another resource", async () => {
    const client = await register();
    const cases = [
      { code_challenge: "" },
      { code_challenge_method: "plain" },
      { code_challenge: "short" },
      { response_type: "token" },
    ];
    for (const more of cases) {
      const to = await turnedBack(await get(wish(client, more)));
      expect(to.searchParams.get("error")).toBe("invalid_request");
    }
    const other = await turnedBack(await get(wish(client, { resource: "https://other.example/mcp" })));
    expect(other.searchParams.get("error")).toBe("invalid_target");
  });

  it("cannot lend themselves the gateway's name to send people elsewhere", async () => {
    const client = await register(["https://phish.example/login", "http://127.0.0.1/cb"]);
    const remote = await get(
      wish(client, { redirect_uri: "https://phish.example/login", response_type: "x" }),
    );
    // Only by a click, on a page that says where it leads.
    expect([remote.status, remote.headers.get("location"), remote.headers.get("refresh")]).toEqual([
      400,
      null,
      null,
    ]);
    const text = await remote.clone().text();
    expect(text).not.toContain("http-equiv");
    expect(text).toContain("<p>phish.example</p>");
    expect((await turnedBack(remote)).origin).toBe("https://phish.example");
    const local = await get(wish(client, { redirect_uri: "http://127.0.0.1:999/cb", response_type: "x" }));
    expect([local.status, new URL(local.headers.get("location") ?? "").port]).toEqual([302, "999"]);
  });

  it("cannot be answered at an address of the gateway itself, where the cookie would go along", async () => {
    const inside = `${base}/cli/allow?port=4000&challenge=${challenge}&state=${"s".repeat(16)}`;
    const client = await register([inside, "http://localhost/cli/allow"]);
    for (const more of [{ redirect_uri: inside }, { redirect_uri: inside, response_type: "x" }]) {
      const answer = await get(wish(client, more));
      expect([answer.status, answer.headers.get("location")]).toEqual([400, null]);
      expect(await answer.text()).not.toContain("/cli/allow");
    }
    // Nor under the other name by which the browser reached it.
    const path = wish(client, { redirect_uri: "http://localhost:8432/cli/allow" });
    expect((await app.request(`http://localhost:8432${path}`)).status).toBe(400);
  });

  it("cannot use a code twice, with another verifier, client or address", async () => {
    const client = await register();
    const other = await register();
    const code = await codeFor(client);
    expect((await exchange(client, code)).status).toBe(200);
    expect((await exchange(client, code)).status).toBe(400);
    for (const more of [
      { code_verifier: randomBytes(32).toString("base64url") },
      { client_id: other },
      { redirect_uri: "https://evil.example" },
      { code_verifier: "" },
    ]) {
      const fresh = await codeFor(client);
      expect((await exchange(client, fresh, more as Record<string, string>)).status).toBe(400);
      // Used up all the same.
      expect((await exchange(client, fresh)).status).toBe(400);
    }
    const racing = await codeFor(client);
    const all = await Promise.all(Array.from({ length: 5 }, () => exchange(client, racing)));
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await post("/mcp/oauth/token", { grant_type: "password" })).status).toBe(400);
  });

  it("cannot consent for somebody", async () => {
    const client = await register();
    const request = await begin(client);
    const form = { request, csrf: "c1", verdict: "allow" };
    expect(
      (await post("/mcp/oauth/consent", form, { cookie: "mary", origin: "https://evil.example" })).status,
    ).toBe(403);
    expect((await post("/mcp/oauth/consent", { ...form, csrf: "guess" }, { cookie: "mary" })).status).toBe(
      403,
    );
    expect((await post("/mcp/oauth/consent", form)).status).toBe(403);
    expect((await get(`/mcp/oauth/consent?request=${request}`, "bot")).status).toBe(403);
    expect((await post("/mcp/oauth/consent", { ...form, csrf: "c2" }, { cookie: "bot" })).status).toBe(403);
    expect((await post("/mcp/oauth/consent", form, { cookie: "mary" })).status).toBe(200);
    expect((await post("/mcp/oauth/consent", form, { cookie: "mary" })).status).toBe(400);
  });

  it("cannot register what would harm", async () => {
    const bad = [
      { redirect_uris: [] },
      { redirect_uris: ["javascript:alert(1)"] },
      { redirect_uris: ["http://evil.example/cb"] },
      { redirect_uris: ["https://a.example/#x"] },
      { redirect_uris: [back], token_endpoint_auth_method: "client_secret_basic" },
      { redirect_uris: Array(50).fill(back) },
      null,
      [],
    ];
    for (const body of bad) {
      const response = await app.request("/mcp/oauth/register", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      expect(response.status).toBe(400);
    }
    expect(redirectFault("data:text/html,x")).not.toBeNull();
    expect(redirectFault("https://user:pw@a.example/")).not.toBeNull();
  });

  it("cannot make the gateway fetch what is not public", async () => {
    for (const url of [
      "http://agent.example/client.json",
      "https://127.0.0.1/x",
      "https://[::1]/x",
      "https://agent.example:8443/x",
      "https://agent.example/",
      "https://u:p@agent.example/x",
      "https://2130706433/x",
      "file:///etc/passwd",
      "https://agent.example/a/../b",
    ])
      expect(addressFault(url), url).not.toBeNull();
    for (const address of [
      "127.0.0.1",
      "10.1.2.3",
      "169.254.169.254",
      "192.168.1.1",
      "172.20.0.1",
      "100.64.0.1",
      "0.0.0.0",
      "::1",
      "fe80::1",
      "fd00::1",
      "::ffff:10.0.0.1",
      "64:ff9b::a00:1",
      "2002:a00:1::",
    ])
      expect(isPublic(address), address).toBe(false);
    for (const address of ["93.184.216.34", "2606:2800:220:1::1"]) expect(isPublic(address)).toBe(true);
    // A name that stands for this machine.
    await expect(fetchDocument("https://localhost/client.json")).rejects.toThrow(/public Internet/);
  });
});
