/** The small parts of the hold step: what is told of texts, what may be tried out, what is seen of the stream behind. */
import { describe, expect, it } from "vitest";
import type { Approval, HeldStatement } from "../../src/facts/approval.ts";
import { characterWarnings } from "../../src/gateway/hold/characters.ts";
import { literal, textArray } from "../../src/gateway/hold/sqltext.ts";
import { textWarnings } from "../../src/gateway/hold/warnings.ts";
import { refusedByItself } from "../../src/gateway/preview/safe.ts";
import { segmentAt } from "../../src/gateway/statement/segment.ts";
import { createWatch, maxBehind, terminates } from "../../src/gateway/statement/watch.ts";
import { encodeFrontend } from "../../src/protocol/index.ts";
import { bind, execute, flush, parse, query, sync } from "../e2e/messages.ts";

const statement = (more: Partial<HeldStatement>): HeldStatement => ({
  sql: "update t set a = 1",
  fingerprint: null,
  kind: "update",
  command: "UPDATE",
  effects: ["write"],
  reads: [],
  writes: ["public.t"],
  columns: [],
  functions: [],
  labels: [],
  masked: [],
  parameters: [],
  unboundedWrite: false,
  ...more,
});

describe("characters", () => {
  const codes = (text: string) => characterWarnings(text, "it").map(({ code }) => code);

  it.each([
    ["delete from t where a = 'x' /*\u202e */", ["BIDI"]],
    ["select '\u2066x\u2069'", ["BIDI"]],
    ["select a\u200bb", ["BIDI"]],
    ["select 'a\u00adb'", ["BIDI"]],
    ["update аccounts set a = 1", ["LOOKALIKE"]],
    ["update аса set a = 1", ["LOOKALIKE"]],
    ["select * from t where nameͼ = 'αlpha'", ["LOOKALIKE"]],
    ["select ｎame from t", ["LOOKALIKE"]],
    ["select 1\u037e drop table t", ["LOOKALIKE"]],
    ["select\u00a01", ["LOOKALIKE"]],
    ["select 'it\u2019s'", ["LOOKALIKE"]],
  ])("%j is told of", (text, wanted) => {
    expect(codes(text)).toEqual(wanted);
  });

  it.each([
    "select 1 from t where a = 'plain'",
    "insert into städte values ('Zürich', 'Łódź')",
    "insert into t values ('Привет, мир')",
    "insert into t values ('Ελληνικά')",
    "insert into t values ('日本語', '한국어', 'العربية', 'ไทย')",
    "insert into t values ('🙂')",
  ])("%j is not", (text) => {
    expect(codes(text)).toEqual([]);
  });

  it("in parameters, too, and says where", () => {
    const found = textWarnings(
      [statement({ parameters: [{ type: "text", text: "pаypal" }] }), statement({ unboundedWrite: true })],
      true,
    );
    expect(found.map(({ code }) => code)).toEqual([
      "LOOKALIKE",
      "UNBOUNDED",
      "MANY_STATEMENTS",
      "IN_TRANSACTION",
    ]);
    expect(found[0]?.text).toContain("parameter $1 of statement 1");
  });

  it("says what cannot be rolled back", () => {
    const [found] = textWarnings([statement({ effects: ["network", "write"] })], false);
    expect(found?.code).toBe("NOT_ROLLED_BACK");
  });
});

describe("what may be tried out", () => {
  const of = (...statements: HeldStatement[]) =>
    refusedByItself({ kind: "statement", state: "pending", statements } as unknown as Approval);

  it("rows that are written and read", () => {
    expect(of(statement({}), statement({ kind: "delete", effects: ["read", "write"] }))).toBeNull();
  });

  it.each([
    ["unread functions", { effects: ["execute", "write"] }],
    ["other servers", { effects: ["network", "write"] }],
    ["files", { effects: ["file"] }],
    ["sessions", { effects: ["session", "write"] }],
    ["locks", { effects: ["lock", "read"], kind: "select" }],
    ["notifications", { kind: "notify", command: "NOTIFY", effects: ["session"] }],
    ["structure", { kind: "ddl", command: "CREATE DATABASE", effects: ["ddl"] }],
    ["maintenance", { kind: "utility", command: "VACUUM", effects: ["admin"] }],
    ["the end of the transaction", { kind: "transaction", command: "COMMIT", effects: [] }],
    ["prepared statements", { kind: "execute", command: "EXECUTE", prepared: ["delete from t"] }],
  ] as const)("never: %s", (_, more) => {
    expect(of(statement({}), statement(more as Partial<HeldStatement>))).not.toBeNull();
  });
});

describe("the stream behind a held message", () => {
  const terminate = encodeFrontend({ type: "terminate" });

  it("Terminate is seen wherever the chunks are cut", () => {
    const bytes = Buffer.concat([query("select 1"), parse("", "x"), sync, terminate]);
    for (let cut = 1; cut < bytes.length; cut++) {
      const watch = createWatch();
      const chunks = [bytes.subarray(0, cut)];
      // The last message is whole only with its type and length: five bytes.
      expect(terminates(watch, chunks, cut)).toBeNull();
      chunks.push(bytes.subarray(cut));
      expect(terminates(watch, chunks, bytes.length)).toBe("terminate");
    }
  });

  it("the letter inside of a message is not one", () => {
    const watch = createWatch();
    const bytes = query("X\u0001".repeat(100));
    expect(terminates(watch, [bytes], bytes.length)).toBeNull();
  });

  it("more than may wait is told of, counted from the beginning", () => {
    const watch = createWatch();
    expect(terminates(watch, [query("select 1")], 10_000_000)).toBeNull();
    expect(terminates(watch, [], 10_000_000 + maxBehind)).toBeNull();
    expect(terminates(watch, [], 10_000_001 + maxBehind)).toBe("too-much");
  });
});

describe("a segment", () => {
  it("ends at Flush, Sync, or what is not of the extended protocol; and else is not whole", () => {
    const batch = [bind("", ""), execute(""), parse("", "select 1"), bind("", ""), execute("")];
    for (const end of [flush, sync, query("select 1"), encodeFrontend({ type: "terminate" })]) {
      const bytes = Buffer.concat([...batch, end]);
      expect(segmentAt(bytes, 0)).toEqual({ end: bytes.length - end.length, whole: true, binds: 2 });
    }
    const open = Buffer.concat(batch);
    expect(segmentAt(open, 0)).toMatchObject({ whole: false, binds: 2 });
    expect(segmentAt(open.subarray(0, open.length - 1), 0)).toMatchObject({ whole: false, binds: 2 });
  });

  it("with a length that cannot be ends there", () => {
    const bytes = Buffer.concat([bind("", ""), Buffer.from([0x45, 0, 0, 0, 1])]);
    expect(segmentAt(bytes, 0)).toEqual({ end: bind("", "").length, whole: true, binds: 1 });
  });
});

describe("constants of SQL", () => {
  it("hold any text", () => {
    expect(literal("it's \\ \0")).toBe("E'it''s \\\\ '");
    expect(textArray(["a", "b'"])).toBe("ARRAY[E'a',E'b''']::pg_catalog.text[]");
  });
});
