/**
 * The authorization server for MCP clients with everything real: `postern serve`, an OpenID provider, a browser, and the official client's
 * OAuth flow. Only the host that a metadata document lies on is made up: its name leads to this machine.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Client,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DemoIdp, startIdp } from "../../src/demo/idp.ts";
import { approver, engineer } from "../../src/demo/people.ts";
import { type DemoState, freePort, openState } from "../../src/demo/state.ts";
import { type Started, startPostern } from "../cli/support.ts";
import { launch, noBrowser, openPage } from "../console/support/browser.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { readLeaves } from "../support/postern.ts";
import { call } from "./support.ts";

if (noBrowser !== null) console.warn(`the façade is not tried in a browser: ${noBrowser}`);

const document = "https://agent.example/oauth/client.json";
const policy = `
version: 1
default: deny
labels:
  - { label: pii.email, columns: ["shop.public.customers.email"], mask: partial }
rules:
  - name: agents-read
    when: 'principal.kind == "agent" && statement.effects == ["read"]'
    then: allow
`;

/** An origin of its own that answers with `page`, and remembers what it was asked. */
async function site(answer: (path: string) => { readonly type: string; readonly body: string }) {
  const seen: URL[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    if (url.pathname !== "/favicon.ico") seen.push(url);
    const { type, body } = answer(url.pathname);
    response.writeHead(200, { "content-type": type }).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { server, seen, origin: `http://127.0.0.1:${port}`, port };
}

describe.skipIf(noBrowser !== null)("a program that registers itself", () => {
  const folder = mkdtempSync(join(tmpdir(), "postern-facade-"));
  const servers: Server[] = [];
  let cluster: Database;
  let dbname = "";
  let state: DemoState;
  let idp: DemoIdp;
  let gateway: Started;
  let browser: Browser;
  let base = "";
  let program: Awaited<ReturnType<typeof site>>;
  let stranger: Awaited<ReturnType<typeof site>>;

  beforeAll(async () => {
    cluster = await sharedCluster();
    dbname = await cluster.createDatabase();
    await cluster.query(
      dbname,
      "create table customers(id int, email text); insert into customers values (1, 'ann@example.com')",
    );
    program = await site(() => ({
      type: "text/html",
      body: "<title>back</title><h1>Back in the program</h1>",
    }));
    stranger = await site(() => ({ type: "text/html", body: "<title>a page</title>" }));
    const documents = await site(() => ({
      type: "application/json",
      body: JSON.stringify({
        client_id: document,
        client_name: "Document Agent",
        redirect_uris: ["http://127.0.0.1/callback"],
      }),
    }));
    servers.push(program.server, stranger.server, documents.server);
    state = openState(folder);
    const http = await freePort(0);
    // To browsers another site than the provider and the program, as in earnest.
    base = `http://localhost:${http}`;
    idp = await startIdp(state, await freePort(0), [base]);
    writeFileSync(join(folder, "policy.yaml"), policy);
    const { host, port, superuser } = cluster;
    writeFileSync(
      join(folder, "postern.yaml"),
      `version: 1
listen: { postgres: "127.0.0.1:0", http: "127.0.0.1:${http}", public_url: "${base}" }
identity:
  providers:
    - name: demo
      type: oidc
      issuer: ${idp.issuer}
      audience: postern
      algorithms: [ES256]
      token_types: [at+jwt]
      kinds: [{ kind: human, when: '"employees" in claims.groups' }]
      client: { id: postern-console, secret: { env: CONSOLE_SECRET }, cli: postern-cli }
databases:
  - name: shop
    server: { host: "${host}", port: ${port}, dbname: ${dbname} }
    logins: [{ groups: [engineers], user: ${superuser}, password: { env: UPSTREAM_PASSWORD } }]
policy: policy.yaml
mcp: { origins: ["${program.origin}"], facade: { enabled: true, provider: demo, token: 1h } }
audit: { dir: audit, node: gw, durability: process }
`,
    );
    // The only thing that is not as in earnest: where this one name leads.
    const lead = `import https from "node:https"; import http from "node:http"; import { syncBuiltinESMExports } from "node:module";
      const { request } = https;
      https.request = (url, options, done) => new URL(url).hostname !== "agent.example" ? request(url, options, done)
        : http.request({ host: "127.0.0.1", port: ${documents.port}, path: new URL(url).pathname, headers: options.headers }, done);
      syncBuiltinESMExports();`;
    gateway = startPostern(["serve"], {
      cwd: folder,
      env: {
        UPSTREAM_PASSWORD: cluster.password,
        CONSOLE_SECRET: state.secret("client-postern-console").value,
        NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(lead)}`,
      },
    });
    await gateway.printed(/"msg":"listening for HTTP"/);
    browser = await launch();
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    gateway?.child.kill("SIGTERM");
    await gateway?.ended;
    await idp?.stop();
    state?.close();
    for (const server of servers) server.close();
    await cluster?.dropDatabase(dbname);
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a program keeps, and where it would open its user's browser. */
  class Keeps implements OAuthClientProvider {
    redirectUrl = `${program.origin}/callback`;
    clientMetadata = { client_name: 'Chat <b>& "Co"', redirect_uris: [this.redirectUrl] };
    clientMetadataUrl?: string;
    asked: URL | null = null;
    registered: StoredOAuthClientInformation | undefined;
    kept: StoredOAuthTokens | undefined;
    #verifier = "";
    state = () => "s t&te";
    clientInformation = () => this.registered;
    saveClientInformation(information: StoredOAuthClientInformation) {
      this.registered = information;
    }
    tokens = () => this.kept;
    saveTokens(tokens: StoredOAuthTokens) {
      this.kept = tokens;
    }
    redirectToAuthorization(url: URL) {
      this.asked = url;
    }
    saveCodeVerifier(verifier: string) {
      this.#verifier = verifier;
    }
    codeVerifier = () => this.#verifier;
    #discovered: OAuthDiscoveryState | undefined;
    saveDiscoveryState(discovered: OAuthDiscoveryState) {
      this.#discovered = discovered;
    }
    discoveryState = () => this.#discovered;
  }

  const transportOf = (keeps: Keeps) =>
    new StreamableHTTPClientTransport(new URL(`${base}/mcp`), { authProvider: keeps });
  const clientOf = () =>
    new Client({ name: "chat", version: "1" }, { versionNegotiation: { mode: { pin: "2026-07-28" } } });

  /** Asks as a program that has no token yet: gives where it would send its user. */
  async function begin(keeps: Keeps): Promise<StreamableHTTPClientTransport> {
    const transport = transportOf(keeps);
    await expect(clientOf().connect(transport)).rejects.toThrow(UnauthorizedError);
    expect(keeps.asked?.origin).toBe(base);
    return transport;
  }

  /** A person's browser, from a link in the program to the page that asks for consent. */
  async function toConsent(page: Page, url: URL, subject: string): Promise<void> {
    await page.goto(`${program.origin}/`);
    await page.setContent(`<a href="${url.href.replaceAll("&", "&amp;")}">Connect</a>`);
    await page.click("text=Connect");
    await page.click("text=Continue");
    await page.click(`button[value="${subject}"]`);
    await page.click("text=You are logged in: continue");
    await page.waitForSelector("button[value=allow]");
  }

  /** Presses a button of the consent page; gives what the program's own page was called with. */
  async function press(page: Page, verdict: "allow" | "refuse"): Promise<URLSearchParams> {
    await page.click(`button[value=${verdict}]`);
    await page.waitForURL(`${program.origin}/callback?*`);
    const back = program.seen.findLast(({ pathname }) => pathname === "/callback");
    return back?.searchParams ?? new URLSearchParams();
  }

  /** Faults of the pages; the provider and the program are other sites of this test's own. */
  async function open() {
    const watched = await openPage(browser, base);
    watched.page.setDefaultTimeout(10_000);
    const own = [idp.issuer, program.origin].map((origin) => `request: ${origin}/`);
    return {
      ...watched,
      faults: () => watched.faults.filter((fault) => !own.some((start) => fault.startsWith(start))),
    };
  }

  async function askAs(keeps: Keeps): Promise<void> {
    const client = clientOf();
    await client.connect(transportOf(keeps));
    try {
      expect(await call(client, "describe_access")).toMatchObject({
        you: { subject: engineer.subject, kind: "agent" },
      });
      expect(
        await call(client, "query", { database: "shop", sql: "select id, email from customers" }),
      ).toMatchObject({ status: "ok", rows: [[1, "a***@***.com"]], masked: ["email"] });
    } finally {
      await client.close();
    }
  }

  it("is let in by its user, who logs in at the provider, and calls tools", async () => {
    const keeps = new Keeps();
    const transport = await begin(keeps);
    expect(keeps.registered?.client_id).toMatch(/^mcp_/);
    const { page, faults, close } = await open();
    await toConsent(page, keeps.asked ?? new URL(base), engineer.subject);
    const text = await page.innerText("main");
    expect(text).toContain('Chat <b>& "Co"');
    expect(text).toContain(engineer.subject);
    expect(text).toContain(program.origin);
    const back = await press(page, "allow");
    expect(back.get("state")).toBe("s t&te");
    expect(back.get("iss")).toBe(base);
    expect(await page.innerText("h1")).toBe("Back in the program");
    // The program's page is told neither the code's page nor the gateway's cookie.
    expect(await page.evaluate("document.referrer + document.cookie")).toBe("");
    await transport.finishAuth(back);
    expect(keeps.kept?.access_token).toMatch(/^pgt_/);
    await askAs(keeps);
    // The code is used up.
    await expect(transport.finishAuth(back)).rejects.toThrow();
    expect(faults()).toEqual([]);
    await close();
    const leaves = readLeaves(join(folder, "audit"));
    expect(leaves).toContainEqual(
      expect.objectContaining({
        type: "admin.action",
        action: "mcp.client.allowed",
        client_id: keeps.registered?.client_id,
        principal: expect.objectContaining({ subject: engineer.subject }),
      }),
    );
    expect(leaves.find(({ type }) => type === "statement.intent")?.principal).toMatchObject({
      subject: engineer.subject,
      kind: "agent",
      actor: [{ subject: expect.stringContaining(keeps.registered?.client_id ?? "none") }],
    });
  });

  it("names itself by its metadata document", async () => {
    const keeps = new Keeps();
    keeps.clientMetadataUrl = document;
    const transport = await begin(keeps);
    expect(keeps.asked?.searchParams.get("client_id")).toBe(document);
    const { page, faults, close } = await open();
    await toConsent(page, keeps.asked ?? new URL(base), engineer.subject);
    const text = await page.innerText("main");
    expect(text).toContain("Document Agent");
    expect(text).toContain(document);
    await transport.finishAuth(await press(page, "allow"));
    await askAs(keeps);
    expect(faults()).toEqual([]);
    await close();
  });

  it("is told when its user refuses, and gets nothing", async () => {
    const keeps = new Keeps();
    const transport = await begin(keeps);
    const { page, close } = await open();
    await toConsent(page, keeps.asked ?? new URL(base), approver.subject);
    const back = await press(page, "refuse");
    expect(Object.fromEntries(back)).toMatchObject({ error: "access_denied", state: "s t&te" });
    await expect(transport.finishAuth(back)).rejects.toThrow(/access_denied|denied/);
    expect(keeps.kept).toBeUndefined();
    await close();
  });

  it("asks its user each time, and what was decided cannot be decided again", async () => {
    const { page, close } = await open();
    const first = new Keeps();
    await begin(first);
    await toConsent(page, first.asked ?? new URL(base), engineer.subject);
    const consent = page.url();
    await press(page, "allow");
    await page.goto(consent);
    expect(await page.innerText("main")).toContain("begun too long ago");
    // Logged in already: no provider in between, but the question is asked.
    const second = new Keeps();
    await begin(second);
    await page.goto(second.asked?.href ?? "");
    await page.click("text=Continue");
    await page.waitForSelector("button[value=allow]");
    expect(new URL(page.url()).origin).toBe(base);
    await close();
  });

  it("cannot have the question shown in a frame of its own page", async () => {
    const { page, close } = await open();
    const keeps = new Keeps();
    await begin(keeps);
    await toConsent(page, keeps.asked ?? new URL(base), engineer.subject);
    const consent = page.url();
    await page.goto(`${program.origin}/`);
    await page.setContent(
      `<iframe src="${consent}"></iframe><iframe src="${keeps.asked?.href.replaceAll("&", "&amp;")}"></iframe>`,
    );
    await expect.poll(() => page.frames().length).toBe(3);
    for (const frame of page.frames().slice(1)) {
      await frame.waitForLoadState().catch(() => undefined);
      expect(await frame.locator("a, button, form").count()).toBe(0);
    }
    await close();
  });

  it("keeps pages and tokens out of caches, and has pages do nothing else", async () => {
    const { page, close } = await open();
    const keeps = new Keeps();
    await begin(keeps);
    const answers: { readonly path: string; readonly headers: Record<string, string> }[] = [];
    page.on("response", (response) => {
      const url = new URL(response.url());
      if (url.origin === base) answers.push({ path: url.pathname, headers: response.headers() });
    });
    await toConsent(page, keeps.asked ?? new URL(base), engineer.subject);
    await press(page, "allow");
    const paths = new Set(answers.map(({ path }) => path));
    expect([...paths]).toEqual(
      expect.arrayContaining(["/mcp/oauth/authorize", "/mcp/oauth/consent", "/login", "/login/callback"]),
    );
    for (const { path, headers } of answers.filter(({ path }) => path !== "/login.css")) {
      expect([path, headers["cache-control"]]).toEqual([path, "no-store"]);
      expect([path, headers["content-security-policy"]]).toEqual([
        path,
        expect.stringContaining("frame-ancestors 'none'"),
      ]);
      expect(["no-referrer", "same-origin"]).toContain(headers["referrer-policy"]);
      expect(headers["x-frame-options"]).toBe("DENY");
    }
    await close();
  });

  it("may be a web page of mcp.origins, and of nowhere else", async () => {
    const steps = `async (base) => {
      const said = [];
      const ask = async (path, init) => {
        try {
          const response = await fetch(base + path, init);
          said.push([path, response.status, (await response.text()).length > 0]);
        } catch { said.push([path, "kept from the page"]); }
      };
      const headers = { "mcp-protocol-version": "2026-07-28" };
      await ask("/.well-known/oauth-protected-resource/mcp", { headers });
      await ask("/.well-known/oauth-authorization-server", { headers });
      await ask("/mcp/oauth/register", { method: "POST", headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify({ client_name: "page", redirect_uris: ["https://page.example/cb"] }) });
      await ask("/mcp/oauth/token", { method: "POST", headers, body: new URLSearchParams({ grant_type: "authorization_code", code: "x" }) });
      await ask("/mcp", { method: "POST", headers: { ...headers, "content-type": "application/json", authorization: "Bearer x" }, body: "{}" });
      return said;
    }`;
    const { page, close } = await open();
    await page.goto(`${program.origin}/`);
    expect(await page.evaluate(`(${steps})(${JSON.stringify(base)})`)).toEqual([
      ["/.well-known/oauth-protected-resource/mcp", 200, true],
      ["/.well-known/oauth-authorization-server", 200, true],
      ["/mcp/oauth/register", 201, true],
      ["/mcp/oauth/token", 400, true],
      ["/mcp", 401, true],
    ]);
    await page.goto(`${stranger.origin}/`);
    expect(await page.evaluate(`(${steps})(${JSON.stringify(base)})`)).toEqual([
      ["/.well-known/oauth-protected-resource/mcp", 200, true],
      ["/.well-known/oauth-authorization-server", 200, true],
      ["/mcp/oauth/register", "kept from the page"],
      ["/mcp/oauth/token", "kept from the page"],
      ["/mcp", "kept from the page"],
    ]);
    await close();
  });
});
