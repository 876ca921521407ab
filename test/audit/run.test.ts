import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareShapes, type Shape } from "../../src/audit/read/evolution.ts";
import { type RunRecord, runStory } from "../../src/audit/read/run.ts";
import { longestRun, readRun } from "../../src/audit/read/runs.ts";
import { audit } from "../../src/cli/audit.ts";
import { open, type Place, place, sessionRecord } from "./helpers.ts";
import { placeOf, say } from "./index-helpers.ts";

let at: Place;
beforeAll(async () => {
  at = place();
  const log = await open(at);
  const run = (session: string, intent: string) =>
    log.session({
      ...sessionRecord,
      session,
      claimed: { agent: "bot\u001b[31m", model: "m-1", run: "job-9", intent },
    });
  const first = run("s-1", "tell me the \u001b[2Jtop customers");
  log.sessionStart(first);
  const bare = { reads: ["public.orders"], writes: [], columns: [], functions: [], labels: [] };
  const select = (sql: string, fingerprint: string) => ({ statement: { ...bare, sql, fingerprint } });
  say(log, first, {
    ...select("select total from orders where id = $1", "f1"),
    exact: "select total from orders where id = 7",
    status: "error",
    sqlstate: "42703",
  }).end();
  say(log, first, {
    ...select("select amount from orders where id = $1", "f2"),
    rows: 1,
    masked: ["public.orders.amount"],
  }).end();
  say(log, first, { ...select("select amount from orders where id = $1", "f2"), rows: 2 }).end();
  say(log, first, {
    statement: {
      ...bare,
      sql: "delete from orders",
      fingerprint: "f3",
      kind: "delete",
      command: "DELETE",
      writes: ["public.orders"],
    },
    verdict: "deny",
    rule: "no-unbounded-writes",
  }).end();
  log.sessionEnd(first, { reason: "client left", statements: 4, bytesIn: 1, bytesOut: 1, durationMs: 1 });
  const second = run("s-2", "now close order 7");
  say(log, second, { ...select("select amount from orders where id = $1", "f2"), rows: 1 }).end();
  say(log, second, {
    statement: {
      ...bare,
      sql: "update orders set closed = $1 where id = $2",
      fingerprint: "f4",
      kind: "update",
      command: "UPDATE",
      writes: ["public.orders"],
    },
    rows: 0,
    affected: 3,
  }).end();
  say(log, second, {
    statement: { ...bare, sql: null, fingerprint: null, reads: null, writes: null },
    status: null,
  });
  const other = log.session({ ...sessionRecord, session: "s-3", claimed: { run: "job-10" } });
  say(log, other).end();
  await log.close();
});
afterAll(() => at.remove());

const story = (keys: string | null = at.settings.keys) =>
  runStory("job-9", readRun([placeOf(at)], "job-9", keys).records);

describe("the story of a run", () => {
  test("its statements in order, with what came of each; nothing of another run", () => {
    const { statements, passes, events } = story();
    expect(statements.map((s) => [s.step, s.pass, s.fingerprint, s.verdict, s.status, s.fresh])).toEqual([
      [1, 1, "f1", "allow", "error", true],
      [2, 1, "f2", "allow", "ok", true],
      [3, 1, "f2", "allow", "ok", false],
      [4, 1, "f3", "deny", "denied", true],
      [5, 2, "f2", "allow", "ok", false],
      [6, 2, "f4", "allow", "ok", true],
      [7, 2, null, "allow", null, true],
    ]);
    expect(passes).toMatchObject([
      {
        pass: 1,
        session: "s-1",
        prompt: "tell me the \u001b[2Jtop customers",
        statements: 4,
        claimed: { model: "m-1" },
      },
      { pass: 2, session: "s-2", prompt: "now close order 7", statements: 3 },
    ]);
    expect(events.map((e) => e.type)).toEqual(["session.start", "session.end"]);
    expect(statements[0]?.exact).toBe("select total from orders where id = 7");
  });

  test("what was read, changed, masked, refused, failed, and what cannot be told", () => {
    const told = story();
    expect(told.read).toEqual({ "public.orders": [1, 2, 3, 5, 6] });
    expect(told.changed).toEqual({ "public.orders": { steps: [6], rows: 3 } });
    expect(told.masked).toEqual(["public.orders.amount"]);
    expect(told).toMatchObject({ refused: [4], failed: [1], unread: [7] });
  });

  test("how its SQL evolved", () => {
    const { evolution } = story();
    expect(evolution.shapes.map((s) => [s.fingerprint, s.firstStep, s.lastStep, s.count, s.passes])).toEqual([
      ["f1", 1, 1, 1, [1]],
      ["f2", 2, 5, 3, [1, 2]],
      ["f3", 4, 4, 1, [1]],
      ["f4", 6, 6, 1, [2]],
      ["sealed 7", 7, 7, 1, [2]],
    ]);
    expect(evolution.changes).toEqual([
      { from: "f1", to: "f2", step: 2, added: ["amount"], removed: ["total"] },
    ]);
    expect(evolution.passes).toEqual([{ pass: 2, appears: ["f4", "sealed 7"], disappears: ["f1", "f3"] }]);
  });

  test("without the keys prompts and exact text stay sealed", () => {
    const { passes, statements } = story(null);
    expect(passes.map((p) => p.prompt)).toEqual(["(sealed)", "(sealed)"]);
    expect(statements.every((s) => s.exact === null && s.parameters === null)).toBe(true);
  });

  test("pure: the order of the records does not matter, hostile ones do not break it", () => {
    const { records } = readRun([placeOf(at)], "job-9", at.settings.keys);
    expect(runStory("job-9", [...records].reverse())).toEqual(story());
    const odd = (record: Record<string, unknown>): RunRecord => ({
      log: "",
      index: 0,
      record,
      outcome: { status: 7 },
      opened: { claimed: 1 },
    });
    const told = runStory("r", [
      odd({}),
      odd({ session: "r", type: "statement.intent", statement: "x", decision: [] }),
      odd({ session: "r", type: "statement.intent", claimed: { __proto__: null, intent: 5 } }),
    ]);
    expect(told.statements).toHaveLength(2);
    expect(runStory("none", [])).toMatchObject({
      first: null,
      statements: [],
      passes: [],
      evolution: { shapes: [] },
    });
    expect(longestRun).toBeGreaterThan(1000);
  });
});

describe("shapes", () => {
  const shape = (key: string, step: number, sql: string | null, pass = 1, command = "SELECT"): Shape => ({
    key,
    step,
    pass,
    sql,
    command,
    relations: [],
  });

  test("a shape comes from the one most like it, of equals from the latest, and never from another command", () => {
    const { changes } = compareShapes(
      [
        shape("a", 1, "select x from t where id = $1"),
        shape("b", 2, "select y from u"),
        shape("c", 3, "select x, z from t where id = $1"),
        shape("d", 4, "update t set x = $1 where id = $2", 1, "UPDATE"),
        shape("e", 5, "select 1"),
        shape("f", 6, null),
      ],
      1,
    );
    expect(changes.map((c) => [c.from, c.to, c.added])).toEqual([["a", "c", [",", "z"]]]);
  });

  test("appears and disappears from pass to pass", () => {
    const { passes } = compareShapes(
      [shape("a", 1, "a", 1), shape("b", 2, "b", 1), shape("a", 3, "a", 2), shape("b", 4, "b", 3)],
      4,
    );
    expect(passes).toEqual([
      { pass: 2, appears: [], disappears: ["b"] },
      { pass: 3, appears: ["b"], disappears: ["a"] },
      { pass: 4, appears: [], disappears: ["b"] },
    ]);
  });
});

describe("postern audit run", () => {
  const run = async (...args: string[]) => {
    const real = { out: process.stdout.write, err: process.stderr.write };
    const got = { out: "", err: "" };
    process.stdout.write = (chunk: string | Uint8Array) => {
      got.out += chunk;
      return true;
    };
    process.stderr.write = (chunk: string | Uint8Array) => {
      got.err += chunk;
      return true;
    };
    try {
      return { code: await audit(["run", "--dir", at.settings.dir, ...args]), ...got };
    } finally {
      process.stdout.write = real.out;
      process.stderr.write = real.err;
    }
  };

  test("reads like a story, and cannot move the cursor", async () => {
    const { code, out } = await run("job-9", "--open");
    expect(code).toBe(0);
    for (const part of [
      "Run job-9: 7 statements in 2 passes",
      "Pass 1: mary (agent), session s-1, 4 statements",
      "prompt   now close order 7",
      "REFUSED by no-unbounded-writes (POLICY_DENY)",
      "FAILED with 42703",
      "3 rows changed",
      "changed   public.orders: steps 6, 3 rows in all",
      "step 2: #1 turned into #2 + amount - total",
      "pass 2, new: #4 #5, gone: #1 #3",
    ])
      expect(out).toContain(part);
    expect(out).not.toContain("\u001b");
  });

  test("as JSON it is the story; an unknown run is exit code 1; a session and the sealed prompt", async () => {
    expect(JSON.parse((await run("job-9", "--open", "--json")).out)).toEqual(
      JSON.parse(JSON.stringify(story())),
    );
    expect((await run("job-11")).code).toBe(1);
    const session = await run("s-2");
    expect(session.out).toContain("in 1 pass,");
    expect(session.out).toContain("sealed: --open shows it");
  });
});
