import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fileAnchor } from "../../src/audit/anchors/file.ts";
import { ask } from "../../src/audit/errands.ts";
import { showRequest } from "../../src/audit/read/show.ts";
import { markErasure } from "../../src/audit/retention/erase.ts";
import { proveLeaf, verifyLog, verifyProof } from "../../src/audit/verify/index.ts";
import {
  conclude,
  intend,
  leaves,
  lines,
  open,
  type Place,
  place,
  segments,
  sessionRecord,
} from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => at.remove());

const vkey = () => readFileSync(join(at.dir, "log.vkey"), "utf8").trim();
const blobs = () =>
  existsSync(join(at.dir, "blobs"))
    ? readdirSync(join(at.dir, "blobs"), { recursive: true, encoding: "utf8" }).filter((n) => n.length > 60)
    : [];

/** A log of several segments, with a blob named by old records only, one by new ones only, and one by both. */
async function written(): Promise<void> {
  const log = await open(at, { limits: { segmentBytes: 6000 } });
  const session = log.session(sessionRecord);
  const statement = (text: string) => `select '${text.repeat(300_000)}'`;
  conclude(log, session, intend(log, session, statement("a")));
  log.event("admin.action", { action: "note", text: "b".repeat(70_000) });
  await log.settle();
  for (let i = 0; i < 12; i++) {
    conclude(log, session, intend(log, session));
    await log.settle();
  }
  await log.close();
  const again = await open(at);
  again.event("admin.action", { action: "note", text: "b".repeat(70_000) });
  again.event("admin.action", { action: "note", text: "c".repeat(70_000) });
  conclude(again, session, intend(again, session));
  await again.close();
}

describe("pruning", () => {
  test("keeps every proof and checkpoint valid, and is on the record", async () => {
    await written();
    const before = lines(at).filter((l) => l.tag === "L");
    const notes = lines(at)
      .filter((l) => l.tag === "C")
      .map((l) => Buffer.from(l.text, "base64"));
    const all = blobs();
    expect(all.length).toBe(3);
    const old = segments(at);
    const log = await open(at);
    const report = await log.prune(Date.now() + 1000, "test");
    await log.close();
    expect(report).toMatchObject({ segments: old.length - 1, blobs: 1 });
    expect(segments(at)).toEqual(old.slice(-1));
    const first = Number(old.at(-1)?.slice(0, 20));
    expect(report?.records).toBe(first);
    expect(leaves(at).findLast((l) => l.type === "log.pruned")).toMatchObject({
      first: 0,
      size: first,
      reason: "test",
    });
    expect(verifyLog(at.dir, { vkey: vkey() })).toMatchObject({
      ok: true,
      pruned: first,
      unsignedTail: null,
    });
    for (const checkpoint of notes)
      expect(verifyLog(at.dir, { checkpoint })).toMatchObject({ ok: true, continues: true });
    for (const index of [0, 3, first - 1, first]) {
      const proof = proveLeaf(at.dir, vkey(), index, before[index]?.text ?? "");
      expect(proof.ok && verifyProof(JSON.stringify(proof.value), vkey()).ok, `leaf ${index}`).toBe(true);
    }
    // What is left opens again, from its beginning too, goes on, and is pruned again.
    rmSync(join(at.dir, "resume"));
    for (let i = 0; i < 2; i++) {
      const again = await open(at, { limits: { segmentBytes: 6000 } });
      const session = again.session(sessionRecord);
      for (let k = 0; k < 6; k++) {
        conclude(again, session, intend(again, session));
        await again.settle();
      }
      await again.prune(Date.now() + 1000, "again");
      await again.close();
      expect(verifyLog(at.dir)).toMatchObject({ ok: true });
    }
    expect(blobs().length).toBe(0);
  });

  test("an old checkpoint of the anchors fits, a rolled back one does not", async () => {
    await written();
    const anchor = fileAnchor(join(at.root, "anchors"));
    const note = lines(at).filter((l) => l.tag === "C")[2];
    const text = Buffer.from(note?.text ?? "", "base64").toString("utf8");
    await anchor.put(
      { origin: "test/gw-1/0", size: Number(text.split("\n")[1]), note: text },
      AbortSignal.timeout(1000),
    );
    const log = await open(at, { anchors: [anchor] });
    await log.prune(Date.now() + 1000, "test");
    await log.close();
    await (await open(at, { anchors: [anchor] })).close();
  });

  test("only what is old enough, nothing with an open statement, never the last segment", async () => {
    const log = await open(at, { limits: { segmentBytes: 3000 } });
    const session = log.session(sessionRecord);
    expect(await log.prune(Date.now() + 1000, "test")).toBeNull();
    conclude(log, session, intend(log, session));
    await log.settle();
    const waiting = intend(log, session);
    await log.settle();
    for (let i = 0; i < 6; i++) {
      conclude(log, session, intend(log, session));
      await log.settle();
    }
    expect(segments(at).length).toBeGreaterThan(3);
    expect(await log.prune(Date.now() - 3_600_000, "test")).toBeNull();
    await log.prune(Date.now() + 1000, "test");
    const first = Number(segments(at)[0]?.slice(0, 20));
    expect(first).toBeLessThanOrEqual(waiting.index);
    conclude(log, session, waiting);
    await log.prune(Date.now() + 1000, "test");
    expect(segments(at).length).toBe(1);
    await log.close();
    expect(verifyLog(at.dir).ok).toBe(true);
  });

  test("with a key that changed in what was pruned", async () => {
    const log = await open(at, { limits: { segmentBytes: 3000 } });
    const session = log.session(sessionRecord);
    const first = vkey();
    for (let i = 0; i < 8; i++) {
      conclude(log, session, intend(log, session));
      await log.settle();
      if (i === 1 || i === 3) await log.rotateKey();
    }
    await log.close();
    const again = await open(at);
    await again.prune(Date.now() + 1000, "test");
    await again.close();
    const report = verifyLog(at.dir, { vkey: first });
    expect(report).toMatchObject({ ok: true, keys: { length: 3 } });
    const proof = proveLeaf(
      at.dir,
      first,
      report.size - 1,
      lines(at).findLast((l) => l.tag === "L")?.text ?? "",
    );
    expect(proof.ok && verifyProof(JSON.stringify(proof.value), first).ok).toBe(true);
  });

  test("a crash at any moment of it is repaired by the next open", async () => {
    await written();
    const names = segments(at);
    const kept = join(at.root, "kept");
    const log = await open(at);
    for (const name of names) copyFileSync(join(at.dir, "segments", name), `${kept}-${name}`);
    await log.prune(Date.now() + 1000, "test");
    await log.close();
    // The newest of what was to go is still there, then more, then all of it; a verifier does not mind.
    for (const name of names.slice(0, -1).reverse()) {
      renameSync(`${kept}-${name}`, join(at.dir, "segments", name));
      // The oldest is the first to go, and the blobs that went last here are its own.
      if (name !== names[0]) expect(verifyLog(at.dir), name).toMatchObject({ ok: true });
    }
    await (await open(at)).close();
    expect(segments(at)).toEqual(names.slice(-1));
    expect(verifyLog(at.dir).ok).toBe(true);
  });

  test("blobs that a crash left behind go with the next pruning", async () => {
    await written();
    const named = new Set(blobs());
    const log = await open(at, { limits: { segmentBytes: 6000 } });
    // Nothing behind the segments goes, as if the process had ended there.
    for (const name of named) {
      const path = join(at.dir, "blobs", name);
      renameSync(path, `${at.root}/${name.slice(3)}`);
      mkdirSync(path);
      utimesSync(path, new Date("2020-01-01"), new Date("2020-01-01"));
    }
    await expect(log.prune(Date.now() + 1000, "test")).rejects.toThrow();
    for (const name of named) {
      rmSync(join(at.dir, "blobs", name), { recursive: true });
      renameSync(`${at.root}/${name.slice(3)}`, join(at.dir, "blobs", name));
    }
    const session = log.session(sessionRecord);
    for (let i = 0; i < 12; i++) {
      conclude(log, session, intend(log, session));
      await log.settle();
    }
    expect(await log.prune(Date.now() + 1000, "test")).not.toBeNull();
    await log.close();
    const left = lines(at)
      .map((l) => l.text)
      .join();
    expect(blobs().every((name) => left.includes(name.slice(3)))).toBe(true);
    expect(blobs().length).toBeLessThan(named.size);
    expect(verifyLog(at.dir)).toMatchObject({ ok: true });
  });

  test("who removes segments without a record, or changes what stands for them, is found", async () => {
    await written();
    const names = segments(at);
    rmSync(join(at.dir, "segments", names[0] ?? ""));
    expect(verifyLog(at.dir)).toMatchObject({ ok: false, firstBadPlace: { file: "pruned" } });
    await expect(open(at)).rejects.toMatchObject({ code: "AUDIT_CORRUPT" });
  });

  const changes: [string, (text: string) => string][] = [
    ["size", (t: string) => t.replace(/"size":\d/, '"size":9')],
    ["a node", (t: string) => t.replace(/"nodes":\["./, '"nodes":["/')],
    ["the frame", (t: string) => t.replace(/"frame":\d+/, '"frame":7777')],
    ["the checkpoint", (t: string) => t.replace(/chain ./, "chain /")],
    ["everything", () => "{}"],
    ["the whole file", () => ""],
  ];
  test.each(changes)("a pruned log whose file says another %s is found", async (_name, change) => {
    await written();
    const log = await open(at);
    await log.prune(Date.now() + 1000, "test");
    await log.close();
    const file = join(at.dir, "pruned");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, change(text));
    expect(readFileSync(file, "utf8")).not.toBe(text);
    expect(verifyLog(at.dir)).toMatchObject({ ok: false });
    writeFileSync(file, text);
    expect(verifyLog(at.dir)).toMatchObject({ ok: true });
    truncateSync(join(at.dir, "leaves"), 64);
    await expect(open(at)).rejects.toMatchObject({ code: "AUDIT_CORRUPT" });
  });

  test("what was quarantined before goes with it, and is named", async () => {
    await written();
    const folder = join(at.dir, "quarantine");
    mkdirSync(folder, { recursive: true });
    for (const name of ["old", "new"]) writeFileSync(join(folder, name), "L {} mary");
    utimesSync(join(folder, "old"), new Date("2020-01-01"), new Date("2020-01-01"));
    utimesSync(join(folder, "new"), new Date("2100-01-01"), new Date("2100-01-01"));
    const log = await open(at);
    await log.prune(Date.now() + 1000, "too old");
    await log.close();
    expect(readdirSync(folder)).toEqual(["new"]);
    expect(leaves(at).findLast((l) => l.type === "log.pruned")).toMatchObject({ quarantine: ["old"] });
    expect(verifyLog(at.dir).ok).toBe(true);
  });

  test("segments go by themselves when they are old", async () => {
    await written();
    expect(segments(at).length).toBeGreaterThan(1);
    const settings = { ...at.settings, retentionSeconds: 0.001 };
    const log = await open({ ...at, settings }, { careMs: 5 });
    await expect.poll(() => segments(at).length).toBe(1);
    await log.close();
    expect(leaves(at).findLast((l) => l.type === "log.pruned")).toMatchObject({ reason: "audit.retention" });
    expect(verifyLog(at.dir).ok).toBe(true);
  });
});

describe("erasing a day", () => {
  test("an erasure that a crash cut off behind its record is ended by the next open", async () => {
    const log = await open(at);
    intend(log, log.session(sessionRecord));
    await log.close();
    const keys = join(at.dir, "keys");
    const today = new Date().toISOString().slice(0, 10);
    copyFileSync(join(keys, `${today}.key`), join(keys, "2020-01-01.key"));
    // A power cut while the key is overwritten.
    const dying = await open(at, { careMs: 1e9 });
    markErasure(at.dir, "2020-01-01", "asked by the person");
    dying.event("payload.erase", { day: "2020-01-01", reason: "asked by the person" });
    await dying.close();
    markErasure(at.dir, today, "a day that is not over");
    expect(existsSync(join(keys, "2020-01-01.key"))).toBe(true);
    const again = await open(at, { careMs: 5 });
    await expect.poll(() => existsSync(join(keys, "2020-01-01.erase"))).toBe(false);
    expect(existsSync(join(keys, "2020-01-01.key"))).toBe(false);
    expect(existsSync(join(keys, `${today}.key`))).toBe(true);
    expect(again.failure).toBeNull();
    await again.close();
    expect(leaves(at).filter((l) => l.type === "payload.erase").length).toBe(2);
    expect(verifyLog(at.dir).ok).toBe(true);
  });

  test("its text is gone, on the record, and every proof stays", async () => {
    const log = await open(at, { careMs: 5 });
    const session = log.session(sessionRecord);
    const sent = intend(log, session);
    await log.settle();
    const today = new Date().toISOString().slice(0, 10);
    await expect(log.erase(today, "no")).rejects.toThrow(/is not over/);
    await expect(log.erase("2020-01-01", "no")).rejects.toThrow(/no key/);
    await expect(log.erase("../../x", "no")).rejects.toThrow(/YYYY/);
    // A key of a day that is over, as a log that ran then has.
    const keys = join(at.dir, "keys");
    copyFileSync(join(keys, `${today}.key`), join(keys, "2020-01-01.key"));
    expect(await ask(at.dir, { do: "erase", day: "2020-01-01", reason: "asked by the person" })).toEqual({
      ok: true,
    });
    expect(existsSync(join(keys, "2020-01-01.key"))).toBe(false);
    expect(await ask(at.dir, { do: "erase", day: "2020-01-01", reason: "again" })).toMatchObject({
      ok: false,
    });
    expect(await ask(at.dir, { do: "prune", before: Date.now(), reason: "x" })).toEqual({
      ok: true,
      result: null,
    });
    await log.close();
    expect(leaves(at).findLast((l) => l.type === "payload.erase")).toMatchObject({
      day: "2020-01-01",
      reason: "asked by the person",
    });
    const show = () =>
      showRequest({ name: "", dir: at.dir }, "test/gw-1/0", sent.request, at.settings.keys)[0]?.opened;
    expect(show()).toMatchObject({ state: "open" });
    rmSync(join(keys, `${today}.key`));
    expect(show()).toMatchObject({ state: "closed", why: expect.stringMatching(/was destroyed/) });
    expect(verifyLog(at.dir).ok).toBe(true);
  });
});
