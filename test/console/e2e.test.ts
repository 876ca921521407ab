import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import pino from "pino";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildConsole } from "../../scripts/console.mjs";
import { composeGateway } from "../../src/cli/lib/compose.ts";
import { loadConfig } from "../../src/config/index.ts";
import { prepareShop, shopDatabase } from "../../src/demo/database.ts";
import { type DemoIdp, startIdp } from "../../src/demo/idp.ts";
import { type Person, reportAgent, supportAgent } from "../../src/demo/people.ts";
import { startPostgres } from "../../src/demo/postgres.ts";
import { demoConfig, demoPolicy } from "../../src/demo/settings.ts";
import { freePort, openState } from "../../src/demo/state.ts";
import { desktop, launch, noBrowser, openPage, phone, type Watched } from "./support/browser.ts";

if (noBrowser !== null) console.warn(`console through the real gateway: skipped, ${noBrowser}`);

/** Everything is the demo's own: PostgreSQL, people and their identity provider, policy, gateway, console. */
describe.skipIf(noBrowser !== null)("the console through the real gateway", { timeout: 120_000 }, () => {
  const running = new AsyncDisposableStack();
  const clients: pg.Client[] = [];
  let browser: Browser;
  let idp: DemoIdp;
  let origin = "";
  let gatewayPort = 0;

  beforeAll(async () => {
    buildConsole();
    const base = mkdtempSync(join(tmpdir(), "postern-console-e2e-"));
    running.defer(() => rmSync(base, { recursive: true, force: true }));
    const state = openState(base);
    running.defer(() => state.close());
    const quiet = () => {};
    const postgres = await startPostgres(state, quiet);
    running.defer(() => postgres.stop());
    const password = (role: string) => state.secret(role).value;
    await prepareShop(
      postgres,
      {
        shop_reader: password("shop_reader"),
        shop_writer: password("shop_writer"),
        shop_admin: password("shop_admin"),
      },
      quiet,
    );
    const ports = { gateway: await freePort(0), http: await freePort(0), postgres: postgres.port };
    origin = `http://127.0.0.1:${ports.http}`;
    gatewayPort = ports.gateway;
    idp = await startIdp(state, await freePort(0), [origin]);
    running.defer(() => idp.stop());
    state.write("policy.yaml", demoPolicy(), 0o644);
    const config = await loadConfig(state.write("postern.yaml", demoConfig(ports, idp.issuer), 0o644));
    const gateway = await composeGateway(config, pino({ level: "silent" }));
    running.defer(() => gateway.stop(0));
    browser = await launch();
    running.defer(() => browser.close());
  }, 180_000);

  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end().catch(() => {})));
    await running.disposeAsync();
  });

  async function connect(who: Person): Promise<pg.Client> {
    const client = new pg.Client({
      host: "127.0.0.1",
      port: gatewayPort,
      user: who.client,
      database: shopDatabase,
      password: await idp.token(who.client),
      options: `-c postern.agent=${who.client} -c postern.run=run-e2e`,
    });
    client.on("error", () => {});
    clients.push(client);
    await client.connect();
    return client;
  }

  /** Opens a page, signs in as one of the demo's people, and comes back to the page. */
  async function signIn(person: string, path: string, viewport = desktop): Promise<Watched> {
    const watched = await openPage(browser, origin, {
      viewport,
      ...(viewport === phone ? { isMobile: true, hasTouch: true } : {}),
    });
    await watched.page.goto(origin + path);
    await watched.page.getByRole("link", { name: /^Continue with/ }).click();
    await atProvider(watched.page, person);
    await watched.page.waitForURL(`${origin}${path}`);
    return watched;
  }

  async function atProvider(page: Page, person: string): Promise<void> {
    await page.getByRole("button", { name: person }).click();
  }

  function soon<T>(look: () => T | Promise<T>) {
    return expect.poll(look, { timeout: 20_000, interval: 100 });
  }

  /** Faults of our pages; the identity provider is another host by nature. */
  function own(faults: readonly string[]): readonly string[] {
    return faults.filter((fault) => !fault.startsWith(`request: ${idp.issuer}`));
  }

  it("shows an agent's statement, lets a person try out and approve a held one, which runs, is found and proven", async () => {
    const { page, faults, close } = await signIn("ada@example.com", "/live");
    await expect.poll(() => page.locator(".connection").textContent()).toBe("Connected");
    const reader = await connect(reportAgent);
    await expect.poll(() => page.locator("article.session", { hasText: "agent-reports" }).count()).toBe(1);
    await reader.query("SELECT id, full_name, email FROM customers ORDER BY id LIMIT 3");
    const said = page.locator(".said", { hasText: "full_name" });
    await expect.poll(() => said.textContent()).toContain("3 rows");
    expect(await said.textContent()).toContain("allowed");
    await expect(reader.query("DROP TABLE customers")).rejects.toThrow(/policy/);
    await expect
      .poll(() => page.locator(".said", { hasText: "DROP TABLE" }).textContent())
      .toContain("denied");

    const writer = await connect(supportAgent);
    const held = writer.query(
      "INSERT INTO support_tickets (customer_id, subject, body) VALUES ($1, $2, $3)",
      [1, "Parcel", "<img src=x onerror=alert(1)>"],
    );
    held.catch(() => {});
    await page
      .getByRole("navigation", { name: "Pages" })
      .first()
      .getByRole("link", { name: /Approvals/ })
      .click();
    await expect.poll(() => page.title()).toMatch(/^\(1\) Approvals/);
    const article = page.locator("article.approval");
    await expect.poll(() => article.textContent()).toContain("agent-support wants INSERT on shop");
    expect(await article.textContent()).toContain("'<img src=x onerror=alert(1)>'");
    // Tried out on the real server, and undone.
    const tickets = async () =>
      (await reader.query("SELECT count(*)::int AS n FROM support_tickets")).rows[0]?.n;
    const before = await tickets();
    await page.keyboard.press("p");
    await soon(() => page.locator(".preview-count").textContent()).toContain("1 row would change");
    await soon(() => page.locator(".preview-table").textContent()).toContain("<img src=x onerror=alert(1)>");
    expect(await tickets()).toBe(before);
    await page.keyboard.press("a");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.press("Enter");
    expect((await held).rowCount).toBe(1);
    await expect.poll(() => page.locator(".note.result").textContent()).toMatch(/Approved.*It ran: 1 row/);
    await expect.poll(() => page.title()).toMatch(/^Approvals/);
    // It stays in view, with what became of it.
    expect(await article.textContent()).toContain("agent-support wants INSERT on shop");
    expect(await tickets()).toBe(before + 1);

    // What happened is found in the trail, and the browser proves that it is on the record.
    const pages = page.getByRole("navigation", { name: "Pages" }).first();
    await pages.getByRole("link", { name: "Trail" }).click();
    await page.locator(".hit").first().waitFor();
    await page.getByRole("combobox").fill("subject:agent-support table:support_tickets verdict:approve");
    await page.keyboard.press("Enter");
    await soon(() => page.locator(".hit").count()).toBe(1);
    await page.locator(".hit").click();
    // Decision and outcome, and the people's approval where the page shows its records.
    await soon(() => page.locator('[data-proof="good"]').count()).toBeGreaterThan(1);
    await soon(() => page.locator('[data-proof]:not([data-proof="good"])').count()).toBe(0);
    const told = await page.locator("main").innerText();
    for (const part of ["agent-support", "run-e2e", "support_tickets", "agent-safe/agents-write"])
      expect(told).toContain(part);
    await pages.getByRole("link", { name: "Runs" }).click();
    await page.getByRole("link", { name: "run-e2e" }).first().click();
    await soon(() => page.locator(".step").count()).toBeGreaterThan(2);
    expect(own(faults)).toEqual([]);
    await close();
  });

  it("shows its own login page, also where it is loaded again and after signing out", async () => {
    const { page, faults, close } = await signIn("erin@example.com", "/connect");
    await page.goto(`${origin}/login?return=/access`);
    await page.getByRole("heading", { name: "Sign in to Postern" }).waitFor();
    await page.reload();
    await page.getByRole("link", { name: /^Continue with/ }).click();
    await page.waitForURL(`${origin}/access`);
    // The new page takes the focus when it is there.
    await page.locator("#page-title:focus").waitFor();
    await page.locator(".account-button").click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in to Postern" }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/login");
    expect(own(faults)).toEqual([]);
    await close();
  });

  it("lets a person deny one from a phone, with a reason that the caller is told", async () => {
    const { page, faults, close } = await signIn("ada@example.com", "/approvals", phone);
    const writer = await connect(supportAgent);
    const held = writer.query("UPDATE support_tickets SET subject = 'all of them' WHERE id > 0").then(
      () => "it ran",
      (error: unknown) =>
        error instanceof pg.DatabaseError ? `${error.code} ${error.message} ${error.detail}` : String(error),
    );
    await page.locator(".inbox-row", { hasText: "all of them" }).tap();
    await page.getByRole("button", { name: "Try it out" }).tap();
    await soon(() => page.locator(".preview-table .after .changed").first().textContent()).toBe(
      "all of them",
    );
    await page.getByRole("button", { name: "Deny" }).tap();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Reason").fill("One ticket at a time, please.");
    await dialog.getByRole("button", { name: "Deny" }).tap();
    expect(await held).toMatch(/^42501 .*One ticket at a time, please\./);
    await expect
      .poll(() => page.locator(".note.result").textContent())
      .toContain("Denied. It will never run.");
    expect(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")).toBe(true);
    expect(own(faults)).toEqual([]);
    await close();
  });

  it("lets an administrator end a session and stop an agent, which stays out", async () => {
    const { page, faults, close } = await signIn("sam@example.com", "/live");
    const victim = await connect(reportAgent);
    const gone = new Promise<void>((done) => victim.once("end", () => done()));
    const row = page.locator("article.session", { hasText: "agent-reports" }).first();
    await row.getByRole("button", { name: "Stop agent" }).click();
    await page.getByLabel("Reason").fill("It behaves oddly.");
    await page.locator("dialog[open]").getByRole("button", { name: "Stop agent" }).click();
    await gone;
    await expect.poll(() => page.locator(".stopped").textContent()).toContain("agent-reports");
    await expect(connect(reportAgent)).rejects.toThrow();
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByRole("button", { name: "Lift" }).click();
    await expect.poll(() => page.locator(".stopped").count()).toBe(0);
    await page.keyboard.press("Escape");
    const back = await connect(reportAgent);
    expect((await back.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    expect(own(faults)).toEqual([]);
    await close();
  });

  it("makes a token that opens a connection", async () => {
    const { page, faults, close } = await signIn("erin@example.com", "/connect");
    await page.getByRole("button", { name: "Make a token" }).click();
    await page.getByRole("button", { name: "Show" }).click();
    const token = (await page.locator(".token-text").textContent()) ?? "";
    const client = new pg.Client({
      host: "127.0.0.1",
      port: gatewayPort,
      user: "erin",
      database: shopDatabase,
      password: token,
    });
    clients.push(client);
    await client.connect();
    expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    expect(own(faults)).toEqual([]);
    await close();
  });
});
