import { expect, it } from "vitest";
import { seriousFindings, walk } from "./support/axe.ts";
import { desktop, phone } from "./support/browser.ts";
import { script, statement } from "./support/sample.ts";
import { pageSuite } from "./support/suite.ts";

pageSuite("the shell", (bench) => {
  it("brings strangers to the login and back to the page that they wanted", async () => {
    const { double, open } = bench();
    double.state.me = null;
    const { page, faults } = await open("/approvals?state=decided");
    await page.getByRole("link", { name: "Continue with corp" }).click();
    await page.waitForURL("**/approvals?state=decided");
    await expect.poll(() => page.locator(".inbox-row").count()).toBe(3);
    expect(faults).toEqual([]);
  });

  it("never leaves its own origin, whatever the address says", async () => {
    const { double, open } = bench();
    double.state.me = null;
    const { page } = await open("/approvals");
    await page.waitForSelector(".login-list");
    for (const evil of [
      "https://evil.example/",
      "//evil.example",
      "/\\evil.example",
      "javascript:alert(1)",
    ]) {
      await page.evaluate(
        `history.replaceState(null, "", "/login?return=" + encodeURIComponent(${JSON.stringify(evil)})); dispatchEvent(new PopStateEvent("popstate"))`,
      );
      const target = await page.getByRole("link", { name: "Continue with corp" }).getAttribute("href");
      expect(target).toBe("/login?provider=corp");
    }
  });

  it("signs out, and an ended session leads to the login", async () => {
    const { double, open } = bench();
    const { page } = await open("/live");
    await page.locator(".account-button").click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForSelector(".login-list");
    expect(double.state.me).toBeNull();
  });

  it("tells an agent that it has no console", async () => {
    const { double, open } = bench();
    double.on("GET /api/me", () => ({
      status: 403,
      body: { error: { code: "FORBIDDEN", message: "Agents have no console." } },
    }));
    const { page } = await open("/live");
    await expect.poll(() => page.locator(".failure").textContent()).toContain("Agents have no console.");
  });

  it("keeps the chosen theme", async () => {
    const { open } = bench();
    const { page } = await open("/access", { colorScheme: "light" });
    const ground = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    const light = await ground();
    await page.locator(".account-button").click();
    await page.getByRole("radio", { name: "Dark" }).check();
    const dark = await ground();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await ground()).toBe(dark);
  });

  it("answers 404 and a failing gateway with what to do", async () => {
    const { double, open } = bench();
    const { page } = await open("/nowhere");
    await expect.poll(() => page.locator(".empty").textContent()).toContain("There is no such page");
    double.on("GET /api/connect", () => ({ status: 500, body: "oops" }));
    await page.goto(`${double.url}/connect`);
    await expect
      .poll(() => page.locator(".failure").textContent(), { timeout: 15_000 })
      .toContain("HTTP_500");
    double.on("GET /api/connect", () => ({ body: { items: [], next: null } }));
    await page.getByRole("button", { name: "Try again" }).click();
    await expect.poll(() => page.locator(".empty").textContent()).toContain("No database is open to you");
  });

  it("goes on where the browser believes that there is no network: the gateway may be on this machine", async () => {
    const { page, faults } = await bench().open("/access");
    await page.evaluate("dispatchEvent(new Event('offline'))");
    await page.getByRole("link", { name: "Connect" }).first().click();
    await page.waitForSelector(".line-text");
    await page.getByRole("button", { name: "Make a token" }).click();
    await page.waitForSelector(".token");
    expect(faults).toEqual([]);
  });

  it("asks for access and makes a token", async () => {
    const { double, open } = bench();
    const { page, faults } = await open("/access");
    await page.getByLabel("Group").fill("oncall");
    await page.getByRole("button", { name: "Ask for access" }).click();
    await expect.poll(() => page.locator(".field-error").textContent()).toContain("what you need it for");
    await page.getByLabel("Reason").fill("pager");
    await page.getByRole("button", { name: "Ask for access" }).click();
    await expect
      .poll(() => double.asked.find((each) => each.path === "/api/access")?.body)
      .toEqual({ database: "shop", group: "oncall", seconds: 3600, reason: "pager" });
    await page.waitForURL("**/approvals/*");
    await page.goto(`${double.url}/connect`);
    await page.getByRole("button", { name: "Make a token" }).click();
    await page.waitForSelector(".token");
    // The token is not on the screen until it is asked for, but in what is copied.
    expect(await page.locator(".connect").textContent()).not.toContain("pgt_c2FtcGxl".padEnd(20, "x"));
    await page.getByRole("button", { name: "Show" }).click();
    expect(await page.locator(".token-text").textContent()).toMatch(/^pgt_[\w-]+$/);
    expect(faults).toEqual([]);
  });

  for (const [size, viewport] of [
    ["desktop", desktop],
    ["phone", phone],
  ] as const)
    it(`has no serious finding of axe, light or dark (${size})`, async () => {
      const { double, open } = bench();
      const { page, faults } = await open("/live", { viewport, reducedMotion: "reduce" });
      await expect.poll(() => double.streams).toBe(1);
      for (const said of script) double.emit("statement", statement(said));
      await page.locator(".said-line").first().click();
      expect(await seriousFindings(page)).toEqual([]);
      const first = double.state.pending[0]?.id ?? "";
      for (const [path, ready] of [
        ["/approvals", ".inbox-row"],
        [`/approvals/${first}`, ".decision-bar"],
        ["/connect", ".line-text"],
        ["/access", ".table"],
      ] as const) {
        await walk(page, path);
        await page.waitForSelector(ready);
        expect([path, await seriousFindings(page)]).toEqual([path, []]);
        expect(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")).toBe(true);
      }
      await walk(page, `/approvals/${first}`);
      await page.getByRole("button", { name: "Try it out" }).click();
      await page.waitForSelector(".preview-table");
      await page.getByRole("button", { name: "Deny" }).click();
      await page.waitForSelector("dialog[open]");
      expect(["decision", await seriousFindings(page)]).toEqual(["decision", []]);
      await page.keyboard.press("Escape");
      await page.locator(".account-button").click();
      expect(["account", await seriousFindings(page)]).toEqual(["account", []]);
      double.state.me = null;
      await page.goto(`${double.url}/live`);
      await page.waitForSelector(".login-list");
      expect(["login", await seriousFindings(page)]).toEqual(["login", []]);
      expect(faults).toEqual([]);
    }, 90_000);
});
