import { expect, it } from "vitest";
import { phone } from "./support/browser.ts";
import { outcomeOf } from "./support/double.ts";
import { jane, reports, script, session, statement } from "./support/sample.ts";
import { pageSuite } from "./support/suite.ts";

const [first, second, , denied] = script;
if (first === undefined || second === undefined || denied === undefined)
  throw new Error("the script is too short");

pageSuite("live", (bench) => {
  it("shows statements as they happen, with their outcome, and filters them", async () => {
    const { double, open } = bench();
    const { page, faults } = await open("/live");
    await expect.poll(() => double.streams).toBe(1);
    const said = statement(first);
    double.emit("statement", said);
    double.emit("statement", statement(denied));
    await expect.poll(() => page.locator(".said").count()).toBe(2);
    const row = page.locator(".said", { hasText: "claude-agent for jane@example.com" });
    await expect.poll(() => row.textContent()).toContain("running");
    double.emit("outcome", outcomeOf(said.request, said.session, "ok", 3));
    await expect.poll(() => row.textContent()).toContain("3 rows, 1.8 ms");
    await page.getByRole("radio", { name: "Denied" }).check();
    await expect.poll(() => page.locator(".said").count()).toBe(1);
    expect(await page.locator(".said").textContent()).toContain("DROP TABLE");
    // The filter is part of the address.
    expect(page.url()).toContain("verdict=deny");
    await page.getByRole("radio", { name: "All", exact: true }).check();
    await page.getByRole("searchbox", { name: "Agent" }).fill("claude-agent");
    await expect.poll(() => page.locator(".said").count()).toBe(1);
    await page.locator(".said-line").click();
    await expect.poll(() => page.locator(".said-more").textContent()).toContain("public.customers.email");
    expect(faults).toEqual([]);
  });

  it("joins outcomes by their place in the log too", async () => {
    const { double, open } = bench();
    const { page } = await open("/live");
    await expect.poll(() => double.streams).toBe(1);
    const id = double.emit("statement", statement(second));
    double.emit("outcome", { ...outcomeOf("another", "s", "ok", 7), index: null, intent: id });
    await expect.poll(() => page.locator(".said").textContent()).toContain("7 rows");
  });

  it("pauses: nothing moves, nothing is lost", async () => {
    const { double, open } = bench();
    const { page } = await open("/live");
    await expect.poll(() => double.streams).toBe(1);
    double.emit("statement", statement(first));
    await expect.poll(() => page.locator(".said").count()).toBe(1);
    await page.locator("body").press(" ");
    for (let i = 0; i < 5; i += 1) double.emit("statement", statement(second));
    await page.getByRole("button", { name: "Go on (5)" }).click();
    await expect.poll(() => page.locator(".said").count()).toBe(6);
  });

  it("reconnects after the gateway was away", async () => {
    const { double, open } = bench();
    const { page } = await open("/live");
    await expect.poll(() => page.locator(".connection").textContent()).toBe("Connected");
    double.dropStreams();
    await expect.poll(() => page.locator(".connection").textContent()).toBe("Offline");
    await expect.poll(() => page.locator(".connection").textContent()).toBe("Connected");
    double.emit("statement", statement(first));
    await expect.poll(() => page.locator(".said").count()).toBe(1);
  });

  it("keeps one connection for all tabs of a browser, which all hear of everything", async () => {
    const { double, open } = bench();
    const one = await open("/live");
    await expect.poll(() => double.streams).toBe(1);
    double.emit("statement", statement(first));
    await expect.poll(() => one.page.locator(".said").count()).toBe(1);
    const other = await one.page.context().newPage();
    await other.goto(`${double.url}/live`);
    // What happened before it was opened, and what happens now.
    await expect.poll(() => other.locator(".said").count()).toBe(1);
    double.emit("statement", statement(second));
    await expect.poll(() => other.locator(".said").count()).toBe(2);
    expect(double.streams).toBe(1);
    // When the first tab closes, the second takes over.
    await one.page.close();
    await expect.poll(() => double.opened).toBe(2);
    await expect.poll(() => other.locator(".connection").textContent()).toBe("Connected");
    double.emit("statement", statement(denied));
    await expect.poll(() => other.locator(".said").count()).toBe(3);
  });

  it("lists sessions as they come and go, ends one, and stops an agent with a reason", async () => {
    const { double, open } = bench();
    const { page, faults } = await open("/live");
    await expect.poll(() => page.locator("article.session").count()).toBeGreaterThanOrEqual(3);
    await expect.poll(() => double.streams).toBe(1);
    const fresh = session(reports, { database: "billing" });
    double.state.sessions.unshift(fresh);
    double.emit("session", { type: "start", reason: null, session: fresh });
    const row = page.locator("article.session", { hasText: "billing" }).first();
    await expect.poll(() => row.textContent()).toContain("agent-reports");
    await row.getByRole("button", { name: "End" }).click();
    await page.getByRole("button", { name: "End session" }).click();
    await expect
      .poll(() => double.asked.some((each) => each.method === "DELETE" && each.path.endsWith(fresh.id)))
      .toBe(true);

    await page
      .locator("article.session", { hasText: "claude-agent" })
      .first()
      .getByRole("button", { name: "Stop agent" })
      .click();
    const dialog = page.locator("dialog[open]");
    expect(await dialog.textContent()).toContain("2 open sessions end at once");
    await dialog.getByRole("button", { name: "Stop agent" }).click();
    await expect.poll(() => dialog.getByRole("alert").textContent()).toContain("Say why");
    await dialog.getByLabel("Reason").fill("It loops.");
    await dialog.getByRole("button", { name: "Stop agent" }).click();
    await expect
      .poll(
        () => double.asked.find((each) => each.method === "POST" && each.path === "/api/revocations")?.body,
      )
      .toEqual({ agent: "claude-agent", issuer: jane.issuer, reason: "It loops." });
    await expect.poll(() => page.locator(".stopped").textContent()).toContain("claude-agent");
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByRole("button", { name: "Lift" }).click();
    await expect.poll(() => double.state.revocations.length).toBe(0);
    expect(faults).toEqual([]);
  });

  it("holds thousands of statements and draws only what is seen", async () => {
    const { double, open } = bench();
    const { page } = await open("/live", { viewport: phone });
    await page.waitForSelector(".live-statements .empty");
    for (let i = 0; i < 4_000; i += 1) double.emit("statement", statement(i % 2 === 0 ? first : second));
    await expect
      .poll(() => page.locator(".virtual-row").first().getAttribute("aria-setsize"), { timeout: 20_000 })
      .toBe("3000");
    expect(await page.locator(".virtual-row").count()).toBeLessThan(60);
  });

  it("shows a user without the role auditor only what the gateway sends, and no kill switch", async () => {
    const { double, open } = bench();
    if (double.state.me !== null) double.state.me = { ...double.state.me, roles: ["user"] };
    const { page } = await open("/live");
    await page.waitForSelector("article.session");
    expect(await page.getByRole("button", { name: "Stop agent" }).count()).toBe(0);
    expect(await page.getByRole("button", { name: "End" }).count()).toBe(0);
    expect(double.asked.some((each) => each.path === "/api/revocations")).toBe(false);
  });
});
