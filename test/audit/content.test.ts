import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AuditLog, ResultDigest, type SessionContext, uuidv7 } from "../../src/audit/index.ts";
import { showRequest } from "../../src/audit/read/show.ts";
import { deliveredDigest } from "../../src/audit/record/digest.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import {
  allowed,
  intend,
  leaves,
  lines,
  open,
  type Place,
  place,
  sessionRecord,
  statementRecord,
} from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => at.remove());

const origin = "test/gw-1/0";

function intent(
  log: AuditLog,
  session: SessionContext,
  sql: string,
  stripped: string,
  parameters: readonly unknown[],
): string {
  const request = uuidv7();
  log.intent(session, {
    request,
    statement: log.statement({ ...statementRecord, sql: stripped }),
    protocol: "simple",
    index: 0,
    transaction: "T",
    name: 'a "name"\n\u2028 \ud800',
    portal: "é",
    sealed: JSON.stringify({ sql, parameters }),
    parameters: JSON.stringify(parameters.map(() => ({ type: "text" }))),
    decision: log.decision(allowed),
  });
  return request;
}

function shown(request: string) {
  return showRequest({ name: "", dir: at.dir }, origin, request, at.settings.keys);
}

describe("content of every kind comes back as it was", () => {
  const cases: [string, string, readonly unknown[]][] = [
    ["newlines, NUL and quotes", 'select \'a\nb\r\n\u0000c"\\\'\nL {"v":1}\nC AAAA\n', ["x\ny\0", null]],
    ["text outside of ASCII and lone surrogates", "select 'žluťoučký 🐎 \ud83d'", ["𝔘", "\udc00"]],
    ["a megabyte of SQL", `select '${"x".repeat(1_000_000)}'`, []],
    ["65,535 parameters", "select $1", Array.from({ length: 65_535 }, (_, i) => `p${i}`)],
    ["nothing", "", []],
  ];

  test.each(cases)("%s", async (_name, sql, parameters) => {
    const log = await open(at);
    const session = log.session(sessionRecord);
    const request = intent(log, session, sql, `${sql} -- stripped`, parameters);
    intent(log, session, "select 1", "select $1", []);
    await log.close();
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, size: 4 });
    for (const l of lines(at))
      if (l.tag === "L") expect(Buffer.byteLength(l.text)).toBeLessThanOrEqual(61_440);
    const [only] = shown(request);
    expect(only?.opened).toMatchObject({
      state: "open",
      content: JSON.parse(JSON.stringify({ sql, parameters, claimed: { intent: "find the big spenders" } })),
      salt: expect.stringMatching(/^[A-Za-z0-9+/]{24}$/),
    });
    const record = only?.record as {
      statement: { sql: string; name: string; portal: string };
      parameters: unknown;
    };
    expect(record.statement.sql).toBe(JSON.parse(JSON.stringify(`${sql} -- stripped`)));
    expect(record.statement.name).toBe('a "name"\n\u2028 \ud800');
    expect(record.statement.portal).toBe("é");
    expect(record.parameters).toEqual(parameters.map(() => ({ type: "text" })));
  });

  test("whatever text", async () => {
    const log = await open(at);
    const session = log.session(sessionRecord);
    const sent: [string, string, string[]][] = [];
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.array(fc.string({ unit: "binary" }), { maxLength: 5 }),
        (sql, parameters) => {
          sent.push([intent(log, session, sql, sql, parameters), sql, parameters]);
        },
      ),
      { numRuns: 100 },
    );
    await log.close();
    expect(verifyLog(at.dir).ok).toBe(true);
    for (const [request, sql, parameters] of sent.slice(0, 20)) {
      const [only] = shown(request);
      expect(only?.opened).toMatchObject({ state: "open", content: { sql, parameters } });
    }
  });
});

test("a value too long for the leaf lies whole in a blob under its SHA-256, and the verifier misses it when it is gone or changed", async () => {
  const log = await open(at);
  const session = log.session({ ...sessionRecord, claimed: { agent: "a".repeat(70_000) } });
  const sent = intend(log, session);
  await log.close();
  const leaf = leaves(at)[sent.index];
  const { blob, bytes } = leaf.claimed.agent;
  expect(bytes).toBe(70_002);
  const path = join(at.dir, "blobs", blob.slice(0, 2), blob);
  const content = readFileSync(path);
  expect(content.toString()).toBe(JSON.stringify("a".repeat(70_000)));
  expect(createHash("sha256").update(content).digest("hex")).toBe(blob);
  expect(verifyLog(at.dir).ok).toBe(true);
  rmSync(path);
  expect(verifyLog(at.dir).firstBadPlace?.problem).toMatch(/blob .* is missing/);
});

test("sealed content too long for a frame goes to a sealed blob that shows nothing", async () => {
  const log = await open(at);
  const request = intent(
    log,
    log.session(sessionRecord),
    `select '${"secret ".repeat(60_000)}'`,
    "select $1",
    [],
  );
  await log.close();
  const { sealed } = leaves(at)[1].statement;
  expect(Object.keys(sealed)).toEqual(["key", "blob", "digest"]);
  expect(readFileSync(join(at.dir, "blobs", sealed.blob.slice(0, 2), sealed.blob), "latin1")).not.toContain(
    "secret",
  );
  expect(shown(request)[0]?.opened?.state).toBe("open");
});

test("destroying a day's key closes what it sealed and leaves every proof standing", async () => {
  const log = await open(at);
  const sent = intend(log, log.session(sessionRecord));
  await log.close();
  expect(shown(sent.request)[0]?.opened?.state).toBe("open");
  for (const file of readdirSync(join(at.dir, "keys"))) rmSync(join(at.dir, "keys", file));
  expect(shown(sent.request)[0]?.opened).toMatchObject({
    state: "closed",
    why: expect.stringMatching(/was destroyed/),
  });
  expect(verifyLog(at.dir).ok).toBe(true);
});

test("framing cannot be forged by what a caller hands in", async () => {
  const log = await open(at);
  const session = log.session(sessionRecord);
  const fields = {
    request: 'x"}\nC AAAA',
    statement: log.statement(statementRecord),
    protocol: "simple",
    index: 0,
    transaction: "I",
    name: "",
    portal: "",
    sealed: "{}",
    parameters: "[]",
    decision: log.decision(allowed),
  } as const;
  const index = log.intent(session, fields);
  expect(() => log.intent(session, { ...fields, sealed: '{\n"a":1}' })).toThrow(TypeError);
  expect(() => log.intent(session, { ...fields, parameters: "[\n]" })).toThrow(TypeError);
  expect(() => log.event("statement.intent", {})).toThrow(TypeError);
  expect(() => log.event("admin.action", { type: "x" })).toThrow(TypeError);
  log.outcome(session, {
    request: "r",
    intent: index,
    status: "error",
    sqlstate: '1"\n}',
    tag: 'T"\n',
    columns: null,
    rows: 0,
    bytes: 0,
    complete: true,
    digest: null,
    rowsAffected: 2 ** 40,
    durationUs: 0.5,
    firstRowUs: Number.NaN,
  });
  await log.close();
  expect(verifyLog(at.dir).ok).toBe(true);
  const all = leaves(at);
  expect(all[index].request).toBe('x"}\nC AAAA');
  expect(all[index + 1]).toMatchObject({
    sqlstate: "XX000",
    tag: 'T"\n',
    rows_affected: 2 ** 40,
    duration_us: 0.5,
    first_row_us: null,
    sealed: null,
  });
});

test("a result digest does not depend on how the rows are cut into pieces", () => {
  const whole = Buffer.alloc(200_000, "D row ");
  const digest = new ResultDigest();
  const salt = "\u00ff\u0000 eighteen bytes .".slice(0, 18);
  fc.assert(
    fc.property(fc.array(fc.nat(60_000), { maxLength: 12 }), (cuts) => {
      const marks = [0, ...cuts, whole.length].sort((a, b) => a - b);
      for (let i = 1; i < marks.length; i++) {
        const piece = Buffer.from(whole.subarray(marks[i - 1], marks[i]));
        digest.update(piece, 0, piece.length);
        piece.fill(0);
      }
      // What gathered under the one before must not show in it.
      const value = deliveredDigest(digest.take(), salt);
      expect(value).toBe(createHash("sha256").update(whole).update(salt, "latin1").digest("base64"));
    }),
    { numRuns: 50 },
  );
  digest.update(whole, 0, 10);
  digest.reset();
  expect(deliveredDigest(digest.take(), salt)).toBe(
    createHash("sha256").update(salt, "latin1").digest("base64"),
  );
});

test("many records in one turn make several writes, one log", async () => {
  const log = await open(at);
  const session = log.session(sessionRecord);
  for (let i = 0; i < 3000; i++) intend(log, session, `select ${"y".repeat(500)}`);
  expect(log.size).toBe(3001);
  await log.settle();
  await log.close();
  expect(verifyLog(at.dir)).toMatchObject({ ok: true, size: 3002 });
  expect(existsSync(join(at.dir, "blobs"))).toBe(false);
});
