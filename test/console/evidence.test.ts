/** Against a whole gateway and a real PostgreSQL: an agent's statement is found, opened, proven in the browser, and taken away. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildConsole } from "../../scripts/console.mjs";
import { startTestApi, type TestApi } from "../api/support.ts";
import { launch, noBrowser, openPage } from "./support/browser.ts";

function soon<T>(look: () => T | Promise<T>) {
  return expect.poll(look, { timeout: 20_000, interval: 100 });
}

if (noBrowser !== null) console.warn(`evidence: skipped, ${noBrowser}`);
describe.skipIf(noBrowser !== null)(
  noBrowser === null ? "the trail of a real gateway" : `the trail (skipped: ${noBrowser})`,
  () => {
    let api: TestApi;
    let browser: Browser;
    beforeAll(async () => {
      buildConsole();
      browser = await launch();
      api = await startTestApi();
    }, 180_000);
    afterAll(async () => {
      await browser.close();
      await api.stop();
    });

    /** A page of an auditor. */
    async function open(path: string) {
      const token = await api.token("auditor");
      const watched = await openPage(browser, api.url, {
        extraHTTPHeaders: { authorization: `Bearer ${token}` },
      });
      await watched.page.goto(api.url + path);
      return watched;
    }

    async function search(page: Page, line: string): Promise<void> {
      await page.getByRole("combobox").fill(line);
      await page.keyboard.press("Enter");
    }

    test("search it, open it, verify its proof, take the evidence to the command line", {
      timeout: 120_000,
    }, async () => {
      const client = await api.connect(
        "agent",
        {},
        "-c postern.agent=codex -c postern.run=r-77 -c postern.intent=why",
      );
      await client.query("SELECT id, email FROM people WHERE id < 4 ORDER BY id");
      await expect(client.query("DROP TABLE people")).rejects.toThrow();
      await client.end();

      const { page, faults, close } = await open("/trail");
      await page.locator(".hit").first().waitFor();
      await search(page, "subject:agent table:people verdict:allow");
      await soon(() => page.locator(".hit").count()).toBe(1);
      expect(await page.locator(".hit").innerText()).toContain("read 3 rows of people (email masked)");
      await page.locator(".hit").click();
      await soon(() => page.locator('[data-proof="good"]').count()).toBe(2);
      await page.getByText("exact text, as recorded").waitFor();
      const told = await page.locator("main").innerText();
      for (const part of ["codex", "r-77", "public.people.email", "id < 4", "1 column masked"])
        expect(told).toContain(part);

      const key = readFileSync(join(api.dir, "audit", "test", "0", "log.vkey"), "utf8").trim();
      for (const at of [0, 1]) {
        const [download] = await Promise.all([
          page.waitForEvent("download"),
          page.getByRole("button", { name: "Evidence" }).nth(at).click(),
        ]);
        const file = await download.path();
        const verify = spawnSync(
          process.execPath,
          ["bin/postern.js", "audit", "verify-proof", file, "--key", key, "--json"],
          { encoding: "utf8" },
        );
        expect(verify.status, verify.stderr).toBe(0);
        expect(JSON.parse(verify.stdout)).toMatchObject({
          ok: true,
          record: { type: at === 0 ? "statement.intent" : "statement.outcome" },
        });
      }
      await page.getByRole("link", { name: "Story of the run" }).click();
      await soon(() => page.locator(".step").count()).toBe(2);
      expect(await page.locator("main").innerText()).toContain("why");
      expect(await page.locator(".step").nth(1).innerText()).toContain("was denied by no-drop");
      expect(faults).toEqual([]);
      await close();
    });

    test("overview and policy tell of the same gateway", { timeout: 120_000 }, async () => {
      const { page, faults, close } = await open("/");
      await page.locator(".plot-svg").first().waitFor();
      await soon(() => page.locator(".log-card").innerText()).toContain("records");
      await page.goto(`${api.url}/policy`);
      await page.getByText("no-drop").first().waitFor();
      await page.goto(`${api.url}/policy?tab=columns`);
      await page.locator(".protected-list").first().waitFor();
      expect(await page.locator(".protected-list").first().innerText()).toContain("email");
      await page.goto(`${api.url}/policy?tab=playground`);
      await page.getByLabel("In the groups").fill("testers");
      await page.locator(".cm-content").click();
      await page.keyboard.press("Control+A");
      await page.keyboard.type("select name, email from people");
      await page.getByRole("button", { name: "Explain" }).click();
      await page.locator(".verdict.allow").waitFor();
      expect(await page.locator(".answer").innerText()).toContain("pii.email");
      await page.goto(`${api.url}/policy?tab=replay`);
      await page.getByText("A valid policy").waitFor();
      await page.locator(".cm-content").click();
      await page.keyboard.press("Control+End");
      await page.keyboard.insertText("  - name: nobody-reads\n    when: 'true'\n    then: deny\n");
      await page.getByText("changed", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Run" }).click();
      await page.getByText("Newly denied").waitFor();
      expect(faults).toEqual([]);
      await close();
    });
  },
);
