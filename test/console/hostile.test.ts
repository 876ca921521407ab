import { expect, it } from "vitest";
import { desktop, phone } from "./support/browser.ts";
import {
  bidi,
  hostileApproval,
  hostileName,
  hostileSql,
  hostileWho,
  longSql,
  markup,
  overflowing,
} from "./support/hostile.ts";
import { approval, held, session, statement, support } from "./support/sample.ts";
import { pageSuite } from "./support/suite.ts";

const said = {
  who: hostileWho,
  sql: hostileSql,
  verdict: "deny",
  command: markup,
  rule: bidi,
  code: markup,
  reads: [hostileName],
  writes: [overflowing],
  masked: [markup],
  rows: null,
} as const;

for (const [size, viewport] of [
  ["desktop", desktop],
  ["phone", phone],
] as const)
  pageSuite(`hostile data is text (${size})`, (bench) => {
    /** No element of a hostile string became one of the page, nothing is wider than the window. */
    const check = async (page: Awaited<ReturnType<ReturnType<typeof bench>["open"]>>["page"]) => {
      expect(await page.locator("#root img, #root script, #root [onerror], #root [onload]").count()).toBe(0);
      expect(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")).toBe(true);
      expect(await page.locator("body").textContent()).toContain("<img src=x");
    };

    it("in the live views", async () => {
      const { double, open } = bench();
      double.state.sessions = [
        session(hostileWho, {
          claimed: { agent: markup, model: bidi, run: markup, intent: markup },
          client: { ip: markup, application: hostileName, user: markup, via: markup as "wire", tls: null },
          database: markup,
          login: bidi,
          statement: { sql: hostileSql, started: new Date().toISOString(), verdict: "allow" },
        }),
      ];
      const { page, faults } = await open("/live", { viewport });
      await expect.poll(() => double.streams).toBe(1);
      double.emit("statement", statement(said, { claimed: { agent: hostileName }, database: markup }));
      double.emit("statement", statement({ ...said, sql: longSql }));
      await expect.poll(() => page.locator(".said").count()).toBe(2);
      await page.locator(".said-line").last().click();
      await page.waitForSelector(".said-more .sql");
      // An override of direction is named, never obeyed.
      await expect
        .poll(() => page.locator(".said-more .hidden-character").first().textContent())
        .toMatch(/^U\+/);
      await check(page);
      if (size === "phone") await page.getByRole("radio", { name: "Sessions" }).check();
      await page.locator("article.session").getByRole("button", { name: "Stop agent" }).click();
      await page.getByLabel("Reason").fill(markup);
      await check(page);
      await page.locator("dialog[open]").getByRole("button", { name: "Stop agent" }).click();
      await page.getByRole("button", { name: "Show" }).click();
      await page.waitForSelector("dialog[open] table");
      await check(page);
      expect(faults).toEqual([]);
    });

    it("in an approval, its preview and its decision", async () => {
      const { double, open } = bench();
      const hostile = hostileApproval();
      double.state.pending = [hostile];
      const { page, faults } = await open(`/approvals/${hostile.id}`, { viewport });
      await page.waitForSelector(".preview-table");
      await check(page);
      // The letter that only looks like a Latin one is marked.
      await expect.poll(() => page.locator(".sql-odd").count()).toBeGreaterThan(0);
      await page.getByRole("button", { name: "Deny" }).click();
      await page.getByLabel("Reason").fill(markup);
      await check(page);
      await page.locator("dialog[open]").getByRole("button", { name: "Deny" }).click();
      await page.waitForSelector(".note.result");
      await check(page);
      expect(faults).toEqual([]);
    });

    it("in a statement of a megabyte, all of which can be read", async () => {
      const { double, open } = bench();
      const long = approval(support, [held(longSql)]);
      double.state.pending = [long];
      const { page, faults } = await open(`/approvals/${long.id}`, { viewport });
      const code = page.locator(".sql.long");
      await code.waitFor();
      expect(await page.locator(".sql-line").count()).toBeLessThan(400);
      await expect
        .poll(async () => {
          await page.evaluate(
            `{ const code = document.querySelector(".sql.long"); code.scrollTo(0, code.scrollHeight); }`,
          );
          return code.textContent();
        })
        .toContain("/* the end */");
      expect(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")).toBe(true);
      expect(faults).toEqual([]);
    });

    it("in names of databases, groups and people elsewhere", async () => {
      const { double, open } = bench();
      if (double.state.me !== null)
        double.state.me = {
          ...double.state.me,
          subject: hostileName,
          email: markup,
          groups: [markup, overflowing],
          provider: markup,
          databases: [{ name: markup }],
          node: bidi,
        };
      double.on("GET /api/grants", () => ({
        body: {
          items: [
            {
              id: "g",
              principal: hostileWho,
              group: markup,
              database: bidi,
              since: null,
              until: new Date(Date.now() + 1e6).toISOString(),
              reason: markup,
            },
          ],
          next: null,
        },
      }));
      double.on("GET /api/connect", () => ({
        body: {
          items: [
            {
              name: markup,
              psql: `${markup} {token}`,
              urls: { [markup]: hostileSql },
              mcp: { [markup]: bidi },
              expires: null,
            },
          ],
          next: null,
        },
      }));
      const { page, faults } = await open("/access", { viewport });
      await page.waitForSelector(".table");
      await check(page);
      await page.locator(".account-button").click();
      await page.waitForSelector(".account-panel");
      await check(page);
      await page.goto(`${double.url}/connect`);
      await page.waitForSelector(".line-text");
      await check(page);
      double.on("GET /api/sessions", () => ({
        status: 500,
        body: { error: { code: markup, message: markup, hint: bidi } },
      }));
      await page.goto(`${double.url}/live`);
      if (size === "phone") await page.getByRole("radio", { name: "Sessions" }).check();
      await page.waitForSelector(".failure");
      await check(page);
      expect(faults).toEqual([]);
    });
  });
