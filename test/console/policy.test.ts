/** Overview and policy in a real browser. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { script, statement } from "./support/sample.ts";
import { pageSuite } from "./support/suite.ts";
import { makeTrail, serveTrail, type TrailData } from "./support/trail.ts";

/** As expect.poll, with patience for a machine that does other things too. */
function soon<T>(look: () => T | Promise<T>) {
  return expect.poll(look, { timeout: 15_000, interval: 50 });
}

let data: TrailData;
beforeAll(async () => {
  data = await makeTrail();
});
afterAll(() => data.remove());

pageSuite("overview", (bench) => {
  it("counts go on with the events, a bar leads to its statements, the table says the same", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    const { page, faults } = await open("/");
    const denied = page.locator(".tile", { hasText: "Denied" }).locator(".tile-value");
    await denied.waitFor();
    await soon(() => double.streams).toBe(1);
    const before = Number((await denied.textContent())?.replaceAll(",", ""));
    const said = script.find(({ verdict }) => verdict === "deny");
    if (said === undefined) throw new Error("script");
    double.emit("statement", statement(said, { time: new Date(Date.now() + 500).toISOString() }));
    await soon(() => denied.textContent()).toBe(new Intl.NumberFormat("en").format(before + 1));
    const plot = page.getByRole("img", { name: /^Statements by decision/ });
    await plot.focus();
    await page.keyboard.press("End");
    await page.keyboard.press("ArrowLeft");
    await soon(() => page.locator(".plot-readout").first().innerText()).toMatch(/\d\d:00–\d\d:00/);
    await page.locator(".plot-numbers summary").first().click();
    await soon(() => page.locator(".plot-table").first().locator("tbody tr").count()).toBeGreaterThan(20);
    await plot.focus();
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await soon(() => new URL(page.url()).pathname).toBe("/trail");
    expect(new URL(page.url()).search).toMatch(/since=.*until=/);
    expect(faults).toEqual([]);
  });

  it("the log's trouble is said aloud", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    const stats = await (await fetch(`${double.url}/api/audit/stats`)).json();
    double.on("GET /api/audit/stats", () => ({
      body: {
        ...(stats as object),
        log: {
          size: 1,
          lastCheckpoint: null,
          anchorAgeSeconds: null,
          unanchored: 1,
          failure: "the audit log cannot be written",
        },
      },
    }));
    const { page } = await open("/");
    await page.getByRole("alert").getByText("the audit log cannot be written").waitFor();
    expect(await page.locator(".log-card").innerText()).toContain("not yet");
  });
});

pageSuite("policy", (bench) => {
  it("the playground asks as whom it was told and shows rules, touches and masks", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    const { page, faults } = await open("/policy?tab=playground");
    await page.getByLabel("In the groups").fill("agents, support");
    const editor = page.locator(".editor .cm-content");
    await editor.click();
    await page.keyboard.press("Control+A");
    await page.keyboard.type("select email from customers");
    await page.keyboard.press("Control+Enter");
    await page.locator(".verdict.allow").waitFor();
    const asked = double.asked.find(({ path }) => path === "/api/policy/explain");
    expect(asked?.body).toEqual({
      as: { subject: "playground", kind: "agent", groups: ["agents", "support"] },
      database: "shop",
      sql: "select email from customers",
    });
    const text = await page.locator(".answer").innerText();
    for (const part of ["agent-safe/agents-read", "public.customers.email", "pii.email", "at most 30 s"])
      expect(text).toContain(part);
    expect(faults).toEqual([]);
  });

  it("a fault in a changed policy is shown where it is, and nothing is run with it", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    const { page, faults } = await open("/policy?tab=replay");
    await page.getByText("A valid policy").waitFor();
    const editor = page.locator(".editor .cm-content");
    await editor.click();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("\nnonsense: 1");
    const problem = page.locator(".problems button").first();
    await problem.waitFor();
    expect(await problem.innerText()).toMatch(/^\d+:\d+/);
    await page.locator(".cm-fault-line").first().waitFor();
    await page.getByRole("button", { name: "Run" }).click({ force: true });
    expect(double.asked.some(({ path }) => path === "/api/policy/replay")).toBe(false);
    await page.getByRole("button", { name: "Undo all" }).click();
    await page.getByText("A valid policy").waitFor();
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText("Newly denied").waitFor();
    await page.getByText("Newly allowed").waitFor();
    const asked = double.asked.find(({ path }) => path === "/api/policy/replay");
    expect(asked?.body.files).toHaveLength(1);
    expect(faults).toEqual([]);
  });

  it("rules stand in their order of force, with their source", async () => {
    serveTrail(bench().double, data);
    const { page } = await bench().open("/policy");
    await page.locator(".rule").first().waitFor();
    const titles = await page.locator(".policy-rules h2").allInnerTexts();
    expect(titles.slice(0, 3)).toEqual(["Deny", "Ask a person", "Allow"]);
    await page.getByText("As written").first().click();
    expect(await page.locator(".rule-source pre").first().innerText()).toMatch(
      /^- name: agent-safe\/agents-never/,
    );
  });
});
