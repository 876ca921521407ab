/** REST over a real gateway and a real PostgreSQL. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { segmentOf } from "../../console/src/lib/route.ts";
import { verifyProof } from "../../src/audit/verify/index.ts";
import { openStream, startTestApi, type TestApi } from "./support.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
}, 120_000);
afterAll(() => api.stop());

describe("sessions", () => {
  test("are listed with what they do, for who may see them, and can be ended", async () => {
    const client = await api.connect(
      "user",
      {},
      "-c postern.agent=codex -c postern.run=r-1 -c postern.intent=why",
    );
    client.on("error", () => {});
    const running = client
      .query("SELECT count(*), 'secret literal' FROM generate_series(1, 2000000000), people")
      .catch((error: Error) => error);
    let found: Record<string, unknown> | undefined;
    for (let tries = 0; tries < 100 && found?.statement == null; tries++) {
      const { body } = await api.ask("auditor", "/api/sessions");
      found = body.items.find(
        (one: Record<string, unknown>) => (one.principal as { subject: string }).subject === "user",
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(found).toMatchObject({
      node: "test",
      principal: { subject: "user", email: "user@example.com", kind: "human", provider: "corp", actor: [] },
      claimed: { agent: "codex", run: "r-1", intent: "why" },
      client: { ip: "127.0.0.1", user: "user", via: "wire", tls: null },
      database: "shop",
      login: "postgres",
      counters: { statements: 1 },
      approval: null,
    });
    expect(found?.state).toBe("active");
    expect(JSON.stringify(found)).not.toContain("secret literal");
    const own = await api.ask("user", "/api/sessions");
    expect(own.body.items.map((one: { id: string }) => one.id)).toEqual([found?.id]);
    expect((await api.ask("agent", "/api/sessions")).body.items).toEqual([]);
    // Nobody is told of sessions that are not theirs.
    const id = String(found?.id);
    expect((await api.ask("agent", `/api/sessions/${id}`, { method: "DELETE" })).status).toBe(403);
    expect((await api.ask("approver", `/api/sessions/${id}`, { method: "DELETE" })).status).toBe(404);
    expect((await api.ask("auditor", `/api/sessions/${id}`, { method: "DELETE" })).status).toBe(403);
    const ended = await api.ask("admin", `/api/sessions/${id}?reason=enough`, { method: "DELETE" });
    expect(ended.status).toBe(204);
    expect(await running).toBeInstanceOf(Error);
    await expect.poll(async () => (await api.ask("auditor", "/api/sessions")).body.items).toEqual([]);
    const records = await api.records();
    expect(records.find((one) => one.type === "admin.action" && one.action === "session.end")).toMatchObject({
      principal: { subject: "admin" },
      session: id,
      reason: "enough",
    });
  });

  test("go on with a fresh token of the same principal", async () => {
    const client = await api.connect("user", { sub: "renewer" });
    const { body } = await api.ask("auditor", "/api/sessions?subject=renewer");
    const { id } = body.items[0];
    const as = { token: await api.token("user", { sub: "renewer" }) };
    const fresh = await api.idp.mint(
      { sub: "renewer", groups: ["people", "testers"], email: "user@example.com" },
      { expiresIn: 3000 },
    );
    const renewed = await api.ask(as, `/api/sessions/${id}/renew`, {
      method: "POST",
      json: { token: fresh },
    });
    expect(renewed.status).toBe(200);
    expect(Date.parse(renewed.body.expires)).toBeGreaterThan(Date.parse(body.items[0].expires) + 60_000);
    const other = await api.token("user", { sub: "somebody" });
    const refused = await api.ask(as, `/api/sessions/${id}/renew`, {
      method: "POST",
      json: { token: other },
    });
    // Whoever cannot show a token of its principal is not told that the session is there.
    expect(refused.status).toBe(404);
    const bad = await api.ask(as, `/api/sessions/${id}/renew`, { method: "POST", json: { token: "x.y.z" } });
    expect(bad.status).toBe(400);
    await client.end();
  });
});

describe("live events", () => {
  test("auditors see every statement and its outcome once it is durable; others their own", async () => {
    const [all, mine, others] = await Promise.all([
      openStream(api, "auditor"),
      openStream(api, "user"),
      openStream(api, "approver"),
    ]);
    expect(all.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const client = await api.connect("user");
    await client.query("SELECT id, email FROM people WHERE id = 3");
    await expect(client.query("DROP TABLE people")).rejects.toThrow();
    const statement = await all.until(({ type, data }) => type === "statement" && data.kind === "select");
    expect(statement.data).toMatchObject({
      principal: { subject: "user", email: "user@example.com", kind: "human" },
      database: "shop",
      login: "postgres",
      command: "SELECT",
      verdict: "allow",
      rule: "read",
      reads: ["public.people"],
      masked: ["public.people.email"],
    });
    expect(statement.data.sql).not.toContain("3");
    const outcome = await all.until(
      ({ type, data }) => type === "outcome" && data.request === statement.data.request,
    );
    expect(outcome.data).toMatchObject({ status: "ok", rows: 1, index: 0, intent: Number(statement.id) });
    const denied = await mine.until(({ type, data }) => type === "statement" && data.verdict === "deny");
    expect(denied.data).toMatchObject({ rule: "no-drop", code: "POLICY_DENIED" });
    await mine.until(({ type, data }) => type === "session" && data.type === "start");
    await all.until(({ type }) => type === "log");
    await client.end();
    const end = await all.until(({ type, data }) => type === "session" && data.type === "end");
    expect(end.data.session.counters.statements).toBe(1);
    // Ids are log indexes, in order.
    const ids = all.events.flatMap(({ id }) => (id === null ? [] : [Number(id)]));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(mine.events.every(({ type }) => type !== "log")).toBe(true);
    expect(others.events).toEqual([]);
    await Promise.all([all.close(), mine.close(), others.close()]);
  });

  test("go on where they stopped, by Last-Event-ID", async () => {
    const first = await openStream(api, "auditor");
    const client = await api.connect("user");
    await client.query("SELECT 1 AS before");
    const seen = await first.until(({ type, data }) => type === "statement" && data.sql?.includes("before"));
    await first.close();
    await client.query("SELECT 2 AS meanwhile");
    await api.gateway.audit.settle();
    const second = await openStream(api, "auditor", "", { "last-event-id": String(seen.id) });
    await second.until(({ type, data }) => type === "statement" && data.sql?.includes("meanwhile"));
    await client.query("SELECT 3 AS after");
    await second.until(({ type, data }) => type === "statement" && data.sql?.includes("after"));
    const texts = second.events.filter(({ type }) => type === "statement").map(({ data }) => data.sql);
    expect(texts.filter((sql) => sql.includes("meanwhile"))).toHaveLength(1);
    expect(texts.some((sql) => sql.includes("before"))).toBe(false);
    await second.close();
    const recent = await openStream(api, "user", "?recent=2");
    await recent.until(({ type, data }) => type === "statement" && data.sql?.includes("after"));
    await recent.close();
    await client.end();
  });

  test("end with the gateway's http listener, not after it", async () => {
    const own = await startTestApi();
    const stream = await openStream(own, "auditor");
    const began = performance.now();
    await own.stop();
    await stream.reading;
    expect(stream.ended).toBe(true);
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});

describe("the trail", () => {
  test("is searched page by page, newest first; others see their own only", async () => {
    const client = await api.connect("user", { sub: "searcher" });
    for (let i = 0; i < 7; i++) await client.query(`SELECT ${i} AS trail_${i}`);
    await client.end();
    await api.gateway.audit.settle();
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const query = `subject=searcher&type=statement.intent&limit=3${after === null ? "" : `&after=${after}`}`;
      const { status, body } = await api.ask("auditor", `/api/audit?${query}`);
      expect(status).toBe(200);
      seen.push(...body.items.map((one: { sql: string }) => one.sql));
      after = body.next;
    } while (after !== null);
    expect(seen.map((sql) => /trail_(\d)/.exec(sql)?.[1])).toEqual(["6", "5", "4", "3", "2", "1", "0"]);
    const own = await api.ask(
      { token: await api.token("user", { sub: "searcher" }) },
      "/api/audit?type=statement.intent",
    );
    expect(own.body.items).toHaveLength(7);
    expect(own.body.items[0]).toMatchObject({
      principal: { subject: "searcher", kind: "human" },
      verdict: "allow",
      rule: "read",
      status: "ok",
      tag: "SELECT 1",
      rows: 1,
    });
    expect(own.body.items[0].sentence).toMatch(/^searcher \(human\) asked shop: /);
    // Not by asking for somebody else either, nor under another issuer.
    expect((await api.ask("user", "/api/audit?subject=searcher")).status).toBe(403);
    expect((await api.ask("user", "/api/audit?value=x")).status).toBe(403);
    const agent = await api.ask("agent", "/api/audit");
    expect(
      agent.body.items.every((one: { principal: { subject: string } }) => one.principal.subject === "agent"),
    ).toBe(true);
  });

  test("tells one request, exact texts to auditors alone, and that they were read", async () => {
    const client = await api.connect("user", { sub: "exact" });
    await client.query("SELECT name FROM people WHERE name = $1 AND id <> 4711", ["n5"]);
    await client.end();
    await api.gateway.audit.settle();
    const { body: found } = await api.ask("auditor", "/api/audit?subject=exact&type=statement.intent");
    const { request } = found.items[0];
    const { status, body } = await api.ask("auditor", `/api/audit/${request}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      request,
      parts: [
        {
          sql: "SELECT name FROM people WHERE name = $1 AND id <> 4711",
          parameters: ["n5"],
          sealed: null,
          outcome: { record: { status: "ok" } },
        },
      ],
      session: { principal: { subject: "exact" } },
    });
    const owner = { token: await api.token("user", { sub: "exact" }) };
    const own = await api.ask(owner, `/api/audit/${request}`);
    expect(own.body.parts[0]).toMatchObject({ sql: null, parameters: null });
    expect(own.body.parts[0].sealed).not.toBeNull();
    expect((await api.ask("user", `/api/audit/${request}`)).status).toBe(404);
    expect((await api.ask("agent", `/api/audit/${request}`)).status).toBe(404);
    const read = (await api.records()).filter(
      (one) =>
        one.type === "admin.action" &&
        one.action === "audit.show" &&
        (one.question as { open: boolean }).open,
    );
    expect(read.at(-1)).toMatchObject({ principal: { subject: "auditor" }, question: { request } });
  });

  test("proves a record with the file that `postern audit verify-proof` takes", async () => {
    const client = await api.connect("user", { sub: "prover" });
    await client.query("SELECT 42");
    await client.end();
    const { body: found } = await api.ask("auditor", "/api/audit?subject=prover&type=statement.intent");
    const { body, status } = await api.ask("auditor", `/api/audit/${found.items[0].id}/proof`);
    expect(status).toBe(200);
    const { body: checkpoint } = await api.ask("user", "/api/audit/checkpoint");
    expect(verifyProof(body.proof, checkpoint.key)).toMatchObject({ ok: true });
    expect(verifyProof(body.proof.replace("prover", "praver"), checkpoint.key)).toMatchObject({ ok: false });
    expect(body.path.every((hash: string) => /^[0-9a-f]{64}$/.test(hash))).toBe(true);
    expect(checkpoint.note).toContain(checkpoint.log);
    const folder = mkdtempSync(join(tmpdir(), "postern-proof-"));
    try {
      const file = join(folder, "proof.json");
      writeFileSync(file, body.proof);
      const { verifyProofFile } = await import("../../src/cli/audit/prove.ts");
      const { stdout } = process;
      const write = stdout.write;
      let said = "";
      stdout.write = ((text: string) => {
        said += text;
        return true;
      }) as typeof stdout.write;
      try {
        expect(await verifyProofFile([file, "--key", checkpoint.key])).toBe(0);
      } finally {
        stdout.write = write;
      }
      expect(said).toMatch(/^OK /);
    } finally {
      rmSync(folder, { recursive: true });
    }
    const missing = await api.ask("auditor", "/api/audit/01989898-0000-7000-8000-000000000000/proof");
    expect(missing.status).toBe(404);
  });

  test("tells runs of agents, and what there is most of", async () => {
    const agent = await api.connect(
      "agent",
      { sub: "runner" },
      "-c postern.agent=claude -c postern.run=nightly",
    );
    await agent.query("SELECT name, email FROM people LIMIT 2");
    await expect(agent.query("DROP TABLE people")).rejects.toThrow();
    await agent.end();
    await api.gateway.audit.settle();
    const { body: runs } = await api.ask("auditor", "/api/audit/runs?since=1h");
    expect(runs.items.find((one: { run: string }) => one.run === "nightly")).toMatchObject({
      kind: "run",
      statements: 2,
      denied: 1,
      subject: "runner",
      others: 0,
      principalKind: "agent",
      agent: "claude",
      databases: ["shop"],
    });
    // Anybody can claim the name of another's run: the list says that it is not one caller's.
    const other = await api.connect("agent", { sub: "stranger" }, "-c postern.run=nightly-2");
    await other.query("SELECT 1");
    await other.end();
    const second = await api.connect("agent", { sub: "another" }, "-c postern.run=nightly-2");
    await second.query("SELECT 2");
    await second.end();
    await api.gateway.audit.settle();
    const { body: again } = await api.ask("auditor", "/api/audit/runs?since=1h");
    expect(again.items.find((one: { run: string }) => one.run === "nightly-2")).toMatchObject({
      statements: 2,
      subject: "stranger",
      others: 1,
    });
    const { body: story } = await api.ask("auditor", "/api/audit/runs/nightly");
    expect(story.statements.map((one: { verdict: string }) => one.verdict)).toEqual(["allow", "deny"]);
    expect(story.statements[0].exact).toBe("SELECT name, email FROM people LIMIT 2");
    expect((await api.ask("auditor", "/api/audit/runs/no-such-run")).status).toBe(404);
    // Names that a path cannot hold: agents claim what they like, and must not have a story that nobody can ask for.
    for (const run of [".", "..", "~.", "a/..", "..%2f"]) {
      const odd = await api.connect("agent", { sub: "odd" }, `-c postern.run=${run}`);
      await odd.query("SELECT 1");
      await odd.end();
      await api.gateway.audit.settle();
      const told = await api.ask("auditor", `/api/audit/runs/${segmentOf(run)}`);
      expect([told.status, told.body.run, told.body.statements?.length]).toEqual([200, run, 1]);
    }
    for (const bucket of ["minute", "hour"]) {
      const { body: stats } = await api.ask("auditor", `/api/audit/stats?since=2h&bucket=${bucket}`);
      const total = (name: string) =>
        stats.buckets.reduce((sum: number, one: Record<string, number>) => sum + (one[name] ?? 0), 0);
      expect(total("allow") + total("deny") + total("approve")).toBe(stats.statements);
      expect(total("deny")).toBeGreaterThanOrEqual(1);
      expect(total("masked")).toBeGreaterThanOrEqual(1);
      expect(stats.agents).toContainEqual({ name: "runner", count: 2, denied: 1 });
      expect(stats.people.some((one: { name: string }) => one.name === "runner")).toBe(false);
      expect(
        stats.tables.find((one: { name: string }) => one.name === "public.people").count,
      ).toBeGreaterThan(1);
      expect(
        stats.rules.find((one: { name: string }) => one.name === "no-drop").denied,
      ).toBeGreaterThanOrEqual(1);
      expect(stats.log).toMatchObject({ failure: null });
    }
    // Both ways of counting give the same.
    const [fine, coarse] = await Promise.all(
      ["minute", "hour"].map((bucket) => api.ask("auditor", `/api/audit/stats?since=2h&bucket=${bucket}`)),
    );
    expect(fine?.body.agents).toEqual(coarse?.body.agents);
    expect(fine?.body.tables).toEqual(coarse?.body.tables);
    expect(fine?.body.statements).toBe(coarse?.body.statements);
  });
});

describe("policy", () => {
  test("is told with its digest and texts", async () => {
    const { body } = await api.ask("approver", "/api/policy");
    expect(body.digest).toMatch(/^sha256:/);
    expect(body.files).toEqual([{ name: "policy.yaml", text: expect.stringContaining("agents-write") }]);
    expect(body.rules.map((rule: { name: string }) => rule.name).sort()).toEqual([
      "agents-write",
      "no-drop",
      "people-write",
      "read",
    ]);
    expect(body.rules[0].file).toBe("policy.yaml");
    expect(JSON.stringify(body)).not.toContain(api.dir);
    const { body: columns } = await api.ask("approver", "/api/policy/columns?database=shop");
    expect(columns.items).toMatchObject([
      { column: "public.people.email", labels: [{ label: "pii.email" }] },
    ]);
  });

  test("explains as anyone what would be decided, masked and touched", async () => {
    const as = { kind: "agent", groups: ["testers"], subject: "agent-1" };
    const explain = (sql: string, who: unknown = as) =>
      api.ask("auditor", "/api/policy/explain", { method: "POST", json: { as: who, database: "shop", sql } });
    const { body: read } = await explain("SELECT id, upper(name) AS loud, email FROM people");
    expect(read).toMatchObject({
      decision: { verdict: "allow", rule: "read", limits: { rows: 1000 } },
      touches: { effects: ["read"], reads: ["public.people"], labels: ["pii.email"] },
      masked: ["public.people.email"],
    });
    expect(read.outputs).toMatchObject([
      { name: "id", mask: null },
      { name: "loud", sources: ["public.people.name"], plain: false, mask: null },
      { name: "email", plain: true, mask: "partial", label: "pii.email" },
    ]);
    expect(read.rules.find((rule: { rule: string }) => rule.rule === "read").outcome).toBe("matched");
    const { body: write } = await explain("DELETE FROM people WHERE id = 1");
    expect(write.decision).toMatchObject({
      verdict: "approve",
      approvers: [{ groups: ["stewards"], count: 1 }],
    });
    const { body: closed } = await explain("SELECT count(*) FROM people WHERE email = 'x'");
    expect(closed.decision.verdict).toBe("deny");
    const { body: broken } = await explain("SELEC 1");
    expect(broken).toMatchObject({ decision: { verdict: "deny" }, touches: null });
    const { body: two } = await explain("SELECT 1; DROP TABLE people");
    expect([two.decision.verdict, two.statements.length]).toEqual(["deny", 2]);
    const none = await explain("SELECT 1", { kind: "human", groups: ["nobody"] });
    expect([none.status, none.body.error.reason]).toEqual([400, "NO_LOGIN"]);
    // Nothing was run.
    const own = await api.ask("auditor", "/api/policy/explain", {
      method: "POST",
      json: { database: "nope", sql: "" },
    });
    expect(own.status).toBe(404);
  });

  test("another one is tried on what was recorded", async () => {
    const client = await api.connect("user", { sub: "replayed" });
    for (let i = 0; i < 3; i++) await client.query(`SELECT name FROM people WHERE id = ${i}`);
    await client.end();
    await api.gateway.audit.settle();
    const text = `version: 1\nrules:\n  - name: nothing\n    when: 'session.database == "elsewhere"'\n    then: allow\n`;
    const replay = (body: unknown) =>
      api.ask("auditor", "/api/policy/replay", { method: "POST", json: body });
    const { body } = await replay({ files: [{ name: "p.yaml", text }], since: "1h" });
    expect(body.problems).toEqual([]);
    expect(body.compared).toBeGreaterThanOrEqual(3);
    const denied = body.changes.find((one: { kind: string }) => one.kind === "newly denied");
    expect(denied.count).toBeGreaterThanOrEqual(3);
    expect(denied.examples.find((one: { subject: string }) => one.subject === "replayed")).toMatchObject({
      count: 3,
      was: { verdict: "allow", rule: "read" },
      now: { verdict: "deny" },
    });
    const bad = await replay({ files: [{ name: "p.yaml", text: "version: 1\nrules: 7\n" }] });
    expect(bad.body).toMatchObject({ policy: null, problems: [{ file: "p.yaml", line: 2 }] });
    const check = (files: unknown) =>
      api.ask("approver", "/api/policy/check", { method: "POST", json: { files } });
    expect((await check([{ name: "p.yaml", text }])).body).toMatchObject({ ok: true, problems: [] });
    expect((await check([{ name: "p.yaml", text: "version: 2" }])).body.ok).toBe(false);
  });
});

describe("approvals", () => {
  test("an agent's write waits, is seen and decided by a steward, and runs", async () => {
    const stream = await openStream(api, "approver");
    const agent = await api.connect("agent", { sub: "writer" });
    const waiting = agent.query("UPDATE people SET name = 'held' WHERE id = 1");
    const event = await stream.until(({ type, data }) => type === "approval" && data.state === "pending");
    expect(event.data).toMatchObject({
      requester: { subject: "writer", kind: "agent" },
      database: "shop",
      can: { approve: true, why: null },
    });
    const { id } = event.data;
    const { body: list } = await api.ask("approver", "/api/approvals?state=pending");
    expect(list.items).toMatchObject([
      {
        id,
        statements: [{ sql: "UPDATE people SET name = 'held' WHERE id = 1" }],
        can: { approve: true, deny: true },
      },
    ]);
    // The session says what it waits for.
    const { body: sessions } = await api.ask("auditor", "/api/sessions?subject=writer");
    expect(sessions.items).toMatchObject([
      { state: "waiting for approval", approval: id, statement: { verdict: "approve" } },
    ]);
    const shown = await api.ask("approver", `/api/approvals/${id}/preview`, { method: "POST", json: {} });
    expect([shown.status, shown.body.rowsAffected, shown.body.refused]).toEqual([200, 1, null]);
    expect(JSON.stringify(shown.body.sample.after)).toContain("held");
    expect(
      (await api.ask("auditor", `/api/approvals/${id}/preview`, { method: "POST", json: {} })).status,
    ).toBe(403);
    // Who may not decide is told nothing, or why not.
    expect((await api.ask("user", `/api/approvals/${id}`)).status).toBe(404);
    const auditor = await api.ask("auditor", `/api/approvals/${id}`);
    expect(auditor.body.can).toMatchObject({ approve: false, code: "NOT_APPROVER" });
    expect(
      (await api.ask("auditor", `/api/approvals/${id}/approve`, { method: "POST", json: {} })).status,
    ).toBe(403);
    const self = { token: await api.token("agent", { sub: "writer" }) };
    expect((await api.ask(self, `/api/approvals/${id}`)).body.id).toBe(id);
    expect((await api.ask(self, `/api/approvals/${id}/approve`, { method: "POST", json: {} })).status).toBe(
      403,
    );
    // A stale login is sent to log in again.
    const stale = { token: await api.token("approver", { auth_time: Math.floor(Date.now() / 1000) - 3600 }) };
    const again = await api.ask(stale, `/api/approvals/${id}/approve`, { method: "POST", json: {} });
    expect([again.status, again.body.error.code, again.body.error.login]).toEqual([
      403,
      "STEP_UP_REQUIRED",
      `/login?step_up=1&return=${encodeURIComponent(`/approvals/${id}`)}`,
    ]);
    const unsaid = { token: await api.token("approver", { auth_time: undefined }) };
    expect((await api.ask(unsaid, `/api/approvals/${id}/approve`, { method: "POST", json: {} })).status).toBe(
      403,
    );
    const approved = await api.ask("approver", `/api/approvals/${id}/approve`, {
      method: "POST",
      json: { reason: "fine" },
    });
    expect([approved.status, approved.body.votes[0].reason]).toEqual([200, "fine"]);
    expect((await waiting).rowCount).toBe(1);
    const twice = await api.ask("approver", `/api/approvals/${id}/approve`, { method: "POST", json: {} });
    expect(twice.status).toBe(409);
    await stream.until(({ type, data }) => type === "approval" && data.state === "used");
    const { body: decided } = await api.ask("approver", "/api/approvals?state=decided");
    expect(decided.items.map((one: { id: string }) => one.id)).toContain(id);
    await agent.end();
    await stream.close();
  });

  test("a denial needs a reason, and ends the wait", async () => {
    const agent = await api.connect("agent", { sub: "denied" });
    const waiting = agent.query("DELETE FROM people WHERE id = 2").catch((error: { code?: string }) => error);
    let id = "";
    while (id === "") {
      const { body } = await api.ask("approver", "/api/approvals");
      id =
        body.items.find((one: { requester: { subject: string } }) => one.requester.subject === "denied")
          ?.id ?? "";
    }
    const without = await api.ask("approver", `/api/approvals/${id}/deny`, { method: "POST", json: {} });
    expect([without.status, without.body.error.reason]).toEqual([400, "REASON_REQUIRED"]);
    const denied = await api.ask("approver", `/api/approvals/${id}/deny`, {
      method: "POST",
      json: { reason: "no" },
    });
    expect([denied.status, denied.body.state]).toEqual([200, "denied"]);
    expect(await waiting).toMatchObject({ code: "42501" });
    await agent.end();
  });
});

describe("the kill switch", () => {
  test("shuts a principal out at once, and lets it in again", async () => {
    const client = await api.connect("user", { sub: "rogue" });
    const gone = new Promise((resolve) => client.on("error", resolve));
    const post = (json: unknown) => api.ask("admin", "/api/revocations", { method: "POST", json });
    const added = await post({ subject: "rogue", reason: "stop" });
    expect(added.body).toMatchObject({ subject: "rogue", reason: "stop", by: "admin", everything: false });
    await gone;
    const rogue = { token: await api.token("user", { sub: "rogue" }) };
    expect((await api.ask(rogue, "/api/me")).status).toBe(401);
    const { body } = await api.ask("auditor", "/api/revocations");
    expect(body.items).toMatchObject([{ id: added.body.id, subject: "rogue" }]);
    expect((await post({ reason: "nobody named" })).status).toBe(400);
    expect((await post({ subject: "a", agent: "b", reason: "two" })).status).toBe(400);
    expect((await api.ask("admin", `/api/revocations/${added.body.id}`, { method: "DELETE" })).status).toBe(
      204,
    );
    expect((await api.ask(rogue, "/api/me")).status).toBe(200);
    expect((await api.ask("admin", `/api/revocations/${added.body.id}`, { method: "DELETE" })).status).toBe(
      404,
    );
  });
});

describe("connecting", () => {
  test("lines for the databases that one has a login for, and a token that works in them", async () => {
    const { body } = await api.ask("user", "/api/connect");
    expect(body.items).toHaveLength(1);
    expect(body.items[0].psql).toContain("{token}");
    expect(body.items[0].urls.node).toMatch(/^postgresql:\/\/user:\{token\}@127\.0\.0\.1:\d+\/shop/);
    expect((await api.ask("auditor", "/api/connect")).body.items).toEqual([]);
    const { body: made, status } = await api.ask("user", "/api/connect/token", {
      method: "POST",
      json: { database: "shop", seconds: 300 },
    });
    expect([status, made.token]).toEqual([200, expect.stringMatching(/^pgt_/)]);
    const { default: pg } = await import("pg");
    const client = new pg.Client({
      connectionString: body.items[0].urls.node.replace("{token}", made.token),
    });
    await client.connect();
    expect((await client.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    await client.end();
    // It is for the wire, not for the API; and it makes no further ones.
    expect((await api.ask({ token: made.token }, "/api/me")).status).toBe(401);
    const foreign = await api.ask("auditor", "/api/connect/token", {
      method: "POST",
      json: { database: "shop" },
    });
    expect(foreign.status).toBe(404);
  });
});
