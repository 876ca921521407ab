import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requesterOf } from "../../src/approvals/index.ts";
import { agent, ask, demand, principal, type Room, room, steward } from "./support.ts";

let r: Room;
beforeEach(async () => {
  r = await room();
});
afterEach(() => r.close());
const never = new AbortController().signal;
const requester = requesterOf(agent);
const binding = ask().binding;

describe("one statement", () => {
  test("asked, agreed to, used once", async () => {
    const asked = await r.approvals.request(ask());
    expect(asked).toMatchObject({
      state: "pending",
      kind: "statement",
      missing: [{ rule: "writes-need-a-person", groups: ["data-stewards"], count: 1 }],
      url: `https://postern.example/approvals/${asked.id}`,
    });
    const waiting = r.approvals.settled(asked.id, never);
    const decided = await r.approvals.decide(asked.id, steward(), "approve", { reason: "looks right" });
    expect(decided).toMatchObject({ state: "approved", missing: [], votes: [{ verdict: "approve" }] });
    expect((await waiting).state).toBe("approved");
    expect(await r.approvals.claim(asked.id, binding, requester)).toMatchObject({ state: "used" });
    expect(await r.approvals.claim(asked.id, binding, requester)).toBeNull();
    expect(r.said()).toEqual(["approval.requested", "approval.decided approve", "approval.used"]);
    expect(r.events[1]?.fields.approver).toMatchObject({ subject: "ann", issuer: "https://idp.example" });
  });

  test("denied: it never runs", async () => {
    const { id } = await r.approvals.request(ask());
    await r.approvals.decide(id, steward(), "deny", { reason: "wrong row" });
    expect((await r.approvals.settled(id, never)).state).toBe("denied");
    expect(await r.approvals.claim(id, binding, requester)).toBeNull();
    await expect(r.approvals.decide(id, steward("bob"), "approve")).rejects.toMatchObject({
      code: "NOT_PENDING",
    });
  });

  test("a denial needs a reason", async () => {
    const { id } = await r.approvals.request(ask());
    await expect(r.approvals.decide(id, steward(), "deny", { reason: " \u0000" })).rejects.toMatchObject({
      code: "REASON_REQUIRED",
    });
    expect(r.said()).toEqual(["approval.requested"]);
  });

  test("another binding or another requester cannot use it", async () => {
    const { id } = await r.approvals.request(ask());
    await r.approvals.decide(id, steward(), "approve");
    expect(await r.approvals.claim(id, "d".repeat(64), requester)).toBeNull();
    for (const other of [
      principal("mallory"),
      principal("robot", { kind: "agent", provider: "other" }),
      principal("robot", { kind: "agent", actor: [{ subject: "x", issuer: null }] }),
    ])
      expect(await r.approvals.claim(id, binding, requesterOf(other))).toBeNull();
    expect(await r.approvals.claim(id, binding, requester)).not.toBeNull();
  });

  test("nobody decides on what does not exist", async () => {
    await expect(r.approvals.decide("nope", steward(), "approve")).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    expect(await r.approvals.get(crypto.randomUUID())).toBeNull();
  });
});

describe("who may not", () => {
  const alice = principal("alice", { groups: ["data-stewards"] });
  const cases: [string, Parameters<typeof ask>[0], ReturnType<typeof steward>, string][] = [
    ["the requester", { requester: requesterOf(alice) }, steward("alice"), "SELF_APPROVAL"],
    [
      "the person that an agent acts for",
      { requester: requesterOf({ ...alice, kind: "agent", actor: [{ subject: "robot", issuer: null }] }) },
      steward("alice"),
      "SELF_APPROVAL",
    ],
    [
      "somebody in the chain of actors",
      {
        requester: requesterOf({
          ...agent,
          actor: [
            { subject: "bot", issuer: null },
            { subject: "ALICE", issuer: "https://idp.example" },
          ],
        }),
      },
      steward("alice"),
      "SELF_APPROVAL",
    ],
    [
      "somebody in the chain of actors, by e-mail",
      { requester: requesterOf({ ...agent, actor: [{ subject: "alice@example.com", issuer: "x" }] }) },
      steward("a-17", { issuer: "https://other", email: "Alice@Example.com" }),
      "SELF_APPROVAL",
    ],
    [
      "the requester at another provider, by e-mail",
      { requester: requesterOf(alice) },
      steward("S-1-5-21", { issuer: "https://adfs", provider: "adfs", email: "ALICE+work@example.com" }),
      "SELF_APPROVAL",
    ],
    [
      "the requester at another issuer, by subject, where no e-mail is known",
      { requester: requesterOf({ ...alice, email: null }) },
      steward("alice", { issuer: "https://adfs", provider: "adfs", email: null }),
      "SELF_APPROVAL",
    ],
    ["an agent", {}, steward("bot", { kind: "agent" }), "AGENT"],
    ["a service", {}, steward("svc", { kind: "service" }), "AGENT"],
    [
      "a token that somebody else uses for a person",
      {},
      steward("ann", { actor: [{ subject: "bot", issuer: null }] }),
      "AGENT",
    ],
    ["somebody of another group", {}, steward("ann", { groups: ["interns"] }), "NOT_APPROVER"],
    [
      "somebody of another provider's group",
      { demands: [demand({ groups: ["corp:data-stewards"] })] },
      steward("ann", { provider: "other" }),
      "NOT_APPROVER",
    ],
    ["who has not said when they signed in", {}, { ...steward(), authTime: null }, "STEP_UP_REQUIRED"],
    ["who signed in long ago", {}, { ...steward(), authTime: Date.now() / 1000 - 601 }, "STEP_UP_REQUIRED"],
    ["who signs in tomorrow", {}, { ...steward(), authTime: Date.now() / 1000 + 3600 }, "STEP_UP_REQUIRED"],
  ];
  test.each(cases)("%s", async (_, more, approver, code) => {
    const { id } = await r.approvals.request(ask(more));
    for (const verdict of ["approve", "deny"] as const)
      await expect(r.approvals.decide(id, approver, verdict, { reason: "x" })).rejects.toMatchObject({
        code,
      });
    expect(await r.approvals.get(id)).toMatchObject({ state: "pending", votes: [] });
    expect(r.said()).toEqual(["approval.requested"]);
  });

  test("the person that an agent acts for, unless the rule says so", async () => {
    const asked = ask({
      requester: requesterOf({ ...alice, kind: "agent", actor: [{ subject: "robot", issuer: null }] }),
      demands: [demand({ allowDelegator: true })],
    });
    const { id } = await r.approvals.request(asked);
    expect(await r.approvals.decide(id, steward("alice"), "approve")).toMatchObject({ state: "approved" });
  });
});
