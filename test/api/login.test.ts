/** Login through a real OIDC provider (the demo's), as a browser does it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ComposedGateway, composeGateway } from "../../src/cli/lib/compose.ts";
import { parseConfig } from "../../src/config/index.ts";
import { type DemoIdp, startIdp } from "../../src/demo/idp.ts";
import { approver, engineer, security } from "../../src/demo/people.ts";
import { type DemoState, freePort, openState } from "../../src/demo/state.ts";
import { Browser, type Page } from "../support/browser.ts";
import { readLeaves } from "../support/postern.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-login-"));
let state: DemoState;
let idp: DemoIdp;
let gateway: ComposedGateway;
let url: string;

beforeAll(async () => {
  state = openState(folder);
  const port = await freePort(0);
  url = `http://127.0.0.1:${port}`;
  idp = await startIdp(state, await freePort(0), [url]);
  const file = state.write(
    "postern.yaml",
    `version: 1
listen: { postgres: 127.0.0.1:0, http: 127.0.0.1:${port} }
identity:
  providers:
    - name: demo
      type: oidc
      issuer: ${idp.issuer}
      audience: postern
      algorithms: [ES256]
      token_types: [at+jwt]
      kinds:
        - { kind: agent, when: 'claims.client_id.startsWith("agent-")' }
        - { kind: human, when: '"employees" in claims.groups' }
      client: { id: postern-console, secret: { file: secrets/client-postern-console } }
databases:
  - name: shop
    server: { host: 127.0.0.1, port: 1, dbname: shop, tls: { mode: disable } }
    logins: [ { groups: [dba], user: admin, password: { file: secrets/idp-cookies } } ]
admin: { admins: [security], auditors: [audit], approvers: [data-stewards] }
audit: { dir: audit, node: test, durability: process }
`,
  );
  const settings = await parseConfig(state.read("postern.yaml") ?? "", file);
  gateway = await composeGateway(settings, pino({ level: "silent" }));
});
afterAll(async () => {
  await gateway.stop(0);
  await idp.stop();
  state.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Goes to the login page and picks a person. */
async function logIn(browser: Browser, subject: string, query = ""): Promise<Page> {
  const page = await browser.open(`${url}/login${query}`);
  return page.text.includes("Who are you?") ? browser.submit(page, { subject }) : page;
}

async function me(browser: Browser): Promise<Record<string, unknown>> {
  const answer = await browser.request(`${url}/api/me`);
  return { status: answer.status, ...((await answer.json()) as Record<string, unknown>) };
}

describe("login", () => {
  test("a person comes back with a session, and is who the provider says", async () => {
    const browser = new Browser();
    const before = Math.floor(Date.now() / 1000);
    const page = await logIn(browser, engineer.subject, "?return=/live");
    expect(page.url).toBe(`${url}/live`);
    const cookie = browser.cookie("postern_session");
    expect(cookie?.attributes).toEqual(expect.arrayContaining(["HttpOnly", "SameSite=Strict", "Path=/"]));
    const found = await me(browser);
    expect(found).toMatchObject({
      status: 200,
      subject: engineer.subject,
      issuer: idp.issuer,
      provider: "demo",
      email: engineer.email,
      kind: "human",
      groups: [...engineer.groups],
      roles: ["user"],
      stepUpFresh: true,
      databases: [{ name: "shop" }],
      publicUrl: url,
    });
    expect(Date.parse(String(found.authTime)) / 1000).toBeGreaterThanOrEqual(before);
    expect(found.csrf).toMatch(/^[\w-]{43}$/);
    // The cookie's value is nowhere on disk, nor in the log.
    await gateway.audit.settle();
    const leaves = readLeaves(join(folder, ".postern-demo", "audit"));
    expect(JSON.stringify(leaves)).not.toContain(cookie?.value);
    expect(leaves.some((leaf) => leaf.type === "admin.action" && leaf.action === "console.login")).toBe(true);
  });

  test("roles come from groups", async () => {
    const [ada, sam] = [new Browser(), new Browser()];
    await logIn(ada, approver.subject);
    await logIn(sam, security.subject);
    expect((await me(ada)).roles).toEqual(["auditor", "approver", "user"]);
    expect((await me(sam)).roles).toEqual(["admin", "auditor", "user"]);
  });

  test("step-up asks the person anew, an ordinary login does not", async () => {
    const browser = new Browser();
    await logIn(browser, engineer.subject);
    const again = await browser.open(`${url}/login`);
    expect(again.text).not.toContain("Who are you?");
    const first = (await me(browser)).authTime;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const asked = await browser.open(`${url}/login?step_up=1&return=/approvals/x`);
    expect(asked.text).toContain("Who are you?");
    const back = await browser.submit(asked, { subject: engineer.subject });
    expect(back.url).toBe(`${url}/approvals/x`);
    expect(Date.parse(String((await me(browser)).authTime))).toBeGreaterThan(Date.parse(String(first)));
  });

  test("logout needs the CSRF header, and ends the session for good", async () => {
    const browser = new Browser();
    await logIn(browser, engineer.subject);
    const { csrf } = await me(browser);
    const stolen = browser.cookie("postern_session")?.value;
    const without = await browser.request(`${url}/api/logout`, { method: "POST" });
    expect([without.status, await without.json()]).toMatchObject([403, { error: { code: "CSRF" } }]);
    const done = await browser.request(`${url}/api/logout`, {
      method: "POST",
      headers: { "x-postern-csrf": String(csrf) },
    });
    expect(done.status).toBe(204);
    expect(browser.cookie("postern_session")).toBeUndefined();
    const replay = await fetch(`${url}/api/me`, { headers: { cookie: `postern_session=${stolen}` } });
    expect(replay.status).toBe(401);
  });

  /** A live view with this cookie; `over` resolves when the gateway ends it. */
  async function watch(cookie: string) {
    const headers = { cookie: `postern_session=${cookie}` };
    const stop = new AbortController();
    const answer = await fetch(`${url}/api/events`, { headers, signal: stop.signal });
    expect(answer.status).toBe(200);
    // Sooner than the next heartbeat, which looks at all views.
    const late = setTimeout(() => stop.abort(), 12_000);
    return { over: answer.text().finally(() => clearTimeout(late)) };
  }

  test("logout ends the session's live views at once, and nobody else's", async () => {
    const [browser, other] = [new Browser(), new Browser()];
    await Promise.all([logIn(browser, engineer.subject), logIn(other, approver.subject)]);
    const { csrf } = await me(browser);
    const mine = await watch(browser.cookie("postern_session")?.value ?? "");
    const theirs = await watch(other.cookie("postern_session")?.value ?? "");
    let cut = false;
    const cutOff = theirs.over.then(
      () => {
        cut = true;
      },
      () => {},
    );
    const headers = { "x-postern-csrf": String(csrf) };
    expect((await browser.request(`${url}/api/logout`, { method: "POST", headers })).status).toBe(204);
    expect(await mine.over).not.toContain("event:");
    expect(cut).toBe(false);
    const end = String((await me(other)).csrf);
    await other.request(`${url}/api/logout`, { method: "POST", headers: { "x-postern-csrf": end } });
    await cutOff;
    expect(cut).toBe(true);
  });

  test("a new login ends the session before it, whose cookie the browser keeps to itself on the way back", async () => {
    const browser = new Browser();
    await logIn(browser, engineer.subject);
    const before = browser.cookie("postern_session")?.value ?? "";
    const view = await watch(before);
    const asked = await browser.open(`${url}/login?step_up=1&return=/live`);
    // SameSite=Strict: what the provider's page leads to comes without it.
    for (const [key, { name }] of browser.cookies)
      if (name === "postern_session") browser.cookies.delete(key);
    const back = await browser.submit(asked, { subject: engineer.subject });
    expect(back.url).toBe(`${url}/live`);
    expect((await me(browser)).subject).toBe(engineer.subject);
    const replay = await fetch(`${url}/api/me`, { headers: { cookie: `postern_session=${before}` } });
    expect(replay.status).toBe(401);
    await view.over;
  });

  test.each([
    "https://evil.example/x",
    "//evil.example/x",
    "/\\evil.example",
    "/api/me",
    "/login",
    "javascript:alert(1)",
    "/\u0000",
  ])("the way back %j is not taken", async (target) => {
    const browser = new Browser();
    const page = await logIn(browser, engineer.subject, `?return=${encodeURIComponent(target)}`);
    expect(page.url).toBe(`${url}/`);
  });

  test("an answer without the browser that began, or twice, is refused", async () => {
    const victim = new Browser();
    const begun = await victim.request(`${url}/login`);
    const other = new Browser();
    // Somebody else's login, finished in another browser (login CSRF).
    const page = await other.open(begun.headers.get("location") ?? "");
    const stop = await other.submit(page, { subject: engineer.subject });
    expect([stop.status, stop.text]).toEqual([400, expect.stringContaining("LOGIN_STATE")]);
    expect(other.cookie("postern_session")).toBeUndefined();
    // The same answer twice.
    const browser = new Browser();
    await logIn(browser, engineer.subject);
    const callback = browser.visited.find((one) => one.includes("/login/callback?")) ?? "";
    const again = await browser.open(callback);
    expect([again.status, again.text]).toEqual([400, expect.stringContaining("LOGIN_STATE")]);
  });

  test("what the provider refuses is said so, and is on the record", async () => {
    const browser = new Browser();
    const begun = await browser.request(`${url}/login`);
    const state = new URL(begun.headers.get("location") ?? "").searchParams.get("state");
    const page = await browser.open(
      `${url}/login/callback?error=access_denied&error_description=%3Cscript%3E&state=${state}&iss=${encodeURIComponent(idp.issuer)}`,
    );
    expect(page.status).toBe(403);
    expect(page.text).toContain("LOGIN_REFUSED");
    expect(page.text).not.toContain("<script>");
    await gateway.audit.settle();
    const failed = readLeaves(join(folder, ".postern-demo", "audit")).filter(
      (one) => one.type === "auth.failed",
    );
    expect(failed.at(-1)).toMatchObject({ code: "LOGIN_REFUSED", client: { via: "api" } });
  });

  test("an answer that names another issuer is refused (RFC 9207)", async () => {
    const browser = new Browser();
    const begun = await browser.request(`${url}/login`);
    const state = new URL(begun.headers.get("location") ?? "").searchParams.get("state");
    const page = await browser.open(
      `${url}/login/callback?code=x&state=${state}&iss=https%3A%2F%2Fevil.example`,
    );
    expect([page.status, page.text]).toEqual([403, expect.stringContaining("LOGIN_REFUSED")]);
  });
});
