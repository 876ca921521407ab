/** The trail in a real browser: searching, reading, proving, and what happens when somebody lies. */

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { seriousFindings, walk } from "./support/axe.ts";
import { desktop, phone } from "./support/browser.ts";
import { script, statement } from "./support/sample.ts";
import { pageSuite } from "./support/suite.ts";
import { hostileSaid, makeTrail, manyHits, serveTrail, type TrailData } from "./support/trail.ts";

let data: TrailData;
let hostile: TrailData;
beforeAll(async () => {
  data = await makeTrail();
  hostile = await makeTrail(hostileSaid);
});
afterAll(() => {
  data.remove();
  hostile.remove();
});

/** As expect.poll, with patience for a machine that does other things too. */
function soon<T>(look: () => T | Promise<T>, timeout = 15_000) {
  return expect.poll(look, { timeout, interval: 50 });
}

/** Scrolls the list to a part of its height, 0 to 1. */
function scroll(page: Page, part: number): Promise<unknown> {
  return page.evaluate(`(() => {
    const list = document.querySelector(".trail-rows");
    list.scrollTo(0, list.scrollHeight * ${part});
  })()`);
}

const masked = () => {
  const found = data.hits.find((hit) => hit.masked.length > 0);
  if (found === undefined) throw new Error("no masked statement");
  return found;
};

pageSuite("trail", (bench) => {
  it("finds by a query line, keeps it in the address, opens by keyboard and comes back", async () => {
    serveTrail(bench().double, data);
    const { page, faults } = await bench().open("/trail");
    await soon(() => page.locator(".hit").count()).toBeGreaterThan(5);
    await page.keyboard.press("/");
    await page.keyboard.type("verd");
    await soon(() => page.getByRole("option").count()).toBe(1);
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await soon(() => new URL(page.url()).search).toBe("?verdict=deny");
    await soon(() => page.locator(".hit .told-bad").count()).toBeGreaterThan(2);
    expect(await page.locator(".hit").count()).toBe(await page.locator(".hit .told-bad").count());
    await page.locator("h1").focus();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    const wanted = await page.locator(".hit.current").getAttribute("href");
    await page.keyboard.press("Enter");
    await soon(() => new URL(page.url()).pathname).toBe(wanted);
    await page.goBack();
    await soon(() => new URL(page.url()).search).toBe("?verdict=deny");
    expect(await page.getByRole("combobox").inputValue()).toBe("verdict:deny");
    expect(faults).toEqual([]);
  });

  it("says what is wrong in a query and does not search", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    const { page } = await open("/trail");
    await page.getByRole("combobox").fill("verdict:maybe");
    const before = double.asked.filter(({ path }) => path === "/api/audit").length;
    await page.keyboard.press("Enter");
    await page.getByText("verdict: is one of allow, deny, approve.").waitFor();
    expect(double.asked.filter(({ path }) => path === "/api/audit").length).toBe(before);
    await page.getByRole("combobox").fill("subject:nobody-at-all");
    await page.keyboard.press("Enter");
    await page.getByText("Nothing on the record fits").waitFor();
    await page.getByRole("button", { name: "Show everything" }).click();
    await soon(() => page.locator(".hit").count()).toBeGreaterThan(5);
  });

  it("scrolls through a hundred thousand statements without drawing them all", {
    timeout: 120_000,
  }, async () => {
    const { double, open } = bench();
    serveTrail(double, data, manyHits(data, 100_000));
    const { page, faults } = await open("/trail");
    await page.locator(".hit").first().waitFor();
    // Page after page is fetched as the end comes near.
    const loaded = () =>
      page.evaluate(`document.querySelector(".trail-count").textContent`) as Promise<string>;
    let most = 0;
    await soon(async () => {
      await scroll(page, 1);
      most = Math.max(most, await page.locator(".hit").count());
      return loaded();
    }, 280_000).toBe("100,000 statements, latest first");
    expect(most).toBeLessThan(80);
    await scroll(page, 1);
    await page.locator('[aria-posinset="100000"]').waitFor();
    await scroll(page, 0.5);
    await soon(() => page.locator('[aria-posinset="50000"]').count()).toBe(1);
    await scroll(page, 0);
    await page.locator('[aria-posinset="1"]').waitFor();
    expect(faults).toEqual([]);
  });

  it("tells of new statements that fit, and shows them when asked", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    const { page } = await open("/trail?verdict=deny");
    await page.locator(".hit").first().waitFor();
    await soon(() => double.streams).toBe(1);
    const [allowed] = script;
    const denied = script.find(({ verdict }) => verdict === "deny");
    if (allowed === undefined || denied === undefined) throw new Error("script");
    double.emit("statement", statement(allowed));
    double.emit("statement", statement(denied));
    const button = page.getByRole("button", { name: /new statement/ });
    await soon(() => button.textContent()).toBe("1 new statement — show");
    const asked = double.asked.filter(({ path }) => path === "/api/audit").length;
    await button.click();
    await soon(() => double.asked.filter(({ path }) => path === "/api/audit").length).toBe(asked + 1);
    expect(await button.count()).toBe(0);
  });

  it("tells of what happened while the list was on its way, and since it was last looked at", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    const denied = script.find(({ verdict }) => verdict === "deny");
    const hit = data.hits.find(({ verdict }) => verdict === "deny");
    if (denied === undefined || hit === undefined) throw new Error("script");
    const gate = Promise.withResolvers<void>();
    double.on("GET /api/audit", async () => {
      await gate.promise;
      return { body: { items: [hit], next: null, notices: [] } };
    });
    const { page } = await open("/trail?verdict=deny");
    await soon(() => double.streams).toBe(1);
    await page.getByText("Searching…").waitFor();
    await page.waitForTimeout(200);
    double.emit("statement", statement(denied));
    await page.waitForTimeout(200);
    gate.resolve();
    const button = page.getByRole("button", { name: /new statement/ });
    await soon(() => button.textContent()).toBe("1 new statement — show");
    await button.click();
    await soon(() => button.count()).toBe(0);
    await walk(page, "/connect");
    double.emit("statement", statement(denied));
    double.emit("statement", statement(denied));
    await page.waitForTimeout(200);
    await page.goBack();
    await soon(() => button.textContent()).toMatch(/^[23] new statements — show$/);
  });

  it("says so when the trail cannot be read, and tries again", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    double.on("GET /api/audit", () => ({
      status: 403,
      body: { error: { code: "FORBIDDEN", message: "the activity of others needs the role auditor" } },
    }));
    const { page } = await open("/trail");
    await page.getByText("This is not for your role").waitFor();
    serveTrail(double, data);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator(".hit").first().waitFor();
  });
});

pageSuite("a statement and its proof", (bench) => {
  it("shows who, why, what came back, and proves both records", async () => {
    serveTrail(bench().double, data);
    const { page, faults } = await bench().open(`/trail/${masked().request}`);
    await soon(() => page.locator('[data-proof="good"]').count()).toBe(2);
    const text = await page.locator("main").innerText();
    for (const part of [
      "claude-agent",
      "jane@example.com",
      "3 rows",
      "agents-read",
      "public.customers.email",
      "pii.email",
      "at most 1,000 rows",
    ])
      expect(text).toContain(part);
    await page.getByRole("button", { name: "Show the steps" }).first().click();
    expect(await page.locator(".proof-step.ok").count()).toBe(6);
    expect(faults).toEqual([]);
  });

  it("hands out evidence that the command line verifies, and nothing else when a bit of it is changed", async () => {
    serveTrail(bench().double, data);
    const { page } = await bench().open(`/trail/${masked().request}`);
    await page.locator('[data-proof="good"]').first().waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Evidence" }).first().click(),
    ]);
    expect(download.suggestedFilename()).toMatch(/^postern-evidence-[0-9a-f-]{36}\.json$/);
    const file = await download.path();
    const key = readFileSync(`${data.place.dir}/log.vkey`, "utf8").trim();
    const verify = (path: string) =>
      spawnSync(process.execPath, ["bin/postern.js", "audit", "verify-proof", path, "--key", key], {
        encoding: "utf8",
      });
    const done = verify(file);
    expect(done.stdout).toContain("OK   record");
    expect(done.status).toBe(0);
  });

  it("finds every lie: a changed proof, another record shown, another key, a shorter log", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    const { request } = masked();
    const { page } = await open(`/trail/${request}`);
    await soon(() => page.locator('[data-proof="good"]').count()).toBe(2);
    const bad = () => page.locator('[data-proof="bad"]');
    const again = async (expected: string) => {
      await page.reload();
      await bad().first().waitFor();
      expect(await bad().first().innerText()).toContain(expected);
    };
    const answer = async (path: string) => {
      const found = await fetch(`${double.url}${path}`);
      return (await found.json()) as {
        proof: string;
        parts: { intent: { record: Record<string, unknown>; id: string } }[];
      };
    };
    const detail = await answer(`/api/audit/${request}`);
    const id = detail.parts[0]?.intent.id ?? "";
    const proof = await answer(`/api/audit/${id}/proof`);

    const path = JSON.parse(proof.proof) as { path: string[]; key: string };
    double.on("GET /api/audit/:id/proof", () => ({
      body: { ...proof, proof: JSON.stringify({ ...path, path: [...path.path].reverse() }) },
    }));
    await again("not in the tree");

    serveTrail(double, data);
    const lied = structuredClone(detail);
    const record = lied.parts[0]?.intent.record as { decision: Record<string, unknown> };
    record.decision.verdict = "deny";
    double.on("GET /api/audit/:request", () => ({ body: lied }));
    await again("they differ at decision.verdict");

    // The same gateway with another log and key, as if it had been made anew: everything in it is sound by itself.
    serveTrail(double, hostile);
    const other = hostile.hits[3];
    await page.goto(`${double.url}/trail/${other?.request}`);
    await bad().first().waitFor();
    expect(await bad().first().innerText()).toContain("another key");

    // What this browser remembers is of a longer log.
    serveTrail(double, data);
    await page.evaluate(`(() => {
      const name = Object.keys(localStorage).find((key) => key.startsWith("postern.log."));
      const pin = JSON.parse(localStorage.getItem(name));
      localStorage.setItem(name, JSON.stringify({ ...pin, size: pin.size + 1000 }));
    })()`);
    await page.goto(`${double.url}/trail/${request}`);
    await bad().first().waitFor();
    expect(await bad().first().innerText()).toContain("cut or rolled back");
  });

  it("a browser without Ed25519 says that it knows nothing, never that all is well", async () => {
    serveTrail(bench().double, data);
    const { page } = await bench().open("/live");
    await page.addInitScript(
      `SubtleCrypto.prototype.importKey = () => Promise.reject(new DOMException("no", "NotSupportedError"))`,
    );
    await page.goto(`${bench().double.url}/trail/${masked().request}`);
    await page.getByText("Your browser cannot check it").first().waitFor();
    expect(await page.locator('[data-proof="good"]').count()).toBe(0);
    expect(await page.getByText("verify-proof").count()).toBeGreaterThan(0);
  });

  it("a person who is no auditor reads the own statement and is told who has the proof", async () => {
    const { double, open } = bench();
    serveTrail(double, data);
    if (double.state.me !== null) double.state.me = { ...double.state.me, roles: ["user"] };
    const { page, faults } = await open(`/trail/${masked().request}`);
    await page.getByText("Auditors see the proof").waitFor();
    expect(await page.getByRole("link", { name: "Story of the run" }).count()).toBe(0);
    expect(double.asked.some(({ path }) => path.endsWith("/proof"))).toBe(false);
    expect(faults).toEqual([]);
  });

  it("runs are listed, found by whose they are, and lead to their story", async () => {
    serveTrail(bench().double, data);
    const { page, faults } = await bench().open("/");
    await page.getByRole("navigation", { name: "Pages" }).first().getByRole("link", { name: "Runs" }).click();
    await soon(() => page.locator(".run-cell").count()).toBeGreaterThan(0);
    const all = await page.locator(".run-cell").count();
    const row = page.getByRole("row", { name: /run-7f3a/ });
    expect(await row.textContent()).toContain(
      data.hits.find((hit) => hit.claimed.run === "run-7f3a")?.principal.subject,
    );
    await page.getByLabel("Subject of the token").fill("nobody-here");
    await page.keyboard.press("Enter");
    await page.getByText("No run of this subject in this time").waitFor();
    expect(new URL(page.url()).search).toBe("?subject=nobody-here");
    await page.getByLabel("Subject of the token").fill("");
    await soon(() => page.locator(".run-cell").count()).toBe(all);
    await page.getByRole("link", { name: "run-7f3a" }).click();
    await page.locator(".step").first().waitFor();
    expect(faults).toEqual([]);
  });

  it("a run is told step by step", async () => {
    serveTrail(bench().double, data);
    const { page, faults } = await bench().open("/runs/run-7f3a");
    await soon(() => page.locator(".step").count()).toBeGreaterThan(20);
    const all = await page.locator(".step").count();
    await page.getByRole("radio", { name: "Trouble" }).check();
    await soon(() => page.locator(".step").count()).toBeLessThan(all);
    await page.locator(".step-text").first().click();
    await soon(() => page.locator('[data-proof="good"]').count()).toBe(2);
    expect(faults).toEqual([]);
  });
});

for (const [size, viewport] of [
  ["desktop", desktop],
  ["phone", phone],
] as const)
  pageSuite(`trail, overview and policy for everyone (${size})`, (bench) => {
    it("hostile names and statements are text in every view", async () => {
      const { double, open } = bench();
      serveTrail(double, hostile);
      const { page, faults } = await open("/trail", { viewport });
      const [long, odd] = hostile.hits;
      const check = async () => {
        expect(
          await page.locator("#root img, #root script, #root [onerror], #root [onload], #root b").count(),
        ).toBe(0);
        expect(
          await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"),
        ).toBe(true);
        expect(await page.locator("body").textContent()).toContain("<img src=x");
      };
      await page.locator(".hit").first().waitFor();
      await check();
      await page.goto(`${double.url}/trail/${odd?.request}`);
      await soon(() => page.locator('[data-proof="good"]').count()).toBe(2);
      await check();
      await page.goto(`${double.url}/runs/run-7f3a`);
      await page.locator(".step").first().waitFor();
      expect(await page.locator("#root img, #root script, #root [onerror]").count()).toBe(0);
      const name = `<img src=x onerror=alert(1)>${"x".repeat(300)}\u202e`;
      const [first = "", last = ""] = ["2026-11-22T10:00:00Z", "2026-11-22T10:01:00Z"];
      const odds = {
        first,
        last,
        statements: 3,
        denied: 1,
        principalKind: "ghost",
        model: name,
        agent: name,
      };
      const item = { ...odds, run: name, kind: "run", subject: name, databases: [name] };
      double.on("GET /api/audit/runs", () => ({ body: { items: [item], next: null } }));
      await page.goto(`${double.url}/runs`);
      await page.locator(".run-cell").first().waitFor();
      await check();
      await page.goto(`${double.url}/`);
      await page.locator(".top-bar").first().waitFor();
      await check();
      // A megabyte of SQL lies in a blob: shown whole, drawn in part, proven by the blob's hash.
      await page.goto(`${double.url}/trail/${long?.request}`);
      await page.locator(".sql.long").waitFor();
      expect(await page.locator(".sql-line").count()).toBeLessThan(400);
      expect(faults).toEqual([]);
    });

    it("axe finds nothing serious, light or dark", { timeout: 300_000 }, async () => {
      const { double, open } = bench();
      serveTrail(double, data);
      const { page, faults } = await open("/", { viewport, reducedMotion: "reduce" });
      const visit = async (path: string, ready: string) => {
        await walk(page, path);
        await page.locator(ready).first().waitFor();
        expect(await seriousFindings(page), path).toEqual([]);
      };
      await visit("/", ".plot-svg");
      await visit("/trail?verdict=deny&table=public.customers", ".hit");
      await visit(`/trail/${masked().request}`, '[data-proof="good"]');
      await page.getByRole("button", { name: "Show the steps" }).first().click();
      expect(await seriousFindings(page), "proof steps").toEqual([]);
      await visit("/runs/run-7f3a", ".step");
      await visit("/runs", ".run-cell");
      await visit("/policy", ".rule");
      await visit("/policy?tab=columns", ".protected-list");
      await visit("/policy?tab=source", ".policy-source");
      await visit("/policy?tab=replay", ".check-ok");
      await visit("/policy?tab=playground", ".editor:not(.plain)");
      await page.getByRole("button", { name: "Explain" }).click();
      await page.locator(".verdict").waitFor();
      expect(await seriousFindings(page), "explanation").toEqual([]);
      expect(faults).toEqual([]);
    });
  });
