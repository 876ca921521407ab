/** Login at providers that lie, fail or say little. */
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ComposedGateway, composeGateway } from "../../src/cli/lib/compose.ts";
import { parseConfig } from "../../src/config/index.ts";
import { Browser, type Page } from "../support/browser.ts";
import { sendJson, startTestIdp, type TestIdp } from "../support/idp.ts";
import { readLeaves } from "../support/postern.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-oidc-"));
let idp: TestIdp;
let gateway: ComposedGateway;
let url: string;

beforeAll(async () => {
  idp = await startTestIdp();
  const provider = (name: string, audience: string) => `
    - name: ${name}
      type: oidc
      issuer: ${idp.issuer}
      audience: ${audience}
      kinds: [ { kind: human, when: '"people" in claims.groups' }, { kind: service, when: '"robots" in claims.groups' } ]
      client: { id: console }`;
  const settings = await parseConfig(
    `version: 1
listen: { postgres: 127.0.0.1:0, http: 127.0.0.1:0 }
identity:
  providers:${provider("corp", "postern")}${provider("<b>other</b>", "other").replace("<b>other</b>", "other")}
databases:
  - name: shop
    server: { host: 127.0.0.1, port: 1, dbname: shop, tls: { mode: disable } }
    logins: [ { groups: ["corp:people"], user: u, password: { env: HOME } } ]
audit: { dir: audit, node: test, durability: process }
`,
    join(folder, "postern.yaml"),
  );
  gateway = await composeGateway(settings, pino({ level: "silent" }));
  url = `http://127.0.0.1:${gateway.http?.address.port}`;
});
afterAll(async () => {
  await gateway.stop(0);
  await idp.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What the provider's endpoints say. */
let claims: Record<string, unknown>;
let access: string;
let tokenAnswer: ((idToken: string) => unknown) | null;
let userinfo: Record<string, unknown> | null;
let seen: URLSearchParams;
let mint: (nonce: string) => Promise<string>;

beforeEach(() => {
  claims = {};
  access = "opaque";
  tokenAnswer = null;
  userinfo = null;
  mint = (nonce) =>
    idp.mint(
      {
        aud: "console",
        sub: "jane",
        groups: ["people"],
        email: "jane@example.com",
        nonce,
        auth_time: Math.floor(Date.now() / 1000),
        ...claims,
      },
      { header: { typ: "JWT" } },
    );
  idp.override("/.well-known/openid-configuration", (_request, response) =>
    sendJson(response, {
      issuer: idp.issuer,
      jwks_uri: idp.jwksUri,
      authorization_endpoint: `${idp.issuer}/auth`,
      token_endpoint: `${idp.issuer}/token`,
      userinfo_endpoint: `${idp.issuer}/userinfo`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: [idp.algorithm],
    }),
  );
  idp.override("/token", (request, response) => void token(request, response));
  idp.override("/userinfo", (_request, response) => {
    if (userinfo === null) response.writeHead(401).end();
    else sendJson(response, userinfo);
  });
});
afterEach(() => {
  for (const path of ["/.well-known/openid-configuration", "/token", "/userinfo"]) idp.override(path, null);
});

let nonce = "";
async function token(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = "";
  for await (const chunk of request) body += chunk;
  seen = new URLSearchParams(body);
  const idToken = await mint(nonce);
  const usual = { access_token: access, token_type: "Bearer", expires_in: 300, id_token: idToken };
  sendJson(response, tokenAnswer === null ? usual : tokenAnswer(idToken));
}

/** Begins a login and comes back with a code; gives the last page. */
async function logIn(
  browser = new Browser(),
  query = "",
  change: (back: URL) => void = () => {},
): Promise<Page> {
  const begun = await browser.request(`${url}/login?provider=corp${query}`);
  const asked = new URL(begun.headers.get("location") ?? "");
  nonce = asked.searchParams.get("nonce") ?? "";
  const back = new URL(asked.searchParams.get("redirect_uri") ?? "");
  back.searchParams.set("code", "c0de");
  back.searchParams.set("state", asked.searchParams.get("state") ?? "");
  change(back);
  return browser.open(back.href);
}

async function causes(): Promise<unknown[]> {
  await gateway.audit.settle();
  return readLeaves(join(folder, "audit"))
    .filter(({ type }) => type === "auth.failed")
    .map(({ code, cause }) => `${code}: ${cause}`);
}

const isIn = (browser: Browser) => browser.cookie("postern_session") !== undefined;

describe("what is asked of the provider", () => {
  test("a code, with PKCE, state and nonce, each time others", async () => {
    const asked = await Promise.all(
      [1, 2].map(async () => {
        const begun = await new Browser().request(`${url}/login?provider=corp`);
        return new URL(begun.headers.get("location") ?? "").searchParams;
      }),
    );
    for (const parameters of asked)
      expect(Object.fromEntries(parameters)).toMatchObject({
        client_id: "console",
        response_type: "code",
        scope: "openid profile email",
        redirect_uri: `${url}/login/callback`,
        code_challenge_method: "S256",
        code_challenge: expect.stringMatching(/^[\w-]{43}$/),
        state: expect.stringMatching(/^[\w-]{43}$/),
        nonce: expect.stringMatching(/^[\w-]{43}$/),
      });
    for (const name of ["state", "nonce", "code_challenge"])
      expect(asked[0]?.get(name)).not.toBe(asked[1]?.get(name));
    const anew = await new Browser().request(`${url}/login?provider=corp&step_up=1`);
    const { searchParams } = new URL(anew.headers.get("location") ?? "");
    expect([searchParams.get("prompt"), searchParams.get("max_age")]).toEqual(["login", "0"]);
  });

  test("several providers are offered on a page that runs nothing", async () => {
    const page = await new Browser().open(`${url}/login?return=/live`);
    expect(page.status).toBe(200);
    expect([...page.text.matchAll(/href="(\/login\?[^"]*)"/g)].map(([, href]) => href)).toEqual([
      "/login?provider=corp&amp;return=%2Flive",
      "/login?provider=other&amp;return=%2Flive",
    ]);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'self';/);
    expect(page.text).not.toContain("<script");
    const css = await new Browser().open(`${url}/login.css`);
    expect([css.status, css.headers.get("content-type")]).toEqual([200, "text/css; charset=utf-8"]);
    expect((await new Browser().open(`${url}/login?provider=%3Cscript%3E`)).text).not.toContain("<script");
  });
});

describe("who it is", () => {
  test("by the ID token, where the access token says nothing to us", async () => {
    const browser = new Browser();
    userinfo = { sub: "jane", department: "sales", groups: ["ignored: the ID token has its own"] };
    const page = await logIn(browser);
    expect(page.url).toBe(`${url}/`);
    expect(seen.get("code_verifier")).toMatch(/^[\w-]{43}$/);
    const { status, ...me } = (await (await browser.request(`${url}/api/me`)).json()) as Record<
      string,
      unknown
    >;
    expect(me).toMatchObject({
      subject: "jane",
      kind: "human",
      groups: ["people"],
      provider: "corp",
      stepUpFresh: true,
    });
    expect(status).toBeUndefined();
  });

  test("by the access token, where it is one that Postern takes; both must be of the same person", async () => {
    const browser = new Browser();
    access = await idp.mint({ sub: "jane", groups: ["people", "from-access"] });
    await logIn(browser);
    const me = (await (await browser.request(`${url}/api/me`)).json()) as { groups: string[] };
    expect(me.groups).toEqual(["people", "from-access"]);
    access = await idp.mint({ sub: "john", groups: ["people"] });
    const other = new Browser();
    const page = await logIn(other);
    expect([page.status, isIn(other)]).toEqual([403, false]);
    expect(await causes()).toContain("LOGIN_TOKEN: access token and ID token are of different people");
  });

  test("groups from the userinfo answer, only if it is of the same subject", async () => {
    claims = { groups: undefined };
    userinfo = { sub: "jane", groups: ["people"] };
    const browser = new Browser();
    await logIn(browser);
    expect(isIn(browser)).toBe(true);
    userinfo = { sub: "john", groups: ["people"] };
    const other = new Browser();
    expect((await logIn(other)).status).toBe(403);
    expect(isIn(other)).toBe(false);
  });

  test.each([
    ["an agent", { groups: ["agents"] }, "LOGIN_AGENT"],
    ["a service", { groups: ["robots"] }, "LOGIN_AGENT"],
    ["somebody with groups elsewhere", { _claim_names: { groups: "src1" } }, "LOGIN_TOKEN"],
    ["nobody", { sub: undefined }, "LOGIN_TOKEN"],
    ["another client's", { aud: "somebody-else" }, "LOGIN_TOKEN"],
    ["one of many, authorised for another", { aud: ["console", "x"], azp: "x" }, "LOGIN_TOKEN"],
    ["another issuer's", { iss: "https://evil.example" }, "LOGIN_TOKEN"],
    ["another login's", { nonce: "stale" }, "LOGIN_TOKEN"],
    ["no login's", { nonce: undefined }, "LOGIN_TOKEN"],
    ["an expired", { exp: 1_000_000_000 }, "LOGIN_TOKEN"],
    ["a timeless", { exp: undefined }, "LOGIN_TOKEN"],
  ])("%s ID token lets nobody in", async (_what, change, code) => {
    userinfo = { sub: "jane" };
    claims = change;
    const browser = new Browser();
    const page = await logIn(browser);
    expect([page.status, page.text.includes(code), isIn(browser)]).toEqual([403, true, false]);
  });

  test.each([
    ["not signed", () => idp.signRaw({ alg: "none" }, { sub: "jane" }).replace(/[^.]*$/, "")],
    [
      "signed by another",
      async (nonce_: string) => {
        const stranger = await startTestIdp();
        const forged = await stranger.mint(
          { iss: idp.issuer, aud: "console", sub: "jane", groups: ["people"], nonce: nonce_ },
          { header: { typ: "JWT" } },
        );
        await stranger.close();
        return forged;
      },
    ],
    ["no token at all", () => "nonsense"],
  ])("an ID token that is %s lets nobody in", async (_what, make) => {
    mint = async (given) => make(given);
    const browser = new Browser();
    const page = await logIn(browser);
    expect([page.status, isIn(browser)]).toEqual([403, false]);
    expect(page.text).toContain("LOGIN_TOKEN");
  });

  test("an answer without an ID token, an error, or too large: nobody", async () => {
    for (const answer of [
      () => ({ access_token: "x", token_type: "Bearer" }),
      () => ({ error: "invalid_grant", error_description: "<script>" }),
      () => ({ access_token: "x".repeat(400_000), token_type: "Bearer" }),
    ]) {
      tokenAnswer = answer;
      const browser = new Browser();
      const page = await logIn(browser);
      expect([page.status, isIn(browser), page.text.includes("<script")]).toEqual([403, false, false]);
    }
    // Nothing that the provider sent is on the record but its code.
    expect(JSON.stringify(await causes())).not.toContain("script");
  });
});

describe("step-up", () => {
  test("counts only when the provider says that the person has just logged in", async () => {
    userinfo = { sub: "jane" };
    for (const auth_time of [undefined, Math.floor(Date.now() / 1000) - 600]) {
      claims = { auth_time };
      const browser = new Browser();
      const page = await logIn(browser, "&step_up=1");
      expect([page.status, page.text.includes("LOGIN_STALE"), isIn(browser)]).toEqual([403, true, false]);
    }
    claims = {};
    const browser = new Browser();
    await logIn(browser, "&step_up=1");
    expect(isIn(browser)).toBe(true);
  });

  test("a login without auth_time is a login, and never fresh", async () => {
    claims = { auth_time: undefined };
    userinfo = { sub: "jane" };
    const browser = new Browser();
    await logIn(browser);
    const me = (await (await browser.request(`${url}/api/me`)).json()) as Record<string, unknown>;
    expect([me.authTime, me.stepUpFresh]).toEqual([null, false]);
  });
});

describe("a provider that fails", () => {
  test("is said to be down, without a word on where it is", async () => {
    for (const [path, handler] of [
      [
        "/.well-known/openid-configuration",
        (_: IncomingMessage, response: ServerResponse) => response.writeHead(500).end("boom"),
      ],
      [
        "/.well-known/openid-configuration",
        (_: IncomingMessage, response: ServerResponse) =>
          sendJson(response, { issuer: "https://evil.example" }),
      ],
      [
        "/.well-known/openid-configuration",
        (_: IncomingMessage, response: ServerResponse) =>
          response.writeHead(302, { location: "https://evil.example/" }).end(),
      ],
    ] as const) {
      idp.override(path, handler);
      const page = await new Browser().open(`${url}/login?provider=corp`);
      expect([page.status, page.text.includes("LOGIN_PROVIDER")]).toEqual([502, true]);
      expect(page.text).not.toContain(idp.issuer);
    }
  });

  test("callbacks of nobody's login are refused, whatever they hold", async () => {
    for (const query of [
      "",
      "?state=",
      "?state=x&code=y",
      `?state=${"x".repeat(5000)}`,
      "?code=y",
      "?state=a&state=b",
    ]) {
      const page = await new Browser().open(`${url}/login/callback${query}`);
      expect([page.status, page.text.includes("LOGIN_STATE")]).toEqual([400, true]);
    }
    const doubled = await logIn(new Browser(), "", (back) => back.searchParams.append("code", "second"));
    expect(doubled.status).toBe(403);
  });

  test("is not asked without end: logins that one address begins are counted", async () => {
    let status = 0;
    for (let i = 0; i < 300 && status !== 429; i++)
      status = (await new Browser().request(`${url}/login?provider=corp`)).status;
    expect(status).toBe(429);
  });
});
