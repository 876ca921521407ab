/** Sessions that a kill of the gateway cut off: readers work out what that undid. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IndexWriter } from "../../src/audit/index/writer.ts";
import { type AuditLog, type SessionContext, uuidv7 } from "../../src/audit/index.ts";
import { searchLog } from "../../src/audit/read/search.ts";
import { readUndone } from "../../src/audit/read/undone.ts";
import { allowed, open, type Place, place, safe, sessionRecord, statementRecord } from "./helpers.ts";

let at: Place;
let log: AuditLog;

interface Step {
  readonly sql: string;
  /** null: no outcome. */
  readonly tag: string | null;
  readonly state?: "I" | "T";
  readonly protocol?: "simple" | "extended";
}

async function step(
  session: SessionContext,
  { sql, tag, state = "I", protocol = "simple" }: Step,
): Promise<void> {
  const request = uuidv7();
  const intent = log.intent(session, {
    request,
    statement: log.statement({ ...statementRecord, sql, fingerprint: null }),
    protocol,
    index: 0,
    transaction: state,
    name: "",
    portal: "",
    sealed: "{}",
    parameters: "[]",
    decision: log.decision(allowed),
  });
  await safe(log, "process");
  if (tag === null) return;
  log.outcome(session, {
    request,
    intent,
    status: "ok",
    sqlstate: null,
    tag,
    columns: null,
    rows: 0,
    bytes: 0,
    complete: true,
    digest: null,
    rowsAffected: null,
    durationUs: 1,
    firstRowUs: null,
  });
}

const begin: Step = { sql: "begin", tag: "BEGIN" };
const commit: Step = { sql: "commit", tag: "COMMIT", state: "T" };
const put = (sql: string, more: Partial<Step> = {}): Step => ({ sql, tag: "INSERT 0 1", ...more });

const sessions: Readonly<Record<string, readonly Step[]>> = {
  open: [
    put("a1"),
    begin,
    put("a2", { state: "T" }),
    commit,
    begin,
    put("a3", { state: "T" }),
    put("a4", { state: "T" }),
  ],
  "under way": [begin, put("b1", { state: "T" }), { ...commit, tag: null }],
  done: [begin, put("c1", { state: "T" }), commit, put("c2")],
  back: [begin, put("d1", { state: "T" }), { sql: "rollback", tag: "ROLLBACK", state: "T" }, put("d2")],
  part: [begin, put("e1", { state: "T" }), { sql: "rollback to savepoint s", tag: "ROLLBACK", state: "T" }],
  batch: [put("f1", { protocol: "extended" }), put("f2", { protocol: "extended" })],
  ended: [begin, put("g1", { state: "T" })],
};
const expected = { a3: "rolled_back", a4: "rolled_back", b1: "unknown", e1: "rolled_back", f2: "unknown" };

beforeAll(async () => {
  at = place();
  log = await open(at);
  for (const [name, steps] of Object.entries(sessions)) {
    const session = log.session({ ...sessionRecord, session: name });
    log.sessionStart(session);
    for (const one of steps) await step(session, one);
    if (name === "ended")
      log.sessionEnd(session, { reason: "left", statements: 2, bytesIn: 0, bytesOut: 0, durationMs: 1 });
  }
  await log.close();
});
afterAll(async () => {
  at.remove();
});

function found(scan: boolean): Record<string, string> {
  const where = { name: "gw-1/0", dir: at.dir };
  const { hits } = searchLog(where, { type: "statement.intent" }, 1000, { scan });
  const undone = readUndone(where, hits, scan);
  return Object.fromEntries(
    hits.flatMap(({ index, leaf }) => {
      const one = undone.get(index);
      return one === undefined ? [] : [[(leaf.statement as { sql: string }).sql, one.fate]];
    }),
  );
}

describe("a log that is opened again", () => {
  test("nothing is said while the sessions may still go on", () => {
    expect(found(true)).toEqual({});
  });

  test("what was left open is undone, or in doubt", async () => {
    const again = await open(at);
    await again.close();
    expect(found(true)).toEqual(expected);
    const writer = new IndexWriter({ name: "gw-1/0", dir: at.dir }, { keys: null });
    for (let n = writer.step(100_000); n > 0; n = writer.step(100_000));
    writer.close();
    expect(found(false)).toEqual(expected);
  });
});
