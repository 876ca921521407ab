import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Capture } from "../../src/audit/capture/capture.ts";
import { decodeRows, encodeRow, type Row } from "../../src/audit/capture/read.ts";
import { type AuditLog, ResultDigest, uuidv7 } from "../../src/audit/index.ts";
import { type CopyFormat, guessFormat } from "../../src/audit/match/files.ts";
import { matchCopy } from "../../src/audit/match/match.ts";
import { type RequestResult, readResults } from "../../src/audit/read/result.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { allowed, leaves, open, type Place, place, sessionRecord, statementRecord } from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => at.remove());

const b = (text: string | null) => (text === null ? null : Buffer.from(text, "utf8"));
const columns = [
  { name: "id", type: "int4" },
  { name: "name", type: "text" },
  { name: "paid", type: "bool" },
];
const plain: Row[] = [
  [b("1"), b('Ann "A", the first'), b("t")],
  [b("2"), b("línea\nnueva"), b("f")],
];
const withNull: Row[] = [...plain, [b("3"), null, null], [b("4"), b(""), b("t")]];

interface Delivery {
  readonly rows: readonly Row[];
  readonly protocol?: "simple" | "extended";
  readonly copy?: boolean;
  /** Sizes of the pieces in which the rows come. */
  readonly piece?: number;
}

/** Delivers rows through a log, as the relay does. Gives the request. */
function deliver(log: AuditLog, { rows, protocol = "simple", copy = false, piece = 7 }: Delivery): string {
  const session = log.session(sessionRecord);
  const request = uuidv7();
  const intent = log.intent(session, {
    request,
    statement: log.statement(statementRecord),
    protocol,
    index: 0,
    transaction: "I",
    name: "",
    portal: "",
    sealed: "{}",
    parameters: "[]",
    decision: log.decision(allowed),
  });
  const digest = new ResultDigest();
  digest.reset();
  const capture = log.capture();
  const messages = Buffer.concat(rows.map(encodeRow));
  if (copy) for (let p = 0; p < messages.length; p = p + 1 + messages.readUInt32BE(p + 1)) messages[p] = 0x64;
  for (let p = 0; p < messages.length; p += piece) {
    // The relay's buffers are used again.
    const chunk = Buffer.from(messages.subarray(p, p + piece));
    digest.update(chunk, 0, chunk.length);
    capture?.add(chunk, 0, chunk.length);
    chunk.fill(0xee);
  }
  log.outcome(session, {
    request,
    intent,
    status: "ok",
    sqlstate: null,
    tag: `SELECT ${rows.length}`,
    columns: copy ? null : log.columns(columns.map((c) => ({ ...c, origin: null, masked: false }))),
    rows: rows.length,
    bytes: messages.length,
    complete: true,
    digest,
    rowsAffected: null,
    durationUs: 1,
    firstRowUs: 1,
    capture: capture?.finish() ?? null,
  });
  return request;
}

async function delivered(delivery: Delivery, captureRows: number): Promise<RequestResult> {
  const settings = { ...at.settings, results: { digest: true, captureRows } };
  const log = await open({ ...at, settings });
  const request = deliver(log, delivery);
  await log.close();
  expect(verifyLog(at.dir)).toMatchObject({ ok: true });
  const [result] = readResults({ name: "gw-1/0", dir: at.dir }, "test/gw-1/0", request, at.settings.keys);
  if (result === undefined) throw new Error("no result");
  return result;
}

function csv(rows: readonly Row[], header = true): string {
  const cell = (v: Buffer | null) => {
    const text = v?.toString("utf8") ?? "";
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = rows.map((row) => row.map(cell).join(","));
  return `${[...(header ? ["id,name,paid"] : []), ...lines].join("\n")}\n`;
}

function jsonl(rows: readonly Row[]): string {
  return rows
    .map(([id, name, paid]) =>
      JSON.stringify({
        id: Number(id?.toString()),
        name: name?.toString() ?? null,
        paid: paid == null ? null : paid.toString() === "t",
      }),
    )
    .join("\n");
}

const verdict = (file: string | Buffer, { result }: RequestResult, format?: CopyFormat) => {
  const bytes = Buffer.from(file as string);
  return matchCopy(bytes, format ?? guessFormat(bytes, result.columns === null), result).verdict;
};

describe.each([
  ["by digest", 0],
  ["by captured rows", Number.MAX_SAFE_INTEGER],
])("%s", (_name, captureRows) => {
  test("copies of what was delivered match, and no others", async () => {
    const got = await delivered({ rows: plain }, captureRows);
    for (const file of [
      csv(plain),
      csv(plain, false),
      csv(plain).replaceAll("\n", "\r\n").replace("\r\nnueva", "\nnueva"),
      jsonl(plain),
      Buffer.concat(plain.map(encodeRow)),
    ])
      expect(verdict(file, got)).toBe("match");
    const reversed = plain.toReversed();
    for (const file of [
      csv(plain).replace("2,", "3,"),
      csv(plain.slice(1)),
      csv([...plain, ...plain]),
      csv(reversed),
      csv(plain).replace("id,name", "name,id"),
      csv(plain).replace("nueva", "nuevA"),
      jsonl(plain).replace('"paid":true', '"paid":false'),
      jsonl(reversed),
      jsonl(plain).replaceAll('"id"', '"ID"'),
      '"open',
      '{"id":1',
      Buffer.concat(reversed.map(encodeRow)),
      "",
    ])
      expect(verdict(file, got), String(file)).toBe("mismatch");
  });

  test("CSV cannot tell NULL from '', JSON lines can", async () => {
    const got = await delivered({ rows: withNull }, captureRows);
    expect(verdict(csv(withNull), got)).toBe("cannot tell");
    expect(verdict(csv(withNull).replace("3,,", '3,"",'), got)).toBe("mismatch");
    expect(verdict(csv(withNull).replace("Ann", "Eve"), got)).toBe("mismatch");
    expect(verdict(csv(withNull).replace("línea", "linea"), got)).toBe("mismatch");
    expect(verdict(jsonl(withNull), got)).toBe("match");
    expect(verdict(jsonl(withNull).replace('"name":null', '"name":""'), got)).toBe("mismatch");
  });

  test("values in binary form", async () => {
    const rows: Row[] = [[Buffer.from([0, 0, 0, 1]), b("x"), Buffer.from([1])]];
    const got = await delivered({ rows, protocol: "extended" }, captureRows);
    expect(verdict("id,name,paid\n1,x,t\n", got)).toBe("cannot tell");
    expect(verdict(Buffer.concat(rows.map(encodeRow)), got)).toBe("match");
  });

  test("without the keys nothing is certain", async () => {
    const got = await delivered({ rows: plain }, captureRows);
    const blind = { ...got, result: { ...got.result, salt: null, captured: null } };
    expect(verdict(csv(plain), blind)).toBe("cannot tell");
    expect(verdict(csv(plain.slice(1)), blind)).toBe("mismatch");
  });
});

test("the output of COPY is compared as it is", async () => {
  const settings = { ...at.settings, results: { digest: true, captureRows: 0 } };
  const log = await open({ ...at, settings });
  const lines = ["1\tAnn\\n\n", "2\t\\N\n"];
  const session = log.session(sessionRecord);
  const request = deliver(log, { rows: [], copy: true });
  void session;
  await log.close();
  expect(readResults({ name: "", dir: at.dir }, "test/gw-1/0", request, at.settings.keys)).toEqual([]);
  const { createHash } = await import("node:crypto");
  const salt = Buffer.alloc(18, 1);
  const messages = lines.map((line) => {
    const m = Buffer.alloc(5 + Buffer.byteLength(line));
    m[0] = 0x64;
    m.writeUInt32BE(m.length - 1, 1);
    m.write(line, 5);
    return m;
  });
  const bytes = Buffer.concat(messages);
  const result = {
    copy: true,
    formats: null,
    columns: null,
    rows: 2,
    bytes: bytes.length,
    complete: true,
    suspended: false,
    digest: createHash("sha256").update(bytes).update(salt).digest("base64"),
    salt,
    captured: null,
    mayBeBinary: false,
  };
  expect(matchCopy(Buffer.from(lines.join("")), "copy", result).verdict).toBe("match");
  expect(matchCopy(Buffer.from(lines.join("").replace("Ann", "Eve")), "copy", result).verdict).toBe(
    "mismatch",
  );
  expect(matchCopy(bytes, "raw", result).verdict).toBe("match");
});

describe("captures", () => {
  test("keep the first rows only, sealed, and say so", async () => {
    const got = await delivered({ rows: withNull }, 2);
    expect(decodeRows(got.rows ?? Buffer.alloc(0))).toEqual(plain);
    const outcome = leaves(at).find((l) => l.type === "statement.outcome");
    expect(outcome.result.capture).toMatchObject({
      rows: 2,
      complete: false,
      parts: [{ blob: expect.any(String) }],
    });
    for (const group of readdirSync(join(at.dir, "blobs")))
      for (const name of readdirSync(join(at.dir, "blobs", group)))
        expect(spawnSync("grep", ["-c", "Ann", join(at.dir, "blobs", group, name)]).status).toBe(1);
    // A whole copy is still shown to be what was delivered, by its digest.
    expect(verdict(jsonl(withNull), got)).toBe("match");
    rmSync(join(at.dir, "keys"), { recursive: true });
    const request = outcome.request;
    const [gone] = readResults({ name: "", dir: at.dir }, "test/gw-1/0", request, at.settings.keys);
    expect(gone).toMatchObject({ rows: null, closed: expect.stringMatching(/was destroyed/) });
  });

  test("come back as they were given, whatever the pieces; large ones in parts", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.option(fc.uint8Array({ maxLength: 40 })), { maxLength: 4 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 14 }),
        (values, piece, limit) => {
          const rows = values.map((row) => row.map((v) => (v === null ? null : Buffer.from(v))));
          const kept: Buffer[] = [];
          const capture = new Capture((compressed) => {
            kept.push(compressed);
            return { key: "2026-01-01", blob: "ab" };
          }, limit);
          const messages = Buffer.concat(rows.map(encodeRow));
          for (let p = 0; p < messages.length; p += piece)
            capture.add(messages, p, Math.min(p + piece, messages.length));
          const said = JSON.parse(capture.finish() ?? "null");
          if (rows.length === 0) return said === null;
          const { zstdDecompressSync } = process.getBuiltinModule("node:zlib");
          const back = decodeRows(Buffer.concat(kept.map((k) => zstdDecompressSync(k))));
          expect(back).toEqual(rows.slice(0, limit));
          expect(said).toMatchObject({ rows: Math.min(limit, rows.length), complete: rows.length <= limit });
          return true;
        },
      ),
    );
    let parts = 0;
    const capture = new Capture(
      () => {
        parts++;
        return { key: "2026-01-01", blob: "ab" };
      },
      1000,
      3_500_000,
    );
    const row = encodeRow([Buffer.alloc(300_000, 0x61)]);
    for (let i = 0; i < 20; i++) capture.add(row, 0, row.length);
    expect(JSON.parse(capture.finish() ?? "")).toMatchObject({ rows: 11, complete: false });
    expect(parts).toBe(3);
  });

  test("junk is no rows", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        decodeRows(Buffer.from([0x44, ...bytes]));
        return true;
      }),
    );
  });
});

test("postern audit match", async () => {
  const log = await open(at);
  const request = deliver(log, { rows: plain });
  await log.close();
  const file = join(at.root, "copy.csv");
  const run = () =>
    spawnSync(
      process.execPath,
      [
        join(import.meta.dirname, "../../bin/postern.js"),
        "audit",
        "match",
        request,
        file,
        "--dir",
        at.settings.dir,
      ],
      { encoding: "utf8" },
    );
  writeFileSync(file, csv(plain));
  expect(run()).toMatchObject({
    status: 0,
    stdout: "match: every value is what was delivered\n",
    stderr: "",
  });
  writeFileSync(file, csv(plain).replace("Ann", "Eve"));
  expect(run()).toMatchObject({ status: 1, stdout: expect.stringMatching(/^mismatch: /) });
  expect(existsSync(file)).toBe(true);
});
