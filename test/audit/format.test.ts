import { createDecipheriv, createHash, createHmac, createPublicKey, hkdfSync, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { uuidv7 } from "../../src/audit/index.ts";
import {
  conclude,
  intend,
  leaves,
  lines,
  open,
  type Place,
  place,
  safe,
  segments,
  sessionRecord,
  writeSample,
} from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => at.remove());

const sha = (...parts: (string | Buffer)[]) => {
  const sum = createHash("sha256");
  for (const p of parts) sum.update(p);
  return sum.digest();
};

/** Replaces what differs from run to run by its form. */
function still(text: string): string {
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g, "<uuid>")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/g, "<time>")
    .replace(/"key":"\d{4}-\d\d-\d\d"/g, '"key":"<day>"')
    .replace(/"digest":"[A-Za-z0-9+/]{43}="/g, '"digest":"<digest>"')
    .replace(/"value":"[A-Za-z0-9+/]{43}="/g, '"value":"<digest>"')
    .replace(/"public_key":"[^"]*"/g, '"public_key":"<vkey>"');
}

const facts =
  '"principal":{"issuer":"https://idp.example.com","subject":"mary","kind":"agent","groups":["agents","analysts"],' +
  '"actor":[{"subject":"agent-7","issuer":null}],"provider":"corp","token":{"jti":"t-1","sha256":"' +
  `${"ab".repeat(32)}","issued":"2026-11-18T11:06:40.000Z","expires":"2026-11-18T12:06:40.000Z"}},` +
  '"client":{"ip":"127.0.0.1","port":5123,"tls":"TLSv1.3","application":"psql","user":"whoever","via":"wire"},' +
  '"claimed":{"agent":"report-bot","run":"run-42","intent":"(sealed)"},' +
  '"database":{"name":"shop","login":"shop_reader","backend":4711,"server_version":"18.4"}';
const session = '"session":"<uuid>"';
const head = (type: string) => `{"v":1,"id":"<uuid>","type":"${type}","time":"<time>","node":"gw-1",`;

test("leaves are the records of SPEC section 5, byte for byte", async () => {
  const log = await open(at);
  const context = log.session({ ...sessionRecord, session: uuidv7() });
  log.sessionStart(context);
  const sent = intend(log, context);
  await safe(log, "process");
  conclude(log, context, sent);
  log.sessionEnd(context, {
    reason: "client left",
    statements: 1,
    bytesIn: 10,
    bytesOut: 20,
    durationMs: 30,
  });
  log.authFailed({
    code: "TOKEN_EXPIRED",
    cause: "exp is 5 s ago",
    ip: "127.0.0.1",
    port: 9,
    tls: null,
    user: "mary",
    database: "shop",
    application: null,
    tokenSha256: "cd".repeat(32),
  });
  log.event("config.changed", { digest: "sha256:00" });
  await log.close();
  const stored = lines(at)
    .filter((l) => l.tag === "L")
    .map((l) => still(l.text));
  expect(stored).toEqual([
    `${head("log.opened")}"log":"test/gw-1/0","version":"0.0.0-test","public_key":"<vkey>","cluster":"test","durability":"process","previous":null}`,
    `${head("session.start")}${session},${facts},"sealed":{"key":"<day>","frame":0,"at":0,"digest":"<digest>"}}`,
    `${head("statement.intent")}${session},"request":"<uuid>",${facts},` +
      '"statement":{"protocol":"extended","index":0,"sql":"select email from customers where id = $1",' +
      '"sealed":{"key":"<day>","frame":0,"at":1,"digest":"<digest>"},"fingerprint":"f00d","kind":"select","command":"SELECT",' +
      '"effects":["read"],"reads":["public.customers"],"writes":[],"columns":null,"functions":null,"labels":null,' +
      '"search_path":null,"transaction":{"state":"I","id":null},"name":"","portal":""},"parameters":[{"type":"int4"}],' +
      '"decision":{"verdict":"allow","rule":"agents-read","rules":["agents-read"],"code":null,"policy":null,"masked":[],"limits":{}},"approval":null}',
    `${head("statement.outcome")}${session},"request":"<uuid>","intent":{"log":"test/gw-1/0","index":2},"status":"ok","sqlstate":null,` +
      '"tag":"SELECT 1","result":{"columns":[{"name":"email","type":"text","origin":"public.customers.email","masked":true}],' +
      '"rows":1,"bytes":12,"complete":true,"digests":{"delivered":{"alg":"sha256-salted-v1","value":"<digest>"},"source":null},' +
      '"capture":null},"rows_affected":null,"duration_us":1234,"first_row_us":800,"sealed":null}',
    `${head("session.end")}${session},${facts},"reason":"client left","statements":1,"bytes_in":10,"bytes_out":20,"duration_ms":30}`,
    `${head("auth.failed")}"code":"TOKEN_EXPIRED","cause":"exp is 5 s ago","client":{"ip":"127.0.0.1","port":9,"tls":null,"application":null,"user":"mary","via":"wire"},"database":{"name":"shop"},"token":{"sha256":"${"cd".repeat(32)}"}}`,
    `${head("config.changed")}"digest":"sha256:00"}`,
    `${head("log.closed")}"reason":"shutdown"}`,
  ]);
});

test("ids are version 7 UUIDs that sort in the order of the records; times do not run backwards", async () => {
  await writeSample(at);
  const all = leaves(at);
  const ids = all.map((l) => l.id);
  expect(ids).toEqual([...ids].sort());
  expect(new Set(ids).size).toBe(ids.length);
  const many = Array.from({ length: 20_000 }, uuidv7);
  expect(many).toEqual([...many].sort());
  expect(new Set(many).size).toBe(many.length);
  for (const id of many.slice(0, 100))
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

describe("a reader written from docs/audit-format.md alone", () => {
  /** Follows the document: gives the leaf hashes after having checked every line. */
  function read(): { leaves: Buffer[]; plain: Map<number, string[]> } {
    const vkey = readFileSync(join(at.dir, "log.vkey"), "utf8").trim();
    const [name = "", id = "", body = ""] = vkey.split(/\+(?=[0-9a-f]{8}\+)|(?<=\+[0-9a-f]{8})\+/);
    const raw = Buffer.from(body, "base64").subarray(1);
    const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
    const key = createPublicKey({ key: spki, format: "der", type: "spki" });
    const master = Buffer.from(readFileSync(join(at.settings.keys, "master.key"), "utf8"), "base64");
    const derive = (purpose: string) => Buffer.from(hkdfSync("sha256", master, name, purpose, 32));
    const found: Buffer[] = [];
    const plain = new Map<number, string[]>();
    let previous: Buffer = Buffer.alloc(32);
    for (const file of segments(at)) {
      const first = Number(file.slice(0, 20));
      expect(first).toBe(found.length);
      let chain = sha(`postern-segment-v1\n${name}\n${first}\n`, previous);
      const since: (string | Buffer)[] = [];
      let open: { frame: number; day: string; pieces: Buffer[] } | null = null;
      for (const line of readFileSync(join(at.dir, "segments", file), "utf8").split(/(?<=\n)/)) {
        const text = line.slice(2, -1);
        if (line.startsWith("L ")) {
          const leaf = sha(Buffer.from([0]), text);
          found.push(leaf);
          since.push(leaf);
          continue;
        }
        if (line.startsWith("S ")) {
          const [frame = "", day = "", piece = ""] = text.split(" ");
          if (Number(frame) !== open?.frame) open = { frame: Number(frame), day, pieces: [] };
          open.pieces.push(Buffer.from(piece, "base64"));
        } else if (line.startsWith("T ")) {
          const { frame = -1, day = "", pieces = [] } = open ?? {};
          const wrapped = Buffer.from(readFileSync(join(at.dir, "keys", `${day}.key`), "utf8"), "base64");
          const dayKey = openGcm(derive("postern-wrap-v1"), wrapped, `postern-day-key-v1\n${name}\n${day}`);
          const sealed = Buffer.concat([...pieces, Buffer.from(text, "base64")]);
          const content = openGcm(dayKey, sealed, `${name}\n${frame}\n${day}`).toString("utf8");
          expect(content.endsWith("\n")).toBe(true);
          plain.set(frame, content.slice(0, -1).split("\n"));
          open = null;
        } else {
          chain = sha(chain, ...since.splice(0));
          if (line.startsWith("B "))
            expect(text).toBe(createHmac("sha256", derive("postern-tail-v1")).update(chain).digest("base64"));
          else checkNote(Buffer.from(text, "base64").toString("utf8"), name, id, key, found, chain);
        }
        since.push(line);
      }
      previous = sha(chain, ...since);
    }
    return { leaves: found, plain };
  }

  function openGcm(key: Buffer, sealed: Buffer, aad: string): Buffer {
    const d = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
    d.setAAD(Buffer.from(aad)).setAuthTag(sealed.subarray(-16));
    return Buffer.concat([d.update(sealed.subarray(12, -16)), d.final()]);
  }

  function root(hashes: readonly Buffer[]): Buffer {
    if (hashes.length === 0) return sha();
    if (hashes.length === 1) return hashes[0] ?? sha();
    let k = 1;
    while (k * 2 < hashes.length) k *= 2;
    return sha(Buffer.from([1]), root(hashes.slice(0, k)), root(hashes.slice(k)));
  }

  function checkNote(
    note: string,
    name: string,
    id: string,
    key: ReturnType<typeof createPublicKey>,
    found: Buffer[],
    chain: Buffer,
  ): void {
    const [text = "", signatures = ""] = note.split(/(?<=\n)\n/);
    const [origin, size, rootText, chainText, time, end] = text.split("\n");
    expect([origin, size, rootText, chainText, end]).toEqual([
      name,
      String(found.length),
      root(found).toString("base64"),
      `chain ${chain.toString("base64")}`,
      "",
    ]);
    expect(time).toMatch(/^time \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    const match = /^\u2014 (\S+) (\S+)\n$/.exec(signatures);
    expect(match?.[1]).toBe(name);
    const signature = Buffer.from(match?.[2] ?? "", "base64");
    expect(signature.subarray(0, 4).toString("hex")).toBe(id);
    expect(
      sha(
        `${name}\n`,
        Buffer.from([1]),
        Buffer.from(key.export({ format: "der", type: "spki" })).subarray(-32),
      )
        .subarray(0, 4)
        .toString("hex"),
    ).toBe(id);
    expect(verify(null, Buffer.from(text), key, signature.subarray(4))).toBe(true);
  }

  test("agrees with every line, opens every frame, and finds every salted digest", async () => {
    await writeSample(at);
    const { leaves: hashes, plain } = read();
    const records = leaves(at);
    expect(hashes.length).toBe(records.length);
    expect(Buffer.concat(hashes).equals(readFileSync(join(at.dir, "leaves")))).toBe(true);
    let sealed = 0;
    const salts = new Map<number, string>();
    for (const [index, record] of records.entries()) {
      const where = record.statement?.sealed ?? record.sealed;
      if (where === null || where === undefined) continue;
      sealed++;
      const line = plain.get(where.frame)?.[where.at] ?? "";
      const [salt = "", json = ""] = [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)];
      salts.set(index, salt);
      expect(sha(Buffer.from(salt, "base64"), json).toString("base64")).toBe(where.digest);
      const content = JSON.parse(json);
      if (record.type === "statement.intent")
        expect(content).toEqual({
          sql: "select email from customers where id = 7",
          parameters: ["7"],
          claimed: { intent: "find the big spenders" },
        });
      else if (record.type === "session.start")
        expect(content).toEqual({ email: "mary@example.com", claimed: { intent: "find the big spenders" } });
      else expect(content).toEqual({});
    }
    let digests = 0;
    for (const [index, record] of records.entries()) {
      if (record.type !== "statement.outcome") continue;
      digests++;
      const row = Buffer.from("D\0\0\0\x0b\0\x01\0\0\0\x01\x30", "latin1");
      const salt = salts.get(record.sealed === null ? record.intent.index : index) ?? "";
      expect(Buffer.from(salt, "base64").length).toBe(18);
      const value = sha(row, Buffer.from(salt, "base64")).toString("base64");
      expect(record.result.digests.delivered).toEqual({ alg: "sha256-salted-v1", value });
    }
    // One intent in two has had two outcomes: the second brings its own salt.
    expect([sealed, digests]).toEqual([8, 6]);
  });

  test("nothing personal stands in the clear", async () => {
    await writeSample(at);
    const clear = segments(at)
      .map((s) => readFileSync(join(at.dir, "segments", s), "latin1"))
      .join("");
    for (const secret of ["id = 7", "big spenders", "mary@example.com", "never in the log"])
      expect(clear).not.toContain(secret);
  });
});
