import { expect, it } from "vitest";
import { desktop, phone } from "./support/browser.ts";
import { approval, held, support } from "./support/sample.ts";
import { pageSuite } from "./support/suite.ts";

pageSuite("approvals", (bench) => {
  it("shows all that an approver needs, and decides with the keyboard alone", async () => {
    const { double, open } = bench();
    const { page, faults } = await open("/approvals");
    await page.waitForSelector(".decision-bar");
    // The most urgent first; j goes to the next.
    await expect.poll(() => page.textContent("#approval-title")).toContain("wants DELETE on shop");
    await page.keyboard.press("j");
    await expect
      .poll(() => page.textContent("#approval-title"))
      .toContain("agent-support wants UPDATE on shop");
    const article = page.locator("article.approval");
    await expect.poll(() => article.textContent()).toContain("Cancel the order and leave a note");
    const text = (await article.textContent()) ?? "";
    for (const part of [
      "not verified",
      "A trigger will fire",
      "'cancelled'",
      "int8",
      "1 more of data-stewards",
      "RowExclusiveLock on public.orders",
      "at most 100 affected rows",
      "about 1 row",
      "10.0.4.17",
      "search_path",
    ])
      expect(text).toContain(part);
    await page.keyboard.press("p");
    await page.waitForSelector(".preview-table");
    expect(await page.locator(".preview-table .after .changed").first().textContent()).toBe("cancelled");
    await page.keyboard.press("a");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator(".note.result").textContent()).toContain("Approved");
    const asked = double.asked.find((each) => each.path.endsWith("/approve"));
    expect(asked?.body).toEqual({});
    expect(asked?.headers["x-postern-csrf"]).toBe("csrf-of-the-double");
    // The outcome of the statement arrives while one looks.
    double.emit("outcome", {
      time: new Date().toISOString(),
      session: "s",
      request: double.state.decided[0]?.request,
      index: 0,
      intent: null,
      status: "ok",
      sqlstate: null,
      tag: "UPDATE 1",
      rows: null,
      bytes: null,
      rows_affected: 1,
      duration_us: 2100,
    });
    await expect.poll(() => page.locator(".note.result").textContent()).toContain("It ran: 1 row in 2.1 ms.");
    expect(faults).toEqual([]);
  });

  it("wants a reason for a denial, on a phone", async () => {
    const { double, open } = bench();
    const { page, faults } = await open("/approvals", { viewport: phone, hasTouch: true, isMobile: true });
    await page.locator(".inbox-row", { hasText: "support_tickets" }).tap();
    await page.getByRole("button", { name: "Deny" }).tap();
    const dialog = page.locator("dialog[open]");
    await dialog.getByRole("button", { name: "Deny" }).tap();
    await expect.poll(() => dialog.getByRole("alert").textContent()).toContain("Say why");
    expect(double.asked.some((each) => each.path.endsWith("/deny"))).toBe(false);
    await dialog.getByLabel("Reason").fill("Two years is not what retention says.");
    await dialog.getByRole("button", { name: "Deny" }).tap();
    await expect
      .poll(() => page.locator(".note.result").textContent())
      .toContain("Denied. It will never run.");
    expect(double.asked.find((each) => each.path.endsWith("/deny"))?.body).toEqual({
      reason: "Two years is not what retention says.",
    });
    expect(faults).toEqual([]);
  });

  it("approves a shape for a while", async () => {
    const { double, open } = bench();
    const { page } = await open(`/approvals/${double.state.pending[0]?.id}`);
    await page.getByRole("button", { name: "Approve" }).click();
    await page.getByRole("radio", { name: "This shape for a while" }).check();
    await page.getByLabel("At most").selectOption("5");
    await page.getByLabel("within").selectOption("3600");
    await page.locator("dialog[open]").getByRole("button", { name: "Approve" }).click();
    await expect
      .poll(() => double.asked.find((each) => each.path.endsWith("/approve"))?.body)
      .toEqual({
        scope: { kind: "shape", uses: 5, seconds: 3600 },
      });
    // Such an approval can be taken back, with a reason: the gateway takes none without.
    await page.getByRole("button", { name: "Take it back" }).click();
    await page.getByRole("button", { name: "Take back", exact: true }).click();
    await page.getByText("Say why it is taken back.").waitFor();
    expect(double.asked.some((each) => each.path.endsWith("/revoke"))).toBe(false);
    await page.getByLabel("Reason").fill("Not needed any more.");
    await page.getByRole("button", { name: "Take back", exact: true }).click();
    await expect.poll(() => double.state.decided[0]?.state).toBe("revoked");
  });

  it("keeps what was written when the session ends in the middle", async () => {
    const { double, open } = bench();
    const id = double.state.pending[0]?.id;
    const { page } = await open(`/approvals/${id}`);
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByLabel("Reason").fill("Not on a Sunday.");
    const { me } = double.state;
    double.state.me = null;
    await page.locator("dialog[open]").getByRole("button", { name: "Deny" }).click();
    await page.getByRole("heading", { name: "Sign in to Postern" }).waitFor();
    // Signed in again, the provider's way left out.
    double.state.me = me;
    await page.goto(`${double.url}/approvals/${id}`);
    await page.waitForSelector("dialog[open]");
    expect(await page.getByLabel("Reason").inputValue()).toBe("Not on a Sunday.");
    await page.locator("dialog[open]").getByRole("button", { name: "Deny" }).click();
    await expect.poll(() => double.state.decided[0]?.votes[0]?.reason).toBe("Not on a Sunday.");
  });

  it("goes on after a login in another tab: once more by hand as the same person, anew as another", async () => {
    const { double, open } = bench();
    const id = double.state.pending[0]?.id;
    const { page } = await open(`/approvals/${id}`);
    const approve = async () => {
      await page.getByRole("button", { name: "Approve" }).first().click();
      await page.locator("dialog[open]").getByRole("button", { name: "Approve" }).click();
    };
    const { me } = double.state;
    if (me === null) throw new Error("nobody");
    await page.waitForSelector(".decision-bar .button");
    double.state.me = { ...me, csrf: "csrf-of-the-new-session" };
    await approve();
    await page.getByText("You signed in anew in another tab").waitFor();
    expect(double.state.pending.some((each) => each.id === id)).toBe(true);
    await page.locator("dialog[open]").getByRole("button", { name: "Approve" }).click();
    await expect.poll(() => double.state.decided[0]?.id).toBe(id);
    // Another person: nothing of the first one's page is left.
    const next = double.state.pending[0]?.id;
    await page.goto(`${double.url}/approvals/${next}`);
    await page.waitForSelector(".decision-bar .button");
    double.state.me = { ...me, subject: "somebody-else", email: "else@example.com", csrf: "another" };
    const loaded = page.waitForEvent("load");
    await approve();
    await loaded;
    await expect.poll(() => page.locator(".account-name").textContent()).toContain("else@example.com");
    expect(double.state.pending.some((each) => each.id === next)).toBe(true);
  });

  it("asks for a fresh login, comes back to the same page with what was written, and repeats nothing by itself", async () => {
    const { double, open } = bench();
    double.state.stepUp = true;
    const id = double.state.pending[0]?.id;
    const { page } = await open(`/approvals/${id}`);
    await page.getByRole("button", { name: "Deny" }).click();
    await page.getByLabel("Reason").fill("Not on a Sunday.");
    await page.locator("dialog[open]").getByRole("button", { name: "Deny" }).click();
    await page.getByRole("button", { name: "Sign in again" }).click();
    await page.waitForURL(`**/approvals/${id}`);
    await page.waitForSelector("dialog[open]");
    expect(await page.getByLabel("Reason").inputValue()).toBe("Not on a Sunday.");
    expect(double.asked.filter((each) => each.path.endsWith("/deny"))).toHaveLength(1);
    expect(double.state.pending.some((each) => each.id === id)).toBe(true);
    await page.locator("dialog[open]").getByRole("button", { name: "Deny" }).click();
    await expect.poll(() => double.state.decided[0]?.id).toBe(id);
  });

  it("shows what arrives and what others decide, and counts it in the tab's title", async () => {
    const { double, open } = bench();
    const { page } = await open("/approvals");
    await expect.poll(() => page.title()).toBe("(3) Approvals · Postern");
    await expect.poll(() => double.streams).toBe(1);
    const fresh = approval(support, [held("UPDATE orders SET total = 0 WHERE id = 9")]);
    double.state.pending.push(fresh);
    double.emit("approval", fresh);
    await expect.poll(() => page.title()).toBe("(4) Approvals · Postern");
    await page.locator(".inbox-row", { hasText: "total" }).click();
    await page.waitForSelector(".decision-bar .button");
    const denied = { ...fresh, state: "denied" as const };
    double.state.pending = double.state.pending.filter((each) => each.id !== fresh.id);
    double.state.decided.unshift(denied);
    double.emit("approval", denied);
    await expect.poll(() => page.locator(".note.result").textContent()).toContain("Denied");
    expect(await page.locator(".decision-bar").count()).toBe(0);
    await expect.poll(() => page.title()).toBe("(3) Approvals · Postern");
  });

  it("offers no buttons to who may not decide, and says why", async () => {
    const { double, open } = bench();
    const other = double.state.pending.find((each) => !each.can.approve);
    const { page } = await open(`/approvals/${other?.id}`, { viewport: desktop });
    await expect
      .poll(() => page.locator(".decision-why").textContent())
      .toContain("Your groups are not among");
    expect(await page.getByRole("button", { name: "Approve" }).count()).toBe(0);
    await page.keyboard.press("a");
    expect(await page.locator("dialog[open]").count()).toBe(0);
  });

  it("tells of somebody who was faster", async () => {
    const { double, open } = bench();
    const { page } = await open(`/approvals/${double.state.pending[0]?.id}`);
    double.on("POST /api/approvals/:id/approve", () => ({
      status: 409,
      body: { error: { code: "NOT_PENDING", message: "Somebody else has decided it already." } },
    }));
    await page.getByRole("button", { name: "Approve" }).click();
    await page.locator("dialog[open]").getByRole("button", { name: "Approve" }).click();
    await expect
      .poll(() => page.locator(".toast.bad").textContent())
      .toContain("Somebody else has decided it already.");
  });

  it("says so when nothing waits", async () => {
    const { double, open } = bench();
    double.state.pending = [];
    const { page } = await open("/approvals");
    await expect.poll(() => page.locator(".empty").textContent()).toContain("Nothing waits");
  });
});
