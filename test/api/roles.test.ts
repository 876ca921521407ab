/** Every route × every caller: who is let in, and how the others are turned away. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { specs } from "../../src/api/schema/index.ts";
import { startTestIdp } from "../support/idp.ts";
import { roles, startTestApi, type TestApi, type TestRole } from "./support.ts";

let api: TestApi;
let foreign: string;
beforeAll(async () => {
  api = await startTestApi();
  const stranger = await startTestIdp();
  foreign = await stranger.mint({ sub: "admin", groups: ["people", "security"] });
  await stranger.close();
}, 120_000);
afterAll(() => api.stop());

/** What is asked of a route; ids are of things that are not there. */
const nobody = "01989898-0000-7000-8000-000000000000";
const bodies: Readonly<Record<string, unknown>> = {
  "POST /api/sessions/:id/renew": { token: "x" },
  "POST /api/revocations": { subject: "nobody-at-all", reason: "test" },
  "POST /api/approvals/:id/deny": { reason: "no" },
  "POST /api/approvals/:id/revoke": { reason: "no" },
  "POST /api/access": { database: "nowhere", group: "dba", seconds: 60, reason: "why" },
  "POST /api/policy/explain": { database: "nowhere", sql: "SELECT 1" },
  "POST /api/policy/replay": { files: [{ name: "p.yaml", text: "version: 2" }] },
  "POST /api/policy/check": { files: [{ name: "p.yaml", text: "version: 2" }] },
  "POST /api/connect/token": { database: "nowhere" },
};
const queries: Readonly<Record<string, string>> = { "GET /api/policy/columns": "?database=nowhere" };

/** Statuses of a caller who is let in. */
const inside: Readonly<Record<string, number>> = {
  "POST /api/logout": 400,
  "DELETE /api/sessions/:id": 404,
  "POST /api/sessions/:id/renew": 404,
  "DELETE /api/revocations/:id": 404,
  "GET /api/audit/:id/proof": 404,
  "GET /api/audit/runs/:run": 404,
  "GET /api/audit/:request": 404,
  "GET /api/approvals/:id": 404,
  "POST /api/approvals/:id/approve": 404,
  "POST /api/approvals/:id/deny": 404,
  "POST /api/approvals/:id/preview": 404,
  "POST /api/approvals/:id/revoke": 404,
  "POST /api/access": 404,
  "GET /api/policy/columns": 404,
  "POST /api/policy/explain": 404,
  "POST /api/connect/token": 404,
  "DELETE /api/tokens/:id": 404,
};

/** Who is let in: written down here once more, so that a change of a spec does not pass unseen. */
const everybody = ["agent", "user", "approver", "auditor", "admin"] as const;
const people = ["user", "approver", "auditor", "admin"] as const;
const auditors = ["auditor", "admin"] as const;
const readers = ["approver", "auditor", "admin"] as const;
const allowed: Readonly<Record<string, readonly TestRole[] | "anyone">> = {
  "GET /api/me": everybody,
  "GET /api/login": "anyone",
  "POST /api/logout": people,
  "GET /api/sessions": everybody,
  "DELETE /api/sessions/:id": people,
  "POST /api/sessions/:id/renew": everybody,
  "GET /api/revocations": auditors,
  "POST /api/revocations": ["admin"],
  "DELETE /api/revocations/:id": ["admin"],
  "GET /api/events": everybody,
  "GET /api/audit": everybody,
  "GET /api/audit/checkpoint": everybody,
  "GET /api/audit/stats": auditors,
  "GET /api/audit/runs": auditors,
  "GET /api/audit/runs/:run": auditors,
  "GET /api/audit/:id/proof": auditors,
  "GET /api/audit/:request": everybody,
  "GET /api/approvals": everybody,
  "GET /api/approvals/:id": everybody,
  "POST /api/approvals/:id/approve": people,
  "POST /api/approvals/:id/deny": people,
  "POST /api/approvals/:id/preview": people,
  "POST /api/approvals/:id/revoke": people,
  "POST /api/access": people,
  "GET /api/grants": people,
  "GET /api/policy": readers,
  "GET /api/policy/columns": readers,
  "POST /api/policy/explain": readers,
  "POST /api/policy/replay": readers,
  "POST /api/policy/check": readers,
  "GET /api/connect": people,
  "POST /api/connect/token": people,
  "GET /api/access": everybody,
  "GET /api/tokens": everybody,
  "DELETE /api/tokens/:id": everybody,
};

async function ask(as: TestRole | { token: string } | null, key: string) {
  const [method = "", path = ""] = key.split(" ");
  const url = path.replaceAll(":run", "no-such-run").replaceAll(/:\w+/g, nobody) + (queries[key] ?? "");
  if (key === "GET /api/events") {
    // It never ends by itself.
    const stop = new AbortController();
    const token = as === null ? null : typeof as === "string" ? await api.token(as) : as.token;
    const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
    const answer = await fetch(api.url + url, { headers, signal: stop.signal });
    const body = answer.status === 200 ? null : await answer.json();
    stop.abort();
    return { status: answer.status, headers: answer.headers, body };
  }
  return api.ask(as, url, { method, ...(method === "POST" ? { json: bodies[key] ?? {} } : {}) });
}

test("this list names every route", () => {
  expect(Object.keys(allowed).sort()).toEqual(specs.map(({ method, path }) => `${method} ${path}`).sort());
});

describe.each(specs.map(({ method, path }) => `${method} ${path}`))("%s", (key) => {
  const may = allowed[key] ?? [];
  const success = inside[key] ?? 200;

  test("without a token, with a foreign and with a broken one: 401 and one answer", async () => {
    for (const as of [null, { token: foreign }, { token: "a.b.c" }, { token: "pgt_nothing" }]) {
      const { status, headers, body } = await ask(as, key);
      if (may === "anyone") expect(status).toBe(200);
      else {
        expect([status, body.error.code]).toEqual([401, "UNAUTHENTICATED"]);
        expect(headers.get("www-authenticate")).toMatch(/^Bearer realm="postern"/);
        // Not why.
        if (as !== null) expect(body.error.message).toBe("the token is not accepted");
      }
    }
  });

  test.each(roles)("as %s", async (role) => {
    const { status, body } = await ask(role, key);
    const fits = may === "anyone" || may.includes(role);
    // A session that is not here may be on another node: all are told.
    const told = key === "DELETE /api/sessions/:id" && role === "admin";
    if (fits) expect(status).toBe(told ? 204 : success);
    else expect([status, body.error.code]).toEqual([403, "FORBIDDEN"]);
  });
});

test("an agent has no role, whatever its groups", async () => {
  const claims = { groups: ["testers", "security", "audit", "stewards"] };
  const token = { token: await api.token("agent", claims) };
  expect((await api.ask(token, "/api/me")).body).toMatchObject({ kind: "agent", roles: [] });
  for (const path of ["/api/audit/stats", "/api/policy", "/api/revocations", "/api/connect"])
    expect((await api.ask(token, path)).status).toBe(403);
});
