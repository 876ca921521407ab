import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import {
  createServer as createHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, createServer as createTcp, type Socket, type Server as TcpServer } from "node:net";
import { networkInterfaces } from "node:os";
import { join, resolve } from "node:path";
import { createServer as createTls } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { toCef } from "../../src/audit/export/cef.ts";
import { readCursor, writeCursor } from "../../src/audit/export/cursor.ts";
import { encodeMany, encodeOne } from "../../src/audit/export/encode.ts";
import { nanoseconds } from "../../src/audit/export/otlp.ts";
import { type ExportRecord, formats } from "../../src/audit/export/record.ts";
import type { StreamSettings, StreamTarget } from "../../src/audit/export/settings.ts";
import { CursorMismatch, type ExportCursor, ExportSource } from "../../src/audit/export/source.ts";
import { startExport } from "../../src/audit/export/streams.ts";
import { syslogMessage } from "../../src/audit/export/syslog.ts";
import { createAuthority } from "../support/certificates.ts";
import { leaves, lines, open, type Place, place, segments, sessionRecord } from "./helpers.ts";
import { people, placeOf, say, writeVaried } from "./index-helpers.ts";

const product = { version: "9.9.9" };
const ipv6 = (networkInterfaces().lo ?? []).some(({ family }) => family === "IPv6");
let at: Place;
beforeAll(async () => {
  at = place();
  await writeVaried(at);
});
afterAll(() => at.remove());

function all(from: Place, step = 100_000): ExportRecord[] {
  const source = new ExportSource(placeOf(from), null);
  const found: ExportRecord[] = [];
  for (let records = source.read(step, 1e9); records.length > 0; records = source.read(step, 1e9))
    found.push(...records);
  return found;
}

// biome-ignore lint/suspicious/noExplicitAny: events of every shape
const parsed = (record: ExportRecord, format: (typeof formats)[number]): any =>
  JSON.parse(encodeOne(record, format, product));

describe("the record's JSON schema", () => {
  const schema = z.fromJSONSchema(
    JSON.parse(readFileSync(resolve(import.meta.dirname, "../../docs/audit-record.schema.json"), "utf8")),
  );

  test("fits every record a log writes", () => {
    const types = new Set<string>();
    for (const leaf of leaves(at)) {
      const result = schema.safeParse(leaf);
      expect({ type: leaf.type, error: result.error?.issues ?? null }).toEqual({
        type: leaf.type,
        error: null,
      });
      types.add(leaf.type);
    }
    expect([...types].sort()).toEqual([
      "admin.action",
      "auth.failed",
      "log.closed",
      "log.opened",
      "log.recovered",
      "session.end",
      "session.start",
      "statement.intent",
      "statement.outcome",
    ]);
  });

  test("does not fit what a record is not", () => {
    const intent = leaves(at).find((l) => l.type === "statement.intent");
    const outcome = leaves(at).find((l) => l.type === "statement.outcome");
    for (const wrong of [
      { ...intent, v: 2 },
      { ...intent, decision: { ...intent.decision, verdict: "maybe" } },
      { ...intent, statement: { ...intent.statement, effects: ["fly"] } },
      { ...intent, principal: undefined },
      { ...outcome, status: "fine" },
      { ...outcome, intent: 7 },
      { ...outcome, sqlstate: "oops" },
      { ...intent, type: "statement.other" },
      { ...intent, time: "yesterday" },
      {},
    ])
      expect(schema.safeParse(JSON.parse(JSON.stringify(wrong))).success).toBe(false);
  });
});

describe("formats", () => {
  test("jsonl: the stored bytes can be told from the line", () => {
    const stored = lines(at).filter((l) => l.tag === "L");
    for (const record of all(at)) {
      const line = encodeOne(record, "jsonl", product);
      expect(line.includes("\n")).toBe(false);
      // No name twice: what is strict would refuse the line, and the export would stand still.
      const opened = record.leaf.type === "log.opened";
      const prefix = `{${opened ? "" : '"log":"test/gw-1/0",'}"index":${record.index},`;
      const names = [...line.matchAll(/"(?:[^"\\]|\\.)*"(?=:)/g)].map(([name]) => name);
      expect(names.filter((name) => name === '"log"').length).toBe(
        record.leaf.intent === undefined && record.leaf.intents === undefined ? 1 : 2,
      );
      expect(JSON.parse(line).log).toBe("test/gw-1/0");
      expect(line.startsWith(prefix)).toBe(true);
      const leaf = `{${line.slice(prefix.length)}`;
      expect(leaf).toBe(stored[record.index]?.text);
      expect(createHash("sha256").update(`\0${leaf}`).digest("hex")).toBe(record.hash);
    }
  });

  test("ocsf: what each class requires is there, ids are consistent, nothing is null", () => {
    for (const record of all(at)) {
      const event = parsed(record, "ocsf");
      expect(event.type_uid).toBe(event.class_uid * 100 + event.activity_id);
      expect(event.category_uid).toBe(Math.floor(event.class_uid / 1000));
      expect(event).toMatchObject({
        time: Date.parse(String(record.leaf.time)),
        severity_id: expect.any(Number),
        status_id: expect.any(Number),
        metadata: {
          version: "1.8.0",
          uid: record.leaf.id,
          sequence: record.index,
          product: { vendor_name: "Postern" },
        },
        unmapped: { leaf_sha256: record.hash },
      });
      expect(JSON.stringify(event)).not.toMatch(/:null[,}]|\{\}|\[\]/);
      expect(event.src_endpoint.ip ?? event.src_endpoint.name).toEqual(expect.any(String));
      if (event.class_uid === 6005) {
        expect(event.actor.user.uid).toEqual(expect.any(String));
        expect(event.database.name).toEqual(expect.any(String));
        expect([1, 2, 4, 5, 6, 7, 99]).toContain(event.activity_id);
      } else if (event.class_uid === 3002) expect(event.user.name).toEqual(expect.any(String));
      else
        expect(event).toMatchObject({
          class_uid: 6003,
          actor: expect.anything(),
          api: { operation: expect.any(String) },
        });
    }
    const denied = all(at)
      .filter((r) => r.leaf.type === "statement.outcome" && r.leaf.status === "denied")
      .map((r) => parsed(r, "ocsf"));
    expect(denied.length).toBe(4);
    for (const event of denied)
      expect(event).toMatchObject({
        class_uid: 6005,
        activity_id: 2,
        action_id: 2,
        disposition_id: 2,
        status_id: 2,
        is_alert: true,
        status_code: "42501",
        policy: { name: "rule-1" },
        table: { name: "public.orders" },
        query_info: {
          query_string: "update public.orders set status = $1 where customer_email = $2",
          uid: "beef",
        },
      });
  });

  test("ecs: categories from the closed lists, times in nanoseconds", () => {
    const categories = new Set(["database", "session", "authentication", "configuration"]);
    const types = new Set([
      "access",
      "admin",
      "allowed",
      "change",
      "denied",
      "end",
      "error",
      "info",
      "start",
    ]);
    for (const record of all(at)) {
      const event = parsed(record, "ecs");
      expect(event["@timestamp"]).toBe(record.leaf.time);
      expect(event.event.id).toBe(record.leaf.id);
      expect(event.event.sequence).toBe(record.index);
      for (const c of event.event.category ?? []) expect(categories).toContain(c);
      for (const t of event.event.type) expect(types).toContain(t);
      expect(["success", "failure", "unknown"]).toContain(event.event.outcome);
      expect(JSON.stringify(event)).not.toContain('"sealed":{');
    }
    const ok = all(at).find(
      (r) => r.leaf.type === "statement.outcome" && r.leaf.status === "ok" && r.intent !== null,
    );
    expect(parsed(ok ?? expect.fail(), "ecs")).toMatchObject({
      event: { outcome: "success", duration: 10_000, action: "statement.outcome" },
      user: { id: "mary", roles: ["agents", "analysts"] },
      source: { ip: "127.0.0.1", port: 5123 },
      tls: { version: "1.3" },
      postern: {
        database: { name: "shop" },
        statement: { sql: "select email from customers where id = $1" },
      },
    });
  });

  test("otlp: attributes of the semantic conventions, integers as strings, trace ids", () => {
    const records = all(at);
    const { body, type } = encodeMany(records, "otlp", product);
    expect(type).toBe("application/json");
    const request = JSON.parse(body);
    expect(request.resourceLogs).toHaveLength(1);
    const logs = request.resourceLogs[0].scopeLogs[0].logRecords;
    expect(logs).toHaveLength(records.length);
    const get = (log: { attributes: { key: string; value: Record<string, unknown> }[] }, key: string) =>
      log.attributes.find((a) => a.key === key)?.value;
    for (const [i, log] of logs.entries()) {
      expect(log.timeUnixNano).toMatch(/^\d{19}$/);
      expect(get(log, "log.record.uid")).toEqual({ stringValue: records[i]?.leaf.id });
      expect(get(log, "postern.index")).toEqual({ intValue: String(i) });
      expect(new Set(log.attributes.map((a: { key: string }) => a.key)).size).toBe(log.attributes.length);
    }
    const bob = logs.find(
      (l: (typeof logs)[0]) => l.eventName === "postern.statement.outcome" && l.traceId !== undefined,
    );
    expect(bob).toMatchObject({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" });
    expect(get(bob, "db.system.name")).toEqual({ stringValue: "postgresql" });
    expect(get(bob, "db.namespace")).toEqual({ stringValue: "crm" });
    expect(get(bob, "db.query.summary")).toEqual({ stringValue: "SELECT public.customers" });
    expect(nanoseconds("2026-11-22T10:00:00.123456Z")).toBe("1795341600123456000");
    expect(nanoseconds("2026-11-22T10:00:00Z")).toBe("1795341600000000000");
    expect(nanoseconds("never")).toBe("0");
  });

  test("cef: fields come back as they were, whatever stands in them", () => {
    const record = all(at).find((r) => r.leaf.type === "statement.intent") ?? expect.fail();
    const nasty = "a=b\\c|d\ne\rf=|\\";
    const leaf = {
      ...record.leaf,
      type: "statement.intent",
      principal: { subject: nasty, kind: "human" },
      statement: { sql: `select '${nasty}'` },
    };
    const line = toCef({ ...record, leaf }, { version: "1|0\\" });
    expect(line).not.toMatch(/[\r\n]/);
    expect(line.startsWith("CEF:0|Postern|Postern|1\\|0\\\\|statement.intent|Statement|1|")).toBe(true);
    const value = (key: string) => {
      const found =
        new RegExp(`(?:^|[| ])${key}=((?:\\\\.|[^\\\\=])*?)(?= [A-Za-z0-9]+=|$)`).exec(line)?.[1] ?? "";
      return found.replace(/\\(.)/g, (_, c) => ({ n: "\n", r: "\r" })[c as string] ?? c);
    };
    expect(value("suid")).toBe(nasty);
    expect(value("cs1")).toBe(`select '${nasty}'`);
    expect(value("externalId")).toBe(record.leaf.id);
    expect(line).toContain("cs1Label=sql");
    const unseen = toCef(
      { ...record, leaf: { ...leaf, principal: { subject: "a\u2028CEF:0|\u0085b\v\u001cc" } } },
      product,
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may be left
    expect(unseen).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
    expect(unseen).toContain("suid=a CEF:0| b  c ");
    const wide = all(at).find(
      (r) => r.leaf.type === "statement.intent" && String(JSON.stringify(r.leaf)).includes("column_2499"),
    );
    expect(toCef(wide ?? expect.fail(), product).length).toBeLessThan(20_000);
  });

  test("no format lets out what is sealed, or throws for a record of any shape", () => {
    for (const format of formats) {
      const { body } = encodeMany(all(at), format, product);
      for (const secret of ["Secret 0", "value-0-0", "mary@example.com", "big spenders", "never in the log"])
        expect(body).not.toContain(secret);
      for (const leaf of [
        {},
        { type: 7, principal: "x", statement: [], time: null },
        { type: "statement.outcome" },
        { type: "statement.intent", statement: { reads: [1] } },
      ]) {
        const odd = { log: "l", index: 0, hash: "", stored: JSON.stringify(leaf), leaf, intent: null };
        expect(() => encodeOne(odd, format, product)).not.toThrow();
      }
    }
  });
});

describe("reading for an export", () => {
  test("every record once, in order, outcomes with their intents, whatever the steps and restarts", () => {
    const whole = all(at);
    expect(whole.map((r) => r.index)).toEqual(leaves(at).map((_, i) => i));
    const outcomes = whole.filter((r) => r.leaf.type === "statement.outcome");
    for (const r of outcomes)
      expect(r.intent).toEqual(whole[(r.leaf.intent as { index: number }).index]?.leaf);
    for (const step of [1, 3, 17]) {
      expect(all(at, step)).toEqual(whole);
      // A new process after each acknowledgement.
      let cursor: ExportCursor | null = null;
      const pieces: ExportRecord[] = [];
      for (;;) {
        const source: ExportSource = new ExportSource(placeOf(at), cursor);
        const records = source.read(step, 5000);
        if (records.length === 0) break;
        pieces.push(...records);
        cursor = JSON.parse(JSON.stringify(source.cursor()));
      }
      expect(pieces).toEqual(whole);
    }
  });

  test("segments that are pruned while it is under way are counted as lost", async () => {
    const other = place();
    try {
      await writeVaried(other, 2);
      const dir = { name: "", dir: other.dir };
      const source = new ExportSource(dir, null);
      const first = source.read(5, 1);
      expect(source.lost).toBe(0);
      const names = readdirSync(join(other.dir, "segments")).sort();
      const left = Number(names.at(-2)?.slice(0, -4));
      for (const name of names.slice(0, -2)) rmSync(join(other.dir, "segments", name));
      const rest: number[] = [];
      for (let got = source.read(50, 1e6); got.length > 0; got = source.read(50, 1e6))
        rest.push(...got.map(({ index }) => index));
      const given = new Set([...first.map(({ index }) => index), ...rest]);
      expect(given.has(left)).toBe(true);
      expect(source.lost).toBe(Math.max(...rest) + 1 - given.size);
      expect(source.lost).toBeGreaterThan(0);
    } finally {
      other.remove();
    }
  });

  test("a log that was put back to an older copy is noticed", async () => {
    const other = place();
    try {
      const first = await open(other);
      const session = first.session(sessionRecord);
      say(first, session).end();
      await first.close();
      const [segment] = segments(other);
      const path = join(other.dir, "segments", segment ?? "");
      const before = readFileSync(path);
      const again = await open(other);
      say(again, again.session(people[1] ?? expect.fail())).end();
      await again.close();
      const source = new ExportSource(placeOf(other), null);
      const count = source.read(1000, 1e9).length;
      expect(count).toBe(leaves(other).length);
      const cursor = source.cursor();
      writeFileSync(path, before);
      expect(() => new ExportSource(placeOf(other), cursor).read(10, 1e9)).toThrow(CursorMismatch);
    } finally {
      other.remove();
    }
  });

  test("a cursor that is damaged is not taken for none", () => {
    const other = place();
    try {
      expect(readCursor(other.root, "x")).toBeNull();
      const cursor = { log: "a/b/0", next: 7, last: "ab", from: { first: 0, offset: 10, index: 3 } };
      writeCursor(other.root, "x", cursor);
      expect(readCursor(other.root, "x")).toEqual(cursor);
      mkdirSync(join(other.root, "exports"), { recursive: true });
      for (const wrong of ["", "{", "{}", '{"v":1,"log":"a","next":-1}', '{"v":2,"log":"a","next":1}']) {
        writeFileSync(join(other.root, "exports", "x.json"), wrong);
        expect(() => readCursor(other.root, "x")).toThrow("cursor");
      }
    } finally {
      other.remove();
    }
  });
});

describe("streaming", () => {
  const closers: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    rmSync(join(at.dir, "exports"), { recursive: true, force: true });
  });

  const target = (change: Partial<StreamTarget>): StreamTarget => ({
    name: "out",
    kind: "webhook",
    url: "",
    format: "jsonl",
    authorization: null,
    ca: null,
    start: "beginning",
    ...change,
  });
  const start = (to: StreamTarget, change: Partial<StreamSettings> = {}, dir = at.dir) => {
    const stream = startExport({
      dir,
      target: to,
      version: "9.9.9",
      batch: { records: 20, bytes: 1e6 },
      pollMs: 10,
      retryMs: { first: 5, most: 20 },
      timeoutMs: 5000,
      ...change,
    });
    closers.push(() => stream.close());
    return stream;
  };
  const http = async (
    answer: (request: IncomingMessage, body: string, response: ServerResponse) => void,
  ): Promise<string> => {
    const server: Server = createHttp((request, response) => {
      let body = "";
      request
        .setEncoding("utf8")
        .on("data", (d) => (body += d))
        .on("end", () => answer(request, body, response));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    closers.push(
      () =>
        new Promise<void>((done) => {
          server.closeAllConnections();
          server.close(() => done());
        }),
    );
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`;
  };
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await new Promise((wake) => setTimeout(wake, 10));
  };
  const ids = (body: string) =>
    body
      .split("\n")
      .filter((l) => l !== "")
      .map((l) => JSON.parse(l).id as string);
  const wanted = () => leaves(at).map((l) => l.id as string);

  test("a receiver that fails now and then gets every record, in order, and knows repetitions by their id", {
    timeout: 60_000,
  }, async () => {
    const seen: string[] = [];
    const keys = new Map<string, string>();
    let call = 0;
    const url = await http((request, body, response) => {
      call++;
      expect(request.headers.authorization).toBe("Bearer abc");
      const key = String(request.headers["idempotency-key"]);
      expect(keys.get(key) ?? body).toBe(body);
      keys.set(key, body);
      if (call % 4 === 1) response.writeHead(503, { "retry-after": "0" }).end();
      else if (call % 4 === 2) request.socket.destroy();
      else if (call % 4 === 3) {
        // Taken, but the answer is lost.
        seen.push(...ids(body));
        request.socket.destroy();
      } else {
        seen.push(...ids(body));
        response.writeHead(204).end();
      }
    });
    const stream = start(target({ url, authorization: "Bearer abc" }));
    await until(() => stream.state.caughtUpMs !== null);
    expect([...new Set(seen)]).toEqual(wanted());
    expect(seen.length).toBeGreaterThan(wanted().length);
    expect(stream.state).toMatchObject({ next: wanted().length, problem: null });
  });

  test("goes on from the last acknowledgement after it was ended at any moment", {
    timeout: 60_000,
  }, async () => {
    const seen: string[] = [];
    const url = await http((_request, body, response) => {
      seen.push(...ids(body));
      setTimeout(() => response.writeHead(200).end(), 5);
    });
    for (let round = 0; round < 4; round++) {
      const before = seen.length;
      const stream = start(target({ url }), { batch: { records: 7, bytes: 1e6 } });
      await until(
        () => seen.length >= Math.min(before + 25, wanted().length) || stream.state.caughtUpMs !== null,
      );
      await stream.close();
    }
    const last = start(target({ url }));
    await until(() => last.state.caughtUpMs !== null);
    expect([...new Set(seen)]).toEqual(wanted());
    // Only what was under way at an end is repeated.
    expect(seen.length).toBeLessThanOrEqual(wanted().length + 4 * 7);
  });

  test("a receiver that asks to try again at once is not stormed", { timeout: 60_000 }, async () => {
    let calls = 0;
    const url = await http((_request, _body, response) => {
      calls++;
      response
        .writeHead(429, { "retry-after": calls % 2 === 0 ? "0" : "Thu, 01 Jan 1970 00:00:00 GMT" })
        .end();
    });
    const stream = start(target({ url }), { retryMs: { first: 300, most: 60_000 } });
    await until(() => calls >= 3);
    const since = performance.now();
    await until(() => calls >= 6);
    // Three pauses: never shorter than asked of it, however slow the machine is.
    expect(performance.now() - since).toBeGreaterThan(700);
    expect(stream.state.problem).toBe("the receiver answered 429");
  });

  test("what was taken is not sent again while that cannot be written down", {
    timeout: 60_000,
  }, async () => {
    const seen: string[] = [];
    const url = await http((_request, body, response) => {
      seen.push(...ids(body));
      response.writeHead(200).end();
    });
    // A file in the place of the cursors' folder.
    writeFileSync(join(at.dir, "exports"), "");
    const stream = start(target({ url }));
    await until(() => /cannot be written down \(E[A-Z]+\)/.test(stream.state.problem ?? ""));
    await new Promise((wake) => setTimeout(wake, 100));
    rmSync(join(at.dir, "exports"));
    await until(() => stream.state.caughtUpMs !== null);
    expect(seen).toEqual(wanted());
    expect(stream.state).toMatchObject({ next: wanted().length, problem: null });
  });

  test("a batch that is too large is halved", { timeout: 60_000 }, async () => {
    const seen: string[] = [];
    const url = await http((_request, body, response) => {
      const records = ids(body);
      if (records.length > 3) response.writeHead(413).end();
      else {
        seen.push(...records);
        response.writeHead(200).end();
      }
    });
    const stream = start(target({ url }));
    await until(() => stream.state.caughtUpMs !== null);
    expect(seen).toEqual(wanted());
  });

  test("otlp: what a collector refuses for good is counted; redirects are no acknowledgement", {
    timeout: 60_000,
  }, async () => {
    let moved = true;
    let count = 0;
    const url = await http((request, body, response) => {
      expect(request.headers["content-type"]).toBe("application/json");
      if (moved) {
        moved = false;
        response.writeHead(307, { location: "http://127.0.0.1:1/" }).end();
        return;
      }
      count += JSON.parse(body).resourceLogs[0].scopeLogs[0].logRecords.length;
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(count > 20 ? "{}" : '{"partialSuccess":{"rejectedLogRecords":"2"}}');
    });
    const stream = start(target({ url, kind: "otlp", format: "otlp" }));
    await until(() => stream.state.caughtUpMs !== null);
    expect(count).toBe(wanted().length);
    expect(stream.state.rejected).toBe(2);
  });

  test("begins with what comes from now on, when asked to, and follows the log", {
    timeout: 60_000,
  }, async () => {
    const other = place();
    try {
      await writeVaried(other, 1);
      const seen: string[] = [];
      const url = await http((_request, body, response) => {
        seen.push(...ids(body));
        response.writeHead(200).end();
      });
      const stream = start(target({ url, start: "now" }), {}, other.dir);
      await until(() => stream.state.caughtUpMs !== null);
      const before = leaves(other).length;
      expect(seen).toEqual([]);
      const log = await open(other);
      const session = log.session(sessionRecord);
      for (let n = 0; n < 30; n++) say(log, session).end();
      await log.close();
      const after = leaves(other)
        .slice(before)
        .map((l) => l.id);
      await until(() => seen.length >= after.length);
      expect(seen).toEqual(after);
      await stream.close();
    } finally {
      other.remove();
    }
  });

  /** Collects messages in octet counting (RFC 6587); `lose` ends that many connections at their first bytes. */
  const receiver = (server: TcpServer, lose = 0): { messages: string[] } => {
    const messages: string[] = [];
    let left = lose;
    server.on("secureConnection", take).on("connection", (socket) => {
      if (!("setSecureContext" in server)) take(socket);
    });
    function take(socket: Socket): void {
      let data = Buffer.alloc(0);
      socket.on("error", () => {});
      socket.on("data", (chunk) => {
        if (left > 0) {
          left--;
          socket.destroy();
          return;
        }
        data = Buffer.concat([data, chunk]);
        for (let space = data.indexOf(0x20); space > 0; space = data.indexOf(0x20)) {
          const length = Number(data.toString("latin1", 0, space));
          expect(length).toBeGreaterThan(0);
          if (data.length < space + 1 + length) break;
          messages.push(data.toString("utf8", space + 1, space + 1 + length));
          data = data.subarray(space + 1 + length);
        }
      });
    }
    return { messages };
  };
  const listen = async (server: TcpServer): Promise<number> => {
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    closers.push(() => new Promise<void>((done) => server.close(() => done())));
    return (server.address() as AddressInfo).port;
  };
  const message = /^<(\d+)>1 (\S+) gw-1 postern - (\S+) \[meta sequenceId="(\d+)"\] (\{.*\})$/s;

  test("syslog over TCP: RFC 5424 messages; a connection that is lost loses nothing", {
    timeout: 60_000,
  }, async () => {
    const server = createTcp();
    const { messages } = receiver(server, 2);
    const port = await listen(server);
    const stream = start(target({ kind: "syslog", url: `tcp://127.0.0.1:${port}` }), {
      batch: { records: 100, bytes: 1e7 },
    });
    await until(() => stream.state.caughtUpMs !== null);
    await stream.close();
    const read = messages.map((m) => message.exec(m) ?? expect.fail(m.slice(0, 200)));
    expect([...new Set(read.map((m) => JSON.parse(m[5] ?? "").id))]).toEqual(wanted());
    expect(read.every((m) => Math.floor(Number(m[1]) / 8) === 13)).toBe(true);
    expect(Number(read[3]?.[4])).toBe(4);
  });

  test("syslog over TLS: only to a receiver whose certificate is trusted", { timeout: 60_000 }, async () => {
    const authority = createAuthority();
    const { cert, key } = authority.issue();
    const server = createTls({ cert, key });
    const { messages } = receiver(server);
    const port = await listen(server);
    const untrusted = start(target({ kind: "syslog", url: `tls://localhost:${port}` }));
    await until(() => untrusted.state.problem !== null);
    expect(untrusted.state.next).toBe(0);
    await untrusted.close();
    expect(messages).toEqual([]);
    const stream = start(target({ kind: "syslog", url: `tls://localhost:${port}`, ca: authority.cert }), {
      batch: { records: 200, bytes: 1e7 },
    });
    await until(() => stream.state.caughtUpMs !== null);
    await stream.close();
    expect(messages.length).toBe(wanted().length);
  });

  test("syslog over UDP: one datagram a record", { timeout: 60_000 }, async () => {
    const udp = createSocket("udp4");
    const seen: string[] = [];
    udp.on("message", (m) => seen.push(m.toString("utf8")));
    await new Promise<void>((done) => udp.bind(0, "127.0.0.1", done));
    closers.push(() => new Promise<void>((done) => udp.close(done)));
    const stream = start(
      target({ kind: "syslog", format: "cef", url: `udp://127.0.0.1:${udp.address().port}` }),
    );
    await until(() => stream.state.caughtUpMs !== null && seen.length > 0);
    expect(seen[0]).toMatch(
      /^<109>1 \S+ gw-1 postern - log\.opened \[meta sequenceId="1"\] CEF:0\|Postern\|/,
    );
  });

  test.skipIf(!ipv6)("syslog over UDP to an IPv6 address", { timeout: 60_000 }, async () => {
    const udp = createSocket("udp6");
    const seen: string[] = [];
    udp.on("message", (m) => seen.push(m.toString("utf8")));
    await new Promise<void>((done) => udp.bind(0, "::1", done));
    closers.push(() => new Promise<void>((done) => udp.close(done)));
    const stream = start(target({ kind: "syslog", url: `udp://[::1]:${udp.address().port}` }));
    await until(() => stream.state.caughtUpMs !== null && seen.length > 0);
    expect(seen[0]).toMatch(/^<109>1 \S+ gw-1 postern /);
  });

  test("half of a surrogate pair is U+FFFD to those that parse, and as it is stored in the log's own form", () => {
    const name = "a\ud800b\\ud800c\\\udfff😀";
    const leaf = { id: "x", type: "session.start", principal: { subject: name }, client: { user: name } };
    const record = { log: "l", index: 1, hash: "", stored: JSON.stringify(leaf), leaf, intent: null };
    for (const format of ["ocsf", "ecs", "otlp"] as const) {
      const line = encodeOne(record, format, product);
      expect(line).not.toMatch(/(?<!\\)(?:\\\\)*\\ud/);
      expect(line).toContain("a\ufffdb\\\\ud800c\\\\\ufffd😀");
      JSON.parse(line);
    }
    expect(JSON.parse(encodeOne(record, "jsonl", product)).principal.subject).toBe(name);
  });

  test("a syslog header holds what its grammar allows, whatever the record says", () => {
    const leaf = { id: "x", type: "a b\n<1>", time: "2026-01-01 <evil>", node: 'n"]\u0000ö' };
    const line = syslogMessage(
      { log: "l", index: 2_147_483_647, hash: "", stored: "{}", leaf, intent: null },
      "jsonl",
      product,
    );
    expect(line.startsWith('<109>1 - n"]__ postern - a_b_<1> [meta sequenceId="1"] {')).toBe(true);
  });

  test("nothing is left in the log's folder but the cursor", () => {
    expect(readdirSync(at.dir).filter((f) => f === "exports")).toEqual([]);
  });
});
