/** Statements as sentences. */
import { describe, expect, test } from "vitest";
import { toldOf } from "../../console/src/trail/fromRecord.ts";
import { pieceText, type Told, tell } from "../../console/src/trail/tell.ts";

const jane: Told = {
  principal: {
    subject: "jane",
    email: "jane@example.com",
    kind: "agent",
    actor: [{ subject: "agent-support", issuer: null }],
  },
  claimed: { agent: "claude" },
  database: "shop",
  command: "SELECT",
  verdict: "allow",
  rule: "agents-read",
  code: null,
  reads: ["public.customers"],
  writes: [],
  masked: ["public.customers.email"],
  status: "ok",
  sqlstate: null,
  rows: 3,
  rowsAffected: null,
};

function say(change: Partial<Told> = {}): string {
  return pieceText(tell({ ...jane, ...change }));
}

describe("sentences", () => {
  test.each<[Partial<Told>, string]>([
    [{}, "agent-support for jane@example.com read 3 rows of customers (email masked)"],
    [{ rows: 1, masked: [] }, "agent-support for jane@example.com read 1 row of customers"],
    [
      { command: "UPDATE", writes: ["shop.orders"], rows: 0, rowsAffected: 1200, masked: [] },
      "agent-support for jane@example.com changed 1,200 rows in shop.orders",
    ],
    [
      { command: "INSERT", writes: ["public.orders"], rowsAffected: 1, masked: [] },
      "agent-support for jane@example.com added 1 row to orders",
    ],
    [
      { command: "DELETE", writes: ["public.orders"], rowsAffected: 2, masked: [] },
      "agent-support for jane@example.com deleted 2 rows from orders",
    ],
    [
      { verdict: "deny", rule: "no-writes", status: "denied", rows: null, masked: [] },
      "agent-support for jane@example.com was denied by no-writes: reading customers",
    ],
    [
      { verdict: "deny", rule: null, code: "NO_RULE", status: null, reads: null, command: "" },
      "agent-support for jane@example.com was denied (NO_RULE): a statement",
    ],
    [
      { verdict: "approve", rule: "stewards", status: null, command: "DELETE", writes: ["public.orders"] },
      "agent-support for jane@example.com waits for approval: deleting from orders",
    ],
    [
      {
        verdict: "approve",
        rule: "stewards",
        code: "APPROVAL_REQUIRED",
        status: "denied",
        command: "DELETE",
        writes: ["public.orders"],
      },
      "agent-support for jane@example.com was told that it needs approval: deleting from orders",
    ],
    [
      {
        verdict: "approve",
        rule: "stewards",
        command: "DELETE",
        writes: ["public.orders"],
        rowsAffected: 4,
        masked: [],
      },
      "agent-support for jane@example.com after approval deleted 4 rows from orders",
    ],
    [
      {
        verdict: "approve",
        rule: "stewards",
        status: "denied",
        command: "DELETE",
        writes: ["public.orders"],
      },
      "agent-support for jane@example.com was not approved: deleting from orders",
    ],
    [
      { status: "error", sqlstate: "23505", command: "INSERT", writes: ["public.orders"] },
      "agent-support for jane@example.com failed with 23505: adding to orders",
    ],
    [
      { status: "cut", rows: 1000 },
      "agent-support for jane@example.com was cut off after 1,000 rows: reading customers",
    ],
    [{ status: "unknown" }, "agent-support for jane@example.com ended unseen: reading customers"],
    [
      { command: "DROP TABLE", reads: [], writes: ["public.orders"], rows: null, masked: [] },
      "agent-support for jane@example.com ran DROP TABLE on orders",
    ],
    [{ command: "BEGIN", reads: [], rows: null, masked: [] }, "agent-support for jane@example.com ran BEGIN"],
    [
      { reads: ["a.b", "c.d", "e.f", "g.h"], masked: ["a.b.x", "a.b.y", "a.b.z", "c.d.w"] },
      "agent-support for jane@example.com read 3 rows of a.b, c.d, e.f and 1 more (x, y, z and 1 more masked)",
    ],
    [
      { principal: { subject: "bot", email: null, kind: "agent", actor: [] } },
      "bot (says it is claude) read 3 rows of customers (email masked)",
    ],
    [
      { principal: { subject: "eve", email: null, kind: "human", actor: [] } },
      "eve read 3 rows of customers (email masked)",
    ],
  ])("%j", (change, sentence) => {
    expect(say(change)).toBe(sentence);
  });

  test("hostile names are pieces of text and nothing else", () => {
    const name = '"><img src=x onerror=alert(1)>\u202e';
    expect(say({ reads: [`public.${name}`], masked: [] })).toContain(name);
  });

  test("a piece leads to what it has in common with others", () => {
    const pieces = tell(jane);
    expect(pieces.find(({ text }) => text === "customers")?.find).toEqual(["table", "public.customers"]);
    expect(pieces.find(({ tone }) => tone === "masked")?.find).toEqual(["column", "public.customers.email"]);
    expect(pieces[0]?.find).toEqual(["subject", "jane"]);
  });
});

describe("records", () => {
  test("are read as they are, whatever is missing or of another type", () => {
    expect(pieceText(tell(toldOf({}, null)))).toBe("somebody was denied: a statement");
    const odd = {
      principal: { subject: 7, actor: [1, { subject: null }] },
      statement: { reads: [1, "a"], command: {} },
      decision: { verdict: "?" },
    };
    expect(() => tell(toldOf(odd, { status: "new-status", result: { rows: "x" } }))).not.toThrow();
    const told = toldOf(
      {
        principal: { subject: "m", kind: "human" },
        statement: { command: "SELECT", reads: ["public.t"] },
        decision: { verdict: "allow" },
      },
      { status: "ok", result: { rows: 2 } },
    );
    expect(pieceText(tell(told))).toBe("m read 2 rows of t");
  });
});
