/** What a room does by itself: time, quotas, scopes, break-glass, the audit log first. */
import { afterEach, describe, expect, test } from "vitest";
import {
  ApprovalRefused,
  type ApprovalSettings,
  type ApprovalsDeps,
  defaultApprovalSettings,
  requesterOf,
} from "../../src/approvals/index.ts";
import { agent, ask, demand, principal, type Room, room, steward } from "./support.ts";

let r: Room;
afterEach(() => r.close());
const open = async (settings: Partial<ApprovalSettings> = {}, more: Partial<ApprovalsDeps> = {}) => {
  r = await room({ settings: { ...defaultApprovalSettings, ...settings }, ...more });
  return r.approvals;
};
const requester = requesterOf(agent);
const { binding, shape } = ask();
const never = new AbortController().signal;
const code = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: { code?: string }) => error.code,
  );

describe("time", () => {
  test("the shortest of hold and within ends a wait; nobody has to ask", async () => {
    const approvals = await open();
    const { id, created, expires } = await approvals.request(
      ask({ holdMs: 200, demands: [demand(), demand({ rule: "b", withinMs: 50 })] }),
    );
    expect(Date.parse(expires) - Date.parse(created)).toBe(50);
    expect(await approvals.settled(id, never)).toMatchObject({ state: "expired", why: "time" });
    expect(await code(approvals.decide(id, steward(), "approve"))).toBe("NOT_PENDING");
    expect(r.said()).toEqual(["approval.requested", "approval.expired time"]);
  });

  test("a ticket is open as long as its rules say, and may be used as long again", async () => {
    let now = Date.now();
    const approvals = await open({}, { now: () => now });
    const asked = ask({ mode: "ticket", holdMs: 1, demands: [demand({ withinMs: 60_000 })] });
    const { id } = await approvals.request(asked);
    now += 59_000;
    await approvals.decide(id, { ...steward(), authTime: now / 1000 }, "approve");
    now += 59_000;
    expect((await approvals.findApproved(binding, null, requester))?.id).toBe(id);
    now += 2_000;
    expect(await approvals.findApproved(binding, null, requester)).toBeNull();
    expect(await approvals.claim(id, binding, requester)).toBeNull();
    expect(await approvals.get(id)).toMatchObject({ state: "expired", why: "unused" });
  });

  test("what nobody looks at ends by itself", async () => {
    const approvals = await open();
    const changes: string[] = [];
    approvals.changed(({ state }) => changes.push(state));
    await approvals.request(ask({ holdMs: 20 }));
    const end = Date.now() + 5000;
    while (!changes.includes("expired") && Date.now() < end)
      await new Promise((done) => setTimeout(done, 20));
    expect(changes).toEqual(["pending", "expired"]);
    expect(approvals.stats).toMatchObject({ pending: 0, expired: 1 });
  });

  test("who stops waiting says so", async () => {
    const approvals = await open();
    const { id } = await approvals.request(ask());
    const abort = new AbortController();
    const waiting = approvals.settled(id, abort.signal);
    abort.abort(new Error("client gone"));
    await expect(waiting).rejects.toThrow("client gone");
    await expect(approvals.settled(id, abort.signal)).rejects.toThrow("client gone");
    await approvals.leave(id, "disconnect");
    await approvals.leave(id, "disconnect");
    expect(await approvals.get(id)).toMatchObject({ state: "gone", why: "disconnect" });
    expect(r.said()).toEqual(["approval.requested", "approval.expired disconnect"]);
    await approvals.leave(crypto.randomUUID(), "cancel");
    expect(await code(approvals.settled(crypto.randomUUID(), never))).toBe("NOT_FOUND");
  });

  test("a client that leaves between approval and use has left; a ticket and a shape stay", async () => {
    const approvals = await open();
    const held = await approvals.request(ask());
    const ticket = await approvals.request(ask({ mode: "ticket" }));
    const forShape = await approvals.request(ask({ binding: "5".repeat(64) }));
    await approvals.decide(held.id, steward(), "approve");
    await approvals.decide(ticket.id, steward(), "approve");
    await approvals.decide(forShape.id, steward(), "approve", {
      scope: { kind: "shape", uses: 2, seconds: 60 },
    });
    for (const { id } of [held, ticket, forShape]) await approvals.leave(id, "disconnect");
    expect(await approvals.get(held.id)).toMatchObject({ state: "gone" });
    expect(await approvals.get(ticket.id)).toMatchObject({ state: "approved" });
    expect(await approvals.get(forShape.id)).toMatchObject({ state: "approved", usesLeft: 2 });
  });

  test("one that waited in a session is not for another session", async () => {
    const approvals = await open();
    const { id } = await approvals.request(ask());
    await approvals.decide(id, steward(), "approve");
    expect(await approvals.findApproved(binding, shape, requester)).toBeNull();
  });
});

describe("quorum", () => {
  test("every demand of every rule, each with its own people", async () => {
    const approvals = await open();
    const demands = [
      demand({ rule: "a", groups: ["stewards"], count: 2 }),
      demand({ rule: "b", groups: ["dba", "corp:security"] }),
    ];
    const { id, missing } = await approvals.request(ask({ demands }));
    expect(missing).toEqual([
      { rule: "a", groups: ["stewards"], count: 2 },
      { rule: "b", groups: ["dba", "corp:security"], count: 1 },
    ]);
    const vote = (name: string, groups: string[]) =>
      approvals.decide(id, steward(name, { groups }), "approve");
    expect((await vote("ann", ["stewards"])).missing.map(({ count }) => count)).toEqual([1, 1]);
    expect((await vote("sec", ["security"])).missing).toEqual([
      { rule: "a", groups: ["stewards"], count: 1 },
    ]);
    expect(await code(vote("ann", ["stewards", "dba"]))).toBe("ALREADY_VOTED");
    expect(await approvals.claim(id, binding, requester)).toBeNull();
    expect(await vote("bob", ["stewards"])).toMatchObject({ state: "approved", missing: [] });
    expect(
      r.events.filter(({ type }) => type === "approval.decided").map(({ fields }) => fields.state),
    ).toEqual(["pending", "pending", "approved"]);
  });

  test("one person in all groups fills one place of each", async () => {
    const approvals = await open();
    const demands = [demand({ rule: "a", groups: ["x"] }), demand({ rule: "b", groups: ["y"] })];
    const { id } = await approvals.request(ask({ demands }));
    expect(await approvals.decide(id, steward("ann", { groups: ["x", "y"] }), "approve")).toMatchObject({
      state: "approved",
    });
  });

  test("who agreed may still deny", async () => {
    const approvals = await open();
    const { id } = await approvals.request(ask({ demands: [demand({ count: 2 })] }));
    await approvals.decide(id, steward(), "approve");
    expect(await approvals.decide(id, steward(), "deny", { reason: "I misread" })).toMatchObject({
      state: "denied",
    });
  });

  test("the delegator's word counts only where a rule lets it", async () => {
    const approvals = await open();
    const alice = principal("alice", { groups: ["x", "y"] });
    const demands = [
      demand({ rule: "a", groups: ["x"], allowDelegator: true }),
      demand({ rule: "b", groups: ["y"] }),
    ];
    const through = requesterOf({ ...alice, kind: "agent", actor: [{ subject: "bot", issuer: null }] });
    const { id } = await approvals.request(ask({ requester: through, demands }));
    expect((await approvals.decide(id, steward("alice", { groups: ["x", "y"] }), "approve")).missing).toEqual(
      [{ rule: "b", groups: ["y"], count: 1 }],
    );
  });
});

describe("for this shape", () => {
  test("the narrowest of what the approvers say", async () => {
    const approvals = await open();
    const asked = ask({ demands: [demand({ count: 2 })] });
    const { id } = await approvals.request(asked);
    await approvals.decide(id, steward("ann"), "approve", {
      scope: { kind: "shape", uses: 50, seconds: 60 },
    });
    expect(
      await approvals.decide(id, steward("bob"), "approve", {
        scope: { kind: "shape", uses: 2, seconds: 600 },
      }),
    ).toMatchObject({ scope: { kind: "shape", uses: 2, seconds: 60 }, usesLeft: 2 });
    const second = await approvals.request(asked);
    await approvals.decide(second.id, steward("ann"), "approve", {
      scope: { kind: "shape", uses: 5, seconds: 60 },
    });
    expect(await approvals.decide(second.id, steward("bob"), "approve")).toMatchObject({
      scope: { kind: "once" },
      usesLeft: 1,
    });
  });

  test("within bounds, and only where there is a shape", async () => {
    const approvals = await open({ shape: { maxUses: 3, maxSeconds: 100 } });
    const { id } = await approvals.request(ask());
    for (const scope of [
      { uses: 4, seconds: 10 },
      { uses: 1, seconds: 101 },
      { uses: 0, seconds: 10 },
      { uses: 1.5, seconds: 10 },
      { uses: Number.NaN, seconds: 10 },
      { uses: -1, seconds: -1 },
    ])
      expect(
        await code(approvals.decide(id, steward(), "approve", { scope: { kind: "shape", ...scope } })),
      ).toBe("BAD_SCOPE");
    const bare = await approvals.request(ask({ shape: null }));
    expect(
      await code(
        approvals.decide(bare.id, steward(), "approve", { scope: { kind: "shape", uses: 1, seconds: 10 } }),
      ),
    ).toBe("BAD_SCOPE");
  });

  test("who approves a shape sees which values were asked for before", async () => {
    const approvals = await open();
    const [statement] = ask().statements;
    if (statement === undefined) throw new Error("no statement");
    const withValues = (id: string | null, note: string) =>
      ask({
        statements: [
          {
            ...statement,
            parameters: [
              { type: "int4", text: id },
              { type: "text", text: note },
              { type: "bytea", text: undefined, bytes: "AA==" },
            ],
          },
        ],
      });
    for (const value of ["9", "10", null, "9"]) {
      const { id } = await approvals.request(withValues(value, `n${value}`));
      await approvals.decide(id, steward(), value === null ? "deny" : "approve", { reason: "x" });
    }
    await approvals.request({ ...withValues("1", "other"), requester: requesterOf(principal("else")) });
    expect((await approvals.request(withValues("7", "a"))).seen).toEqual({
      requests: 5,
      approved: 3,
      denied: 1,
      parameters: [
        [
          { type: "int4", least: "7", most: "10", distinct: 3, nulls: 1 },
          { type: "text", least: "a", most: "nnull", distinct: 4, nulls: 0 },
          { type: "bytea", least: null, most: null, distinct: 0, nulls: 0 },
        ],
      ],
    });
    expect((await approvals.request(ask({ shape: null }))).seen).toBeNull();
  });

  test("another shape, another requester, and none after it was taken back", async () => {
    const approvals = await open();
    const { id } = await approvals.request(ask());
    await approvals.decide(id, steward(), "approve", { scope: { kind: "shape", uses: 5, seconds: 60 } });
    const other = "9".repeat(64);
    expect(await approvals.claim(id, other, requester)).toBeNull();
    expect(await approvals.claim(id, other, requester, { shape: "8".repeat(64) })).toBeNull();
    expect(await approvals.claim(id, other, requesterOf(principal("x")), { shape })).toBeNull();
    expect(await approvals.findApproved(other, "8".repeat(64), requester)).toBeNull();
    expect(await approvals.claim(id, other, requester, { shape })).toMatchObject({
      usesLeft: 4,
      state: "approved",
    });
    expect(await code(approvals.revoke(id, steward("eve", { groups: [] }), "x"))).toBe("NOT_APPROVER");
    expect(await code(approvals.revoke(id, steward("bob"), ""))).toBe("REASON_REQUIRED");
    await approvals.revoke(id, steward("bob"), "enough");
    expect(await approvals.claim(id, other, requester, { shape })).toBeNull();
    expect(await code(approvals.revoke(id, steward("bob"), "again"))).toBe("NOT_PENDING");
  });
});

describe("an agent cannot tire its approvers", () => {
  test("so many wait at a time; those of others, and decided ones, do not count", async () => {
    const approvals = await open({ maxPendingPerPrincipal: 2 });
    const first = await approvals.request(ask());
    await approvals.request(ask({ mode: "ticket" }));
    // An equal ticket bothers nobody again.
    await approvals.request(ask({ mode: "ticket" }));
    await expect(approvals.request(ask())).rejects.toThrow(ApprovalRefused);
    await approvals.request(ask({ requester: requesterOf({ ...agent, subject: "other" }) }));
    await approvals.decide(first.id, steward(), "approve");
    await approvals.request(ask());
    expect(approvals.stats).toMatchObject({ refused: 1, requested: 4 });
  });

  test("at once as well as one by one", async () => {
    const approvals = await open({ maxPendingPerPrincipal: 3 });
    const all = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => approvals.request(ask({ binding: `${i}`.repeat(64) }))),
    );
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  });

  test("so many in a minute", async () => {
    let now = Date.now();
    const approvals = await open({ requestsPerMinute: 3 }, { now: () => now });
    for (let i = 0; i < 3; i++) await approvals.leave((await approvals.request(ask())).id, "cancel");
    expect(await code(approvals.request(ask()))).toBe("APPROVAL_RATE");
    now += 61_000;
    await approvals.request(ask());
  });

  test("what was denied three times is not asked again for a while; something else is", async () => {
    let now = Date.now();
    const approvals = await open({}, { now: () => now });
    for (let i = 0; i < 3; i++) {
      const { id } = await approvals.request(ask({ binding: `${i}`.repeat(64) }));
      await approvals.decide(id, { ...steward(), authTime: now / 1000 }, "deny", { reason: "no" });
    }
    expect(await code(approvals.request(ask({ mode: "ticket" })))).toBe("APPROVAL_RATE");
    await approvals.request(ask({ shape: "7".repeat(64) }));
    now += 601_000;
    await approvals.request(ask({ mode: "ticket" }));
  });
});

describe("access", () => {
  const offer = {
    groups: ["oncall", "corp:dba"],
    databases: ["shop"],
    approvers: { groups: ["leads"], count: 1, withinMs: 60_000 },
    maxSeconds: 3600,
    requesters: ["staff"],
  };
  const eve = principal("eve", { groups: ["staff", "leads"] });
  const wish = { database: "shop", group: "oncall", seconds: 600, reason: "pager" };

  test("only what is offered, to whom, where and for how long, and with a reason", async () => {
    const approvals = await open({ access: [offer] });
    const refused = (who: typeof eve, more: Partial<typeof wish>) =>
      code(approvals.requestAccess(who, { ...wish, ...more }));
    expect(await refused(eve, { database: "other" })).toBe("ACCESS_NOT_OFFERED");
    expect(await refused(eve, { group: "root" })).toBe("ACCESS_NOT_OFFERED");
    expect(await refused(eve, { group: "other:dba" })).toBe("ACCESS_NOT_OFFERED");
    expect(await refused(eve, { seconds: 3601 })).toBe("ACCESS_NOT_OFFERED");
    expect(await refused(eve, { seconds: 1 })).toBe("ACCESS_NOT_OFFERED");
    expect(await refused(eve, { reason: "  " })).toBe("REASON_REQUIRED");
    expect(await refused(principal("mal"), {})).toBe("ACCESS_NOT_OFFERED");
    expect(approvals.offered(principal("mal"))).toEqual([]);
    for (const { group, databases, maxSeconds } of approvals.offered(eve)) {
      expect([databases, maxSeconds]).toEqual([offer.databases, 3600]);
      expect(["oncall", "dba"]).toContain(group);
    }
    expect(approvals.offered(eve)).toHaveLength(2);
    const { id, access } = await approvals.requestAccess(eve, { ...wish, group: "corp:dba" });
    expect(access).toEqual({ group: "dba", seconds: 600, reason: "pager" });
    expect(await code(approvals.decide(id, steward("eve", { groups: ["leads"] }), "approve"))).toBe(
      "SELF_APPROVAL",
    );
    expect(await approvals.claim(id, "", requesterOf(eve))).toBeNull();
  });

  test("ends by itself, and says so", async () => {
    let now = Date.now();
    const approvals = await open({ access: [offer] }, { now: () => now });
    const { id } = await approvals.requestAccess(eve, wish);
    await approvals.decide(id, { ...steward("lea", { groups: ["leads"] }), authTime: now / 1000 }, "approve");
    expect(approvals.grants.groupsOf(eve, "shop", now)).toEqual([
      { id, group: "oncall", database: "shop", until: now + 600_000 },
    ]);
    now += 600_001;
    expect(approvals.grants.groupsOf(eve, "shop", now)).toEqual([]);
    expect(await approvals.get(id)).toMatchObject({ state: "expired" });
    expect(r.said().at(-1)).toBe("admin.action access.expired");
  });

  test("given up by who has it", async () => {
    const approvals = await open({ access: [offer] });
    const { id } = await approvals.requestAccess(eve, wish);
    await approvals.decide(id, steward("lea", { groups: ["leads"] }), "approve");
    await approvals.revoke(id, { principal: eve, authTime: null }, "done");
    expect(approvals.grants.groupsOf(eve, "shop", Date.now())).toEqual([]);
  });
});

describe("break-glass", () => {
  const glass = { groups: ["oncall"], review: ["security"] };
  const olga = principal("olga", { groups: ["oncall", "security"] });
  const now = ask({
    requester: requesterOf(olga),
    demands: [demand({ breakGlass: glass })],
    breakGlass: { reason: "site is down" },
  });

  test("on record before it runs, and somebody has to look at it afterwards", async () => {
    const approvals = await open();
    const review = await approvals.request(now);
    expect(review).toMatchObject({
      kind: "review",
      state: "pending",
      breakGlass: { reason: "site is down" },
    });
    expect(r.events.map(({ type, fields }) => [type, fields.kind, fields.break_glass])).toEqual([
      ["approval.requested", "review", { reason: "site is down" }],
      ["approval.used", "review", { reason: "site is down" }],
    ]);
    expect(
      await code(approvals.decide(review.id, steward("olga", { groups: ["security"] }), "approve")),
    ).toBe("SELF_APPROVAL");
    expect(await approvals.claim(review.id, binding, requesterOf(olga))).toBeNull();
    const done = await approvals.decide(review.id, steward("sec", { groups: ["security"] }), "deny", {
      reason: "the site was up",
    });
    expect(done.state).toBe("denied");
  });

  test("a review that finds it justified", async () => {
    const approvals = await open();
    const { id } = await approvals.request(now);
    const done = await approvals.decide(id, steward("sec", { groups: ["security"] }), "approve");
    expect(done).toMatchObject({ state: "used", usesLeft: 0 });
    expect((await approvals.list({ state: "pending", limit: 10 })).items).toEqual([]);
  });

  test("not by agents, not by others, not past a rule that does not know it, not without a reason", async () => {
    const approvals = await open();
    const refused = (more: Parameters<typeof ask>[0]) => code(approvals.request({ ...now, ...more }));
    expect(await refused({ requester: requesterOf({ ...olga, kind: "agent" }) })).toBe("BREAK_GLASS_REFUSED");
    expect(
      await refused({ requester: requesterOf({ ...olga, actor: [{ subject: "bot", issuer: null }] }) }),
    ).toBe("BREAK_GLASS_REFUSED");
    expect(await refused({ requester: requesterOf(principal("x")) })).toBe("BREAK_GLASS_REFUSED");
    expect(await refused({ demands: [demand({ breakGlass: glass }), demand({ rule: "b" })] })).toBe(
      "BREAK_GLASS_REFUSED",
    );
    expect(await refused({ breakGlass: { reason: "\n" } })).toBe("REASON_REQUIRED");
    expect(r.events).toEqual([]);
  });
});

describe("nothing without the audit log", () => {
  const failing = (types: string[], events: string[]): Partial<ApprovalsDeps> => ({
    record: async ({ type }) => {
      if (types.includes(type)) throw new Error("the log cannot be written");
      events.push(type);
    },
  });

  test("no request", async () => {
    const approvals = await open({}, failing(["approval.requested"], []));
    await expect(approvals.request(ask())).rejects.toThrow("cannot be written");
    expect((await approvals.list({ state: "pending", limit: 10 })).items).toEqual([]);
  });

  test("no vote", async () => {
    const approvals = await open({}, failing(["approval.decided"], []));
    const { id } = await approvals.request(ask());
    await expect(approvals.decide(id, steward(), "approve")).rejects.toThrow("cannot be written");
    expect(await approvals.get(id)).toMatchObject({ state: "pending", votes: [] });
  });

  test("no use", async () => {
    const approvals = await open({}, failing(["approval.used"], []));
    const { id } = await approvals.request(ask());
    await approvals.decide(id, steward(), "approve");
    await expect(approvals.claim(id, binding, requester)).rejects.toThrow("cannot be written");
    expect(await approvals.claim(id, binding, requester)).toBeNull();
  });
});

describe("lists", () => {
  test("pending oldest first, decided newest first, by kind and by who asked, page by page", async () => {
    const approvals = await open();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push((await approvals.request(ask({ binding: `${i}`.repeat(64) }))).id);
    const page = await approvals.list({ state: "pending", limit: 2 });
    expect(page.items.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const rest = await approvals.list({ state: "pending", limit: 10, after: page.next });
    expect(rest.items.map(({ id }) => id)).toEqual(ids.slice(2));
    expect(rest.next).toBeNull();
    for (const id of ids.slice(0, 3)) await approvals.decide(id, steward(), "approve");
    const decided = await approvals.list({ state: "decided", limit: 10 });
    expect(decided.items.map(({ id }) => id)).toEqual(ids.slice(0, 3).reverse());
    const mine = { state: "pending", limit: 10, requester } as const;
    expect((await approvals.list(mine)).items).toHaveLength(2);
    expect((await approvals.list({ ...mine, requester: { ...requester, subject: "x" } })).items).toEqual([]);
    expect((await approvals.list({ ...mine, kind: "access" })).items).toEqual([]);
  });

  test("a preview is kept while it waits", async () => {
    const approvals = await open();
    const { id } = await approvals.request(ask());
    const preview = {
      time: new Date().toISOString(),
      by: "ann",
      rowsAffected: 3,
      sample: null,
      notes: [],
      refused: null,
    };
    await approvals.setPreview(id, preview);
    expect(await approvals.get(id)).toMatchObject({ preview });
    await approvals.decide(id, steward(), "approve");
    expect(await code(approvals.setPreview(id, preview))).toBe("NOT_PENDING");
  });
});
