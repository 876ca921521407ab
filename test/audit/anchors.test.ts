import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AnchoringLimits, startAnchoring } from "../../src/audit/anchors/anchoring.ts";
import { fileAnchor } from "../../src/audit/anchors/file.ts";
import { postgresAnchor } from "../../src/audit/anchors/postgres.ts";
import type { Anchor, AnchoredNote } from "../../src/audit/anchors/types.ts";
import { webhookAnchor, webhookSignature } from "../../src/audit/anchors/webhook.ts";
import type { AuditLog, OpenNews } from "../../src/audit/index.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { conclude, intend, leaves, lines, open, type Place, place, sessionRecord } from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => at.remove());

const fast: Partial<AnchoringLimits> = { everyMs: 10, leastMs: 1 };
const secret = (text: string) => ({ label: "test", read: async () => text });

function write(log: AuditLog, count: number): void {
  const session = log.session(sessionRecord);
  for (let i = 0; i < count; i++) conclude(log, session, intend(log, session));
}

/** Opens the log with these anchors, writes statements, closes it; the anchors get the last checkpoint. */
async function run(anchors: readonly Anchor[], count = 3, fork?: string): Promise<OpenNews[]> {
  const news: OpenNews[] = [];
  const log = await open(at, { anchors, tell: (n) => news.push(n), ...(fork === undefined ? {} : { fork }) });
  const anchoring = startAnchoring(log, anchors, () => {}, fast);
  write(log, count);
  await log.close();
  await anchoring.stop();
  return news;
}

/** A copy of the log's folder as it is now; gives a function that puts it back. */
function snapshot(name = "copy"): () => void {
  const copy = join(at.root, name);
  cpSync(at.dir, copy, { recursive: true });
  return () => {
    rmSync(at.dir, { recursive: true });
    cpSync(copy, at.dir, { recursive: true });
  };
}

describe("when checkpoints go out", () => {
  /** An anchor in memory that can be made to fail or to hang. */
  function memory() {
    const notes: AnchoredNote[] = [];
    const state = { mode: "works" as "works" | "fails" | "hangs", calls: 0 };
    const anchor: Anchor = {
      name: "memory",
      async put(checkpoint) {
        state.calls++;
        if (state.mode === "fails") throw Object.assign(new Error("no"), { code: "ECONNREFUSED" });
        if (state.mode === "hangs") await new Promise(() => {});
        notes.push(checkpoint);
      },
      recent: null,
      close: async () => {},
    };
    return { anchor, notes, state };
  }

  test("at the start, every so often, and at close: each is a checkpoint of the log", async () => {
    const { anchor, notes } = memory();
    const log = await open(at);
    const anchoring = startAnchoring(log, [anchor], () => {}, fast);
    await expect.poll(() => notes.length).toBe(1);
    expect(anchoring.unanchored).toBe(0);
    write(log, 2);
    expect(anchoring.unanchored).toBe(4);
    await log.settle();
    await expect.poll(() => notes.at(-1)?.size).toBe(5);
    await log.close();
    await anchoring.stop();
    const inLog = lines(at)
      .filter((l) => l.tag === "C")
      .map((l) => Buffer.from(l.text, "base64").toString("utf8"));
    expect(notes.map((n) => n.note)).toEqual(expect.arrayContaining([inLog[0], inLog.at(-1)]));
    for (const { note } of notes) expect(inLog).toContain(note);
    expect(notes.at(-1)).toMatchObject({ origin: "test/gw-1/0", size: leaves(at).length });
  });

  test("1,000 records do not wait for the time", async () => {
    const { anchor, notes } = memory();
    const log = await open(at);
    const anchoring = startAnchoring(log, [anchor], () => {}, { everyMs: 3_600_000, leastMs: 1 });
    await expect.poll(() => notes.length).toBe(1);
    write(log, 499);
    await log.settle();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(notes.length).toBe(1);
    write(log, 1);
    await log.settle();
    await expect.poll(() => notes.at(-1)?.size).toBe(1001);
    await log.close();
    await anchoring.stop();
  });

  test("a dead and a hanging anchor hold nothing up, are counted and told, and get the newest when they work again", async () => {
    const dead = memory();
    const slow = memory();
    dead.state.mode = "fails";
    slow.state.mode = "hangs";
    const told: { kind: string; anchor: string; why?: string; unanchored: number }[] = [];
    const log = await open(at);
    const anchoring = startAnchoring(
      log,
      [
        { ...dead.anchor, name: "dead" },
        { ...slow.anchor, name: "slow" },
      ],
      (news) => told.push(news),
      fast,
    );
    write(log, 50);
    await log.settle();
    await expect.poll(() => dead.state.calls, { timeout: 8000 }).toBeGreaterThan(1);
    expect(slow.state.calls).toBe(1);
    expect(anchoring.unanchored).toBe(101);
    expect(anchoring.states()).toMatchObject([
      { anchor: "dead", anchored: 0, unanchored: 101, failing: true },
      { anchor: "slow", anchored: 0, unanchored: 101, failures: 0 },
    ]);
    // Told once, not with each attempt.
    expect(told.filter((t) => t.kind === "failed")).toMatchObject([{ anchor: "dead", why: "ECONNREFUSED" }]);
    dead.state.mode = "works";
    await log.close();
    const end = await anchoring.stop(200);
    expect(end).toMatchObject([
      { anchor: "dead", unanchored: 0, failing: false },
      { anchor: "slow", unanchored: 102 },
    ]);
    expect(told).toContainEqual(expect.objectContaining({ kind: "works-again", anchor: "dead" }));
    expect(dead.notes.at(-1)?.size).toBe(102);
  });
});

describe("a folder", () => {
  test("holds the newest checkpoint as it is, and all of them; both verify the log", async () => {
    const dir = join(at.root, "anchors", "deep");
    await run([fileAnchor(dir)]);
    const news = await run([fileAnchor(dir)]);
    expect(news).toEqual([{ kind: "anchor-fits", anchor: `file:${dir}`, size: 8, behind: 0 }]);
    const names = readdirSync(dir).sort();
    expect(names.length).toBe(2);
    expect(names).toContain("test_gw-1_0.checkpoint");
    const checkpoint = readFileSync(join(dir, "test_gw-1_0.checkpoint"));
    expect(verifyLog(at.dir, { checkpoint })).toMatchObject({ ok: true, continues: true });
    const notes = await fileAnchor(dir).recent?.("test/gw-1/0", AbortSignal.timeout(1000));
    expect(notes?.[0]?.equals(checkpoint)).toBe(true);
    expect(await fileAnchor(dir).recent?.("test/other/0", AbortSignal.timeout(1000))).toEqual([]);
    const report = verifyLog(at.dir, { anchors: (notes ?? []).map((note) => ({ name: "a", note })) });
    expect(report).toMatchObject({
      ok: true,
      anchors: { checked: notes?.length, givenUp: 0, newest: { size: 16 } },
    });
  });

  test("a torn last line and junk are passed over", async () => {
    const dir = join(at.root, "anchors");
    await run([fileAnchor(dir)]);
    const file = join(dir, readdirSync(dir).find((n) => n.endsWith(".jsonl")) ?? "");
    writeFileSync(file, `${readFileSync(file, "utf8")}{"checkpoint":7}\nnull\n{"recei`);
    expect(await run([fileAnchor(dir)])).toMatchObject([{ kind: "anchor-fits" }]);
  });
});

describe("before the log opens", () => {
  let anchor: Anchor;
  beforeEach(() => {
    anchor = fileAnchor(join(at.root, "anchors"));
  });
  const refused = async (pattern: RegExp, code = "AUDIT_ANCHOR") => {
    const before = leaves(at).length;
    await expect(open(at, { anchors: [anchor] })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(pattern),
    });
    expect(leaves(at).length).toBe(before);
  };

  test("an old snapshot of the whole folder is refused, and the fork is on the record for ever", async () => {
    await run([anchor]);
    const restore = snapshot();
    await run([anchor], 5);
    restore();
    expect(verifyLog(at.dir).ok).toBe(true);
    await refused(/ends at 8 records, but the anchor file:.* has its checkpoint of 20 records/);
    const before = readFileSync(join(at.root, "anchors", "test_gw-1_0.checkpoint"));

    await run([anchor], 1, "disk of gw-1 died, restored the backup of noon");
    const forked = leaves(at).find((l) => l.type === "log.forked");
    expect(forked).toMatchObject({
      reason: "disk of gw-1 died, restored the backup of noon",
      at: { size: 8 },
      given_up: [{ size: 20, checkpoint: before.toString("utf8") }],
    });
    const note = (await anchor.recent?.("test/gw-1/0", AbortSignal.timeout(1000))) ?? [];
    const report = verifyLog(at.dir, { anchors: note.map((n) => ({ name: "a", note: n })) });
    expect(report).toMatchObject({ ok: true, forks: [{ size: 8, largest: 20, index: 9 }] });
    expect(report.anchors?.givenUp).toBeGreaterThan(0);
    // Who holds a checkpoint of what was given up learns that it is not continued.
    expect(verifyLog(at.dir, { checkpoint: before })).toMatchObject({
      ok: false,
      continues: false,
      firstBadPlace: {
        problem: expect.stringMatching(/cut off or rolled back.*a fork gave it up: disk of gw-1/),
      },
    });
    expect(await run([anchor])).toMatchObject([{ kind: "anchor-fits" }]);
    await expect(open(at, { anchors: [anchor], fork: "again" })).rejects.toMatchObject({
      message: expect.stringMatching(/nothing to fork/),
    });
  });

  test("a second anchor that was away during the fork does not stop the log again", async () => {
    const other = fileAnchor(join(at.root, "others"));
    await run([anchor, other]);
    const restore = snapshot();
    await run([anchor, other], 5);
    restore();
    await run([anchor], 1, "restored");
    expect((await run([anchor, other])).map((n) => n.kind).sort()).toEqual(["anchor-fits", "anchor-fits"]);
  });

  test("a snapshot that went on is refused, even when it has grown longer", async () => {
    await run([anchor]);
    const restore = snapshot();
    await run([anchor], 2);
    restore();
    await run([], 12);
    expect(verifyLog(at.dir).ok).toBe(true);
    await refused(/is not the one whose checkpoint of 14 records/);
    const checkpoint = readFileSync(join(at.root, "anchors", "test_gw-1_0.checkpoint"));
    expect(verifyLog(at.dir, { anchors: [{ name: "a", note: checkpoint }] })).toMatchObject({
      ok: false,
      anchors: { checked: 0 },
    });
  });

  test("a log written anew with the stolen keys is refused", async () => {
    await run([anchor]);
    rmSync(at.dir, { recursive: true });
    await run([], 8);
    await refused(/written anew/);
  });

  test("a log that is gone is refused; with its keys too", async () => {
    await run([anchor]);
    rmSync(at.dir, { recursive: true });
    mkdirSync(join(at.dir, "segments"), { recursive: true });
    await refused(/ends at 0 records/);
    rmSync(at.settings.keys, { recursive: true });
    await refused(/all signed with other keys/);
    expect(readdirSync(join(at.dir, "segments"))).toEqual([]);
    await run([anchor], 1, "machine lost, nothing to restore");
    expect(leaves(at).find((l) => l.type === "log.forked")).toMatchObject({
      at: { size: 0 },
      foreign: [expect.stringMatching(/^file:/)],
    });
    expect(await run([anchor])).toMatchObject([{ kind: "anchor-fits" }]);
  });

  test("a log cut at a checkpoint, with the files beside it cut too", async () => {
    await run([anchor]);
    await run([anchor]);
    const [name = ""] = readdirSync(join(at.dir, "segments"));
    const file = join(at.dir, "segments", name);
    const text = readFileSync(file, "utf8").split(/(?<=\n)/);
    writeFileSync(file, text.slice(0, text.findIndex((l) => l.startsWith("C ")) + 1).join(""));
    for (const beside of ["checkpoint", "resume", "leaves"]) rmSync(join(at.dir, beside));
    await refused(/cut off/);
  });

  test("records changed in the segment of the anchored checkpoint are found", async () => {
    const log = await open(at);
    const anchoring = startAnchoring(log, [anchor], () => {}, fast);
    write(log, 20);
    await log.close();
    await anchoring.stop();
    const file = join(at.dir, "segments", readdirSync(join(at.dir, "segments"))[0] ?? "");
    const bytes = readFileSync(file);
    const spot = bytes.indexOf("mary");
    bytes.write("jane", spot);
    writeFileSync(file, bytes);
    await refused(/written anew/);
  });

  test("over segments and restarts it fits, whichever checkpoint the anchor has last", async () => {
    for (let i = 0; i < 6; i++) {
      const log = await open(at, { anchors: [anchor], limits: { segmentBytes: 3000 } });
      const anchoring = startAnchoring(log, [anchor], () => {}, fast);
      write(log, 2);
      await log.settle();
      write(log, 2);
      await log.settle();
      // The end is anchored every other time only.
      if (i % 2 === 0) await anchoring.stop();
      await log.close();
      if (i % 2 === 1) await anchoring.stop();
    }
    expect(verifyLog(at.dir)).toMatchObject({ ok: true });
    expect(readdirSync(join(at.dir, "segments")).length).toBeGreaterThan(4);
    expect(await run([anchor])).toMatchObject([{ kind: "anchor-fits" }]);
  });

  test("an anchor that cannot be read is told, and does not stop the log", async () => {
    await run([anchor]);
    const broken: Anchor = {
      ...anchor,
      name: "broken",
      recent: async () => {
        throw Object.assign(new Error("connect to 10.1.2.3"), { code: "ETIMEDOUT" });
      },
    };
    expect(await run([broken])).toEqual([{ kind: "anchor-unread", anchor: "broken", why: "ETIMEDOUT" }]);
  });
});

describe("a webhook", () => {
  let server: Server;
  let got: { headers: IncomingMessage["headers"]; body: string }[];
  let status: number;
  beforeEach(async () => {
    got = [];
    status = 204;
    server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (text) => {
        body += text;
      });
      request.on("end", () => {
        got.push({ headers: request.headers, body });
        response.writeHead(status, { location: "https://elsewhere.example.com/" }).end("x".repeat(10_000));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/keep`;

  test("gets each checkpoint with a signature over time and body", async () => {
    await run([webhookAnchor(url(), secret("s3cret"))]);
    const last = got.at(-1);
    const body = JSON.parse(last?.body ?? "");
    expect(body).toMatchObject({ type: "postern-checkpoint", origin: "test/gw-1/0", size: 8 });
    expect(verifyLog(at.dir, { checkpoint: Buffer.from(body.checkpoint) }).continues).toBe(true);
    const header = String(last?.headers["postern-signature"]);
    const seconds = Number(/^t=(\d+),/.exec(header)?.[1]);
    expect(Math.abs(seconds - Date.now() / 1000)).toBeLessThan(60);
    expect(header).toBe(webhookSignature("s3cret", seconds, last?.body ?? ""));
    // As `printf '1.{}' | openssl dgst -sha256 -hmac key` says.
    expect(webhookSignature("key", 1, "{}")).toBe(
      "t=1,v1=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224",
    );
  });

  test.each([302, 400, 500])("%i is a failure, and is tried again", async (code) => {
    status = code;
    const told: unknown[] = [];
    const log = await open(at);
    const anchoring = startAnchoring(log, [webhookAnchor(url(), null)], (news) => told.push(news), fast);
    await expect.poll(() => got.length).toBe(1);
    expect(got[0]?.headers["postern-signature"]).toBeUndefined();
    await expect.poll(() => told.length).toBe(1);
    status = 200;
    await expect.poll(() => anchoring.unanchored, { timeout: 5000 }).toBe(0);
    expect(got.length).toBeGreaterThan(1);
    await log.close();
    await anchoring.stop();
  });
});

describe("a table of another role", () => {
  let server: Database;
  let database: string;
  beforeEach(async () => {
    server = await sharedCluster();
    database = await server.createDatabase();
    await server.query(
      database,
      `do $$ begin if not exists (select from pg_roles where rolname = 'postern_anchor_test')
         then create role postern_anchor_test login password 'pw'; end if; end $$;
       create table postern_anchors (
         id bigint generated always as identity primary key,
         received timestamptz not null default clock_timestamp(),
         origin text not null, size bigint not null, checkpoint text not null);
       create index on postern_anchors (origin, id);
       grant insert, select on postern_anchors to postern_anchor_test;`,
    );
  });
  afterEach(() => server.dropDatabase(database));
  const anchor = () => postgresAnchor(secret(server.url(database, "postern_anchor_test", "pw")));

  test("takes checkpoints that its writer cannot take back, and refuses a log that was set back", async () => {
    await run([anchor()]);
    const restore = snapshot();
    expect(await run([anchor()], 4)).toMatchObject([{ kind: "anchor-fits", anchor: "postgres", size: 8 }]);
    const rows = await server.query(
      database,
      "select origin, size::int, checkpoint from postern_anchors order by id",
    );
    expect(rows.at(-1)).toMatchObject({ origin: "test/gw-1/0", size: 18 });
    restore();
    await expect(open(at, { anchors: [anchor()] })).rejects.toMatchObject({ code: "AUDIT_ANCHOR" });
    await run([anchor()], 1, "restored");
    expect(await run([anchor()])).toMatchObject([{ kind: "anchor-fits" }]);
  });

  test("what goes wrong is told without names and addresses", async () => {
    await server.query(database, "alter table postern_anchors rename to elsewhere");
    const news = await run([anchor()]);
    expect(news).toEqual([
      { kind: "anchor-unread", anchor: "postgres", why: "there is no table postern_anchors (42P01)" },
    ]);
    const wrong = postgresAnchor(secret(server.url(database, "postern_anchor_test", "nonsense")));
    expect((await run([wrong]))[0]).toMatchObject({ why: expect.stringMatching(/refused the login|failed/) });
    const silent = new URL(server.url(database, "postern_anchor_test", "pw"));
    silent.password = "";
    expect((await run([postgresAnchor(secret(silent.href))]))[0]).toMatchObject({
      why: "the server asks for a password, and the URL has none",
    });
    await vi.waitFor(async () => {
      expect(
        await server.query(
          "postgres",
          "select 1 from pg_stat_activity where usename = 'postern_anchor_test'",
        ),
      ).toEqual([]);
    });
    const nobody = postgresAnchor(secret("postgres://u:p@127.0.0.1:1/x"));
    expect((await run([nobody]))[0]).toMatchObject({ why: "failed (ECONNREFUSED)" });
  });
});
