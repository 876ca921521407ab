/** Lists of approvals and grants, page by page. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestApi, type TestApi } from "./support.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi({
    extra: `approvals:
  access: [ { groups: [dba], databases: [shop], approvers: { groups: [stewards], count: 1, within: 8h }, max: 4h } ]`,
  });
}, 120_000);
afterAll(() => api.stop());

async function ask(reason: string): Promise<string> {
  const { status, body } = await api.ask("user", "/api/access", {
    method: "POST",
    json: { database: "shop", group: "dba", seconds: 3600, reason },
  });
  expect(status).toBe(200);
  return body.id;
}

async function decide(id: string, verdict: "approve" | "deny"): Promise<void> {
  const json = { reason: "seen" };
  expect(
    (await api.ask("approver", `/api/approvals/${id}/${verdict}`, { method: "POST", json })).status,
  ).toBe(200);
}

test("an open grant is told, however many requests were decided since; cursors are of their own list", async () => {
  const granted = await ask("the one that counts");
  await decide(granted, "approve");
  for (let i = 0; i < 5; i++) await decide(await ask(`no ${i}`), "deny");
  for (const role of ["user", "auditor"] as const) {
    const { body } = await api.ask(role, "/api/grants?limit=2");
    expect([body.items.map(({ id }: { id: string }) => id), body.next]).toEqual([[granted], null]);
  }

  // Page by page each is there once, the last page says that it is the last.
  const seen: string[] = [];
  const cursors: string[] = [];
  for (let next: string | null = ""; next !== null; ) {
    const { body } = await api.ask(
      "auditor",
      `/api/approvals?state=decided&limit=2&after=${next}`.replace(/&after=$/, ""),
    );
    seen.push(...body.items.map(({ id }: { id: string }) => id));
    next = body.next;
    if (next !== null) cursors.push(next);
  }
  expect([seen.length, new Set(seen).size, seen.at(-1)]).toEqual([6, 6, granted]);

  // Pending ones stand in another order: behind another list's place there would be anything.
  for (const path of ["approvals?state=pending", "approvals?state=decided&kind=access", "grants?limit=2"]) {
    const { status, body } = await api.ask("auditor", `/api/${path}&after=${cursors[0]}`);
    expect([status, body.error.code]).toEqual([400, "BAD_REQUEST"]);
  }
});
