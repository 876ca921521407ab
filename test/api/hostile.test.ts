/** What nobody should send, and what pages of others try. */
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createConsoleSessions } from "../../src/api/index.ts";
import { isPrincipal } from "../../src/api/principal.ts";
import type { Principal } from "../../src/facts/principal.ts";
import { startTestApi, type TestApi } from "./support.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
}, 120_000);
afterAll(() => api.stop());

const person: Principal = {
  subject: "cookie",
  issuer: "https://idp.example",
  email: null,
  kind: "human",
  groups: ["people", "security"],
  actor: [],
  provider: "corp",
  claims: {},
  token: { jti: null, sha256: "0".repeat(64), issued: 0, expires: 4_000_000_000 },
};

describe("bodies", () => {
  test("of a megabyte are refused where less is enough, and read where SQL may be long", async () => {
    const big = "x".repeat(1024 * 1024 - 200);
    const deny = await api.ask("user", "/api/approvals/x/deny", { method: "POST", json: { reason: big } });
    expect([deny.status, deny.body.error.code]).toEqual([413, "TOO_LARGE"]);
    const sql = `SELECT '${"y".repeat(900_000)}'`;
    const as = { kind: "agent", groups: ["testers"] };
    const explain = await api.ask("auditor", "/api/policy/explain", {
      method: "POST",
      json: { as, database: "shop", sql },
    });
    expect([explain.status, explain.body.decision?.verdict]).toEqual([200, "allow"]);
    const more = await api.ask("auditor", "/api/policy/explain", {
      method: "POST",
      json: { database: "shop", sql: big + big },
    });
    expect(more.status).toBe(413);
  });

  test.each([
    ["not JSON", "{", "application/json", 400],
    ["not UTF-8", Buffer.from([0x22, 0xff, 0x22]), "application/json", 400],
    ["a form", "reason=x", "application/x-www-form-urlencoded", 415],
    ["text that is JSON", "{}", "text/plain", 415],
    ["a list", "[]", "application/json", 400],
    ["null", "null", "application/json", 400],
    ["a number", "7", "application/json", 400],
    ["deep", "[".repeat(20_000), "application/json", 400],
    ["another type", '{"subject":7,"reason":"x"}', "application/json", 400],
    ["a member too many", '{"subject":"a","reason":"x","admin":true}', "application/json", 400],
    ["__proto__", '{"__proto__":{"everything":true},"reason":"x"}', "application/json", 400],
  ])("%s", async (_what, body, type, status) => {
    const answer = await api.ask("admin", "/api/revocations", {
      method: "POST",
      body: body as never,
      headers: { "content-type": type },
    });
    expect([answer.status, typeof answer.body.error.message]).toEqual([status, "string"]);
  });

  test("a failed check names the field and does not repeat the value", async () => {
    const answer = await api.ask("admin", "/api/revocations", {
      method: "POST",
      json: { subject: { secret: "hunter2" }, reason: "x" },
    });
    expect(answer.body.error.issues[0].path).toBe("subject");
    expect(JSON.stringify(answer.body)).not.toContain("hunter2");
  });
});

describe("addresses", () => {
  test.each([
    "/api",
    "/api/",
    "/api/me/",
    "/api//me",
    "/api/ME",
    "/api/sessions/../me",
    "/api/audit/..%2f..%2fetc%2fpasswd",
    "/api/audit/%00",
    "/api/audit/x/proof",
    "/assets/../../package.json",
    "/..%2fpackage.json",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/.env",
    "/index.html%00.js",
    "//evil.example/",
    "/api/sessions/%F0%28%8C%28",
  ])("%s leads nowhere", async (path) => {
    // fetch would tidy the path up first.
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const { port, hostname } = new URL(api.url);
      const headers = { authorization: "", accept: "application/json" };
      void api.token("admin").then((token) => {
        headers.authorization = `Bearer ${token}`;
        const sent = request({ port, hostname, path, headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        sent.on("error", reject);
        sent.end();
      });
    });
    // /api/sessions/../me is taken for what it is by whoever tidies: never for a file.
    expect([200, 400, 401, 404, 405]).toContain(status);
    if (!path.includes("sessions/../me")) expect([400, 404, 405]).toContain(status);
  });

  test.each([
    "limit=0",
    "limit=501",
    "limit=1e3",
    "limit=x",
    "limit=10&limit=20",
    "after=!!!",
    "after=eyJ4IjotMX0",
    "after=bnVsbA",
    `after=${"A".repeat(5000)}`,
    "since=yesterday",
    "since=1",
    "since=99999999999d",
    "verdict=maybe",
    "status=OK",
    `subject=${"s".repeat(1025)}`,
    "subject=",
  ])("GET /api/audit?%s is a 400", async (query) => {
    const { status, body } = await api.ask("auditor", `/api/audit?${query}`);
    expect([status, body.error.code]).toEqual([400, "BAD_REQUEST"]);
  });

  test.each([
    "/api/sessions",
    "/api/revocations",
    "/api/audit/runs",
    "/api/approvals",
    "/api/approvals?state=decided",
    "/api/grants",
  ])("%s takes no cursor but its own", async (path) => {
    for (const after of ["x", "7", "eyJ4IjotMX0", Buffer.from("0 x' OR 1=1").toString("base64url"), "%00"])
      expect(
        (await api.ask("auditor", `${path}${path.includes("?") ? "&" : "?"}after=${after}`)).status,
      ).toBe(400);
  });

  test("searching for anything at all is answered, never an error of ours", async () => {
    for (const text of [
      "'",
      '"',
      "\\",
      "%",
      "*",
      "AND",
      "NEAR(",
      "\u0000x",
      "💥",
      "a:b",
      "-",
      "\u202e",
      "x".repeat(1000),
    ]) {
      const { status } = await api.ask("auditor", `/api/audit?text=${encodeURIComponent(text)}`);
      expect([200, 400]).toContain(status);
    }
  });

  test("other methods are a 405 that says which are taken", async () => {
    const answer = await api.ask("admin", "/api/me", { method: "PUT" });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    const sessions = await api.ask("admin", "/api/revocations", { method: "DELETE" });
    expect([sessions.status, sessions.headers.get("allow")]).toEqual([405, "GET, HEAD, POST"]);
  });
});

describe("authorization headers", () => {
  test.each([
    "Basic dXNlcjpwYXNz",
    "Bearer",
    "Bearer ",
    "Bearer a b",
    "bearer\u00a0x",
    `Bearer ${"x".repeat(15_000)}`,
    "Digest x",
  ])("%.40s is a 401 with a challenge", async (authorization) => {
    const answer = await api.ask(null, "/api/me", { headers: { authorization } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toContain("Bearer");
  });

  test("whoever fails too often waits; the cause is on the record, the token is not", async () => {
    const own = await startTestApi({ lockout: true });
    try {
      let last = 0;
      for (let i = 0; i < 200 && last !== 429; i++)
        last = (await own.ask({ token: `a.b.c${i}` }, "/api/me")).status;
      expect(last).toBe(429);
      const good = await own.ask("admin", "/api/me");
      expect([good.status, Number(good.headers.get("retry-after"))]).toEqual([429, expect.any(Number)]);
      expect((await own.ask(null, "/healthz")).status).toBe(200);
      const failed = (await own.records()).filter((one) => one.type === "auth.failed");
      expect(failed[0]).toMatchObject({
        code: expect.stringMatching(/^TOKEN_/),
        client: { via: "api", ip: "127.0.0.1" },
      });
      expect(JSON.stringify(failed)).not.toContain("a.b.c1");
    } finally {
      await own.stop();
    }
  });
});

describe("cookies", () => {
  async function session(authTime: number | null = Math.floor(Date.now() / 1000)): Promise<string> {
    const sessions = createConsoleSessions(api.gateway.store, { secure: () => false });
    const cookie = await sessions.open({
      principal: { ...person, issuer: api.idp.issuer },
      authTime,
      sid: null,
    });
    return cookie.split(";")[0] ?? "";
  }
  const ask = (cookie: string, path: string, init: RequestInit & { json?: unknown } = {}) =>
    api.ask(null, path, { ...init, headers: { cookie, ...(init.headers as Record<string, string>) } });

  test("let a person in; mutating needs the token of GET /api/me", async () => {
    const cookie = await session();
    const { body } = await ask(cookie, "/api/me");
    expect(body).toMatchObject({ subject: "cookie", roles: ["admin", "auditor", "user"] });
    const post = (headers: Record<string, string>) =>
      ask(cookie, "/api/revocations", { method: "POST", json: { subject: "nobody", reason: "x" }, headers });
    for (const headers of [
      {},
      { "x-postern-csrf": "" },
      { "x-postern-csrf": `${body.csrf}x` },
      { "x-csrf": body.csrf },
    ])
      expect((await post(headers)).body.error?.code).toBe("CSRF");
    const other = (await ask(await session(), "/api/me")).body.csrf;
    expect((await post({ "x-postern-csrf": other })).body.error?.code).toBe("CSRF");
    expect((await post({ "x-postern-csrf": body.csrf })).status).toBe(200);
  });

  test("are refused from pages of others, whatever they know", async () => {
    const cookie = await session();
    const { csrf } = (await ask(cookie, "/api/me")).body;
    const origin = { "x-postern-csrf": csrf };
    for (const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: `${api.url}.evil.example` },
    ]) {
      expect((await ask(cookie, "/api/me", { headers })).body.error?.code).toBe("CROSS_SITE");
      const post = await ask(cookie, "/api/revocations", {
        method: "POST",
        json: { subject: "nobody", reason: "x" },
        headers: { ...headers, ...origin },
      });
      expect(post.body.error?.code).toBe("CROSS_SITE");
    }
    const own = { headers: { origin: api.url, "sec-fetch-site": "same-origin" } };
    expect((await ask(cookie, "/api/me", own)).status).toBe(200);
  });

  test("that are guessed, changed, doubled or of agents let nobody in", async () => {
    const cookie = await session();
    const [name = "", value = ""] = cookie.split("=");
    const wrong = [
      `${name}=${"A".repeat(43)}`,
      `${name}=${value.slice(0, -1)}`,
      `${name}=`,
      `${name}=../../x`,
      `${name}=${value}; ${name}=${"A".repeat(43)}`,
      `${name.toUpperCase()}=${value}`,
      `x${name}=${value}`,
    ];
    for (const header of wrong) expect((await ask(header, "/api/me")).status).toBe(401);
    // The store holds no cookie: whoever reads it cannot be somebody.
    const { items } = await api.gateway.store.list("console-sessions", { limit: 1000 });
    expect(JSON.stringify(items)).not.toContain(value);
    const sessions = createConsoleSessions(api.gateway.store, { secure: () => false });
    const agent = await sessions.open({ principal: { ...person, kind: "agent" }, authTime: null, sid: null });
    expect(await sessions.find(agent.split(";")[0])).not.toBeNull();
    expect((await ask(agent.split(";")[0] ?? "", "/api/me")).status).toBe(401);
  });

  test("end by idleness, by age, and when the person is shut out", async () => {
    let now = Date.now();
    const sessions = createConsoleSessions(api.gateway.store, { secure: () => false, now: () => now });
    const open = async () =>
      (await sessions.open({ principal: person, authTime: null, sid: "s-1" })).split(";")[0];
    const used = await open();
    const idle = await open();
    for (let i = 0; i < 14; i++) {
      now += 50 * 60_000;
      const found = await sessions.find(used);
      // Nine times in use at most: then eight hours are over.
      if (i < 9) expect(found?.principal.subject).toBe("cookie");
      else expect(found).toBeNull();
      if (i === 1) expect(await sessions.find(idle)).toBeNull();
    }
    now = Date.now();
    const [a, b] = [await open(), await open()];
    expect(await sessions.endOf({ provider: "corp", subject: "cookie", sid: "s-1" })).toBeGreaterThanOrEqual(
      2,
    );
    expect([await sessions.find(a), await sessions.find(b)]).toEqual([null, null]);
    const live = await session();
    await api.ask("admin", "/api/revocations", {
      method: "POST",
      json: { subject: "cookie", reason: "out" },
    });
    expect((await ask(live, "/api/me")).status).toBe(401);
  });

  test("a session that somebody wrote into the store is read with care", () => {
    expect(isPrincipal(person)).toBe(true);
    for (const change of [
      { kind: "root" },
      { groups: "security" },
      { groups: [7] },
      { claims: null },
      { token: {} },
      { actor: [null] },
    ])
      expect(isPrincipal({ ...person, ...change })).toBe(false);
    for (const value of [null, 7, "x", [], {}]) expect(isPrincipal(value)).toBe(false);
  });
});

describe("live views", () => {
  test("of one person are bounded, and a reader who does not read is dropped with a word", async () => {
    const { createReader } = await import("../../src/api/live/reader.ts");
    let ended = 0;
    const reader = createReader(() => ended++);
    for (let i = 0; i < 3000; i++) reader.send("statement", JSON.stringify({ i, text: "x".repeat(1000) }), i);
    const text = await new Response(reader.stream).text();
    expect(text.length).toBeLessThan(3_000_000);
    expect(text.trimEnd().split("\n").slice(-2)).toEqual([
      "event: gap",
      expect.stringMatching(/"why":"slow"/),
    ]);
    expect(ended).toBe(1);
    reader.send("statement", "{}");
    const stop = new AbortController();
    const headers = { authorization: `Bearer ${await api.token("user", { sub: "greedy" })}` };
    const statuses: number[] = [];
    for (let i = 0; i < 11; i++)
      statuses.push((await fetch(`${api.url}/api/events`, { headers, signal: stop.signal })).status);
    expect(statuses).toEqual([...Array(10).fill(200), 429]);
    stop.abort();
    await expect
      .poll(
        async () =>
          (await fetch(`${api.url}/api/events`, { headers, signal: AbortSignal.timeout(300) })).status,
      )
      .toBe(200);
  });

  test("asked for by HEAD open nothing: there is no body that anybody would read", async () => {
    const headers = { authorization: `Bearer ${await api.token("user", { sub: "header" })}` };
    for (let i = 0; i < 12; i++) {
      const answer = await fetch(`${api.url}/api/events?recent=5`, { method: "HEAD", headers });
      expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
        200,
        "text/event-stream; charset=utf-8",
        "",
      ]);
    }
    const stop = new AbortController();
    expect((await fetch(`${api.url}/api/events`, { headers, signal: stop.signal })).status).toBe(200);
    stop.abort();
  });
});
