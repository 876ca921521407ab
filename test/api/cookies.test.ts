/** Under which name cookies go, and that no other name does in its place. */
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { cookieOf, readCookie, setCookie } from "../../src/api/cookies.ts";
import type { ApiEnv } from "../../src/api/env.ts";
import { createConsoleSessions } from "../../src/api/index.ts";
import { loginRoutes } from "../../src/api/login/routes.ts";
import type { RestDeps } from "../../src/api/rest.ts";
import type { Principal } from "../../src/facts/principal.ts";
import { memoryStore, type Store } from "../../src/store/index.ts";
import { provider } from "../identity/helpers.ts";
import { startTestIdp, type TestIdp } from "../support/idp.ts";

let store: Store;
let idp: TestIdp;
beforeEach(async () => {
  store = await memoryStore();
  idp = await startTestIdp();
});
afterEach(async () => {
  await store.close();
  await idp.close();
});

const person: Principal = {
  subject: "amy",
  issuer: "https://idp.example",
  email: null,
  kind: "human",
  groups: [],
  actor: [],
  provider: "corp",
  claims: {},
  token: { jti: null, sha256: "0".repeat(64), issued: 1, expires: 2 },
};

describe("the console's session", () => {
  test.each([
    [true, "__Host-postern_session", "postern_session"],
    [false, "postern_session", "__Host-postern_session"],
  ])("by https: %s", async (secure, name, other) => {
    const sessions = createConsoleSessions(store, { secure: () => secure });
    const set = await sessions.open({ principal: person, authTime: null, sid: null });
    const [pair = "", ...attributes] = set.split("; ");
    expect(pair).toMatch(new RegExp(`^${name}=[\\w-]{43}$`));
    // What browsers ask of the prefix: TLS, the whole host, and no domain.
    expect(attributes).toEqual([
      "Max-Age=28800",
      "Path=/",
      "HttpOnly",
      "SameSite=Strict",
      ...(secure ? ["Secure"] : []),
    ]);
    const value = pair.slice(name.length + 1);
    expect((await sessions.find(pair))?.principal.subject).toBe("amy");
    for (const wrong of [
      `${other}=${value}`,
      `${name.toLowerCase()}X=${value}`,
      `x${pair}`,
      `${pair}; ${pair}`,
    ])
      expect(await sessions.find(wrong)).toBeNull();
    // A neighbour under the same domain can set the other name; it changes nothing.
    expect((await sessions.find(`${other}=${"A".repeat(43)}; ${pair}`))?.principal.subject).toBe("amy");
    // Nor does it end a session.
    await sessions.close(`${other}=${value}`);
    expect(await sessions.find(pair)).not.toBeNull();
    expect(await sessions.close(pair)).toContain(`${name}=; Max-Age=0; Path=/`);
    expect(await sessions.find(pair)).toBeNull();
  });
});

describe("a login by OpenID Connect", () => {
  async function begin(publicUrl: string, cookie?: string) {
    const app = new Hono<ApiEnv>();
    app.use((context, next) => {
      context.set("ip", "192.0.2.1");
      return next();
    });
    const settings = provider(idp.issuer, { client: { id: "console", secret: null } });
    const deps = {
      store,
      publicUrl: () => publicUrl,
      providers: () => [settings],
      login: { providers: () => [{ name: settings.name, type: "oidc", url: "/login" }] },
      loginFailed: () => {},
      consoleSessions: createConsoleSessions(store, { secure: () => publicUrl.startsWith("https:") }),
    };
    loginRoutes(deps as unknown as RestDeps)(app);
    const headers: Record<string, string> = cookie === undefined ? {} : { cookie };
    const answer = await app.request(`${publicUrl}/login?provider=${settings.name}`, { headers });
    expect(answer.status).toBe(302);
    const state = new URL(answer.headers.get("location") ?? "").searchParams.get("state") ?? "";
    return { app, state, cookie: (answer.headers.get("set-cookie") ?? "").split(";", 1)[0] ?? "" };
  }

  test.each([
    ["https://postern.example.com", "__Host-postern_login"],
    ["http://127.0.0.1:8432", "postern_login"],
  ])("at %s", async (url, name) => {
    const { cookie } = await begin(url);
    expect(cookie).toMatch(new RegExp(`^${name}=[\\w-]{32}$`));
    // A second tab shares it, what somebody else put there does not count.
    expect((await begin(url, cookie)).cookie).toBe(cookie);
    expect((await begin(url, `${name}=known`)).cookie).not.toBe(`${name}=known`);
  });

  test("is not finished by a browser that shows its cookie by the name of a neighbour's", async () => {
    const { app, state, cookie } = await begin("https://postern.example.com");
    const answer = await app.request(`https://postern.example.com/login/callback?code=x&state=${state}`, {
      headers: { cookie: cookie.replace("__Host-", "") },
    });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining("LOGIN_STATE")]);
  });
});

test("a cookie that is there twice is none", () => {
  const set = setCookie("postern_saml", "v", { secure: true, sameSite: "Lax", seconds: 9 });
  expect(set).toBe("__Host-postern_saml=v; Max-Age=9; Path=/; HttpOnly; SameSite=Lax; Secure");
  expect(cookieOf("postern_saml", false)).toBe("postern_saml");
  expect(readCookie("a=b; __Host-postern_saml=v", "postern_saml", true)).toBe("v");
  expect(readCookie("__Host-postern_saml=v; __Host-postern_saml=w", "postern_saml", true)).toBeNull();
  expect(readCookie("__Host-postern_saml=", "postern_saml", true)).toBeNull();
  expect(readCookie(undefined, "postern_saml", true)).toBeNull();
});
