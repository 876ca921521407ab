/** A fork stays told when the record of it is pruned: anchors keep what it gave up for ever. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startAnchoring } from "../../src/audit/anchors/anchoring.ts";
import { fileAnchor } from "../../src/audit/anchors/file.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { conclude, intend, leaves, open, type Place, place, sessionRecord } from "./helpers.ts";

async function run(at: Place, count: number, fork?: string): Promise<void> {
  const anchor = fileAnchor(join(at.root, "anchors"));
  const options = {
    anchors: [anchor],
    limits: { segmentBytes: 5000 },
    ...(fork === undefined ? {} : { fork }),
  };
  const log = await open(at, options);
  const anchoring = startAnchoring(log, [anchor], () => {});
  const session = log.session(sessionRecord);
  for (let i = 0; i < count; i++) {
    conclude(log, session, intend(log, session));
    await log.settle();
  }
  await log.close();
  await anchoring.stop();
}

function kept(at: Place): { readonly name: string; readonly note: Buffer }[] {
  const folder = join(at.root, "anchors");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n").slice(0, -1))
    .map((line, i) => ({
      name: `${i}`,
      note: Buffer.from((JSON.parse(line) as { checkpoint: string }).checkpoint),
    }));
}

async function prune(at: Place): Promise<void> {
  const log = await open(at, { limits: { segmentBytes: 5000 } });
  expect(await log.prune(Date.now() + 1000, "test")).not.toBeNull();
  await log.close();
}

test("after any number of prunings", async () => {
  const at = place();
  try {
    await run(at, 3);
    cpSync(at.settings.dir, join(at.root, "backup"), { recursive: true });
    await run(at, 6);
    rmSync(at.settings.dir, { recursive: true });
    cpSync(join(at.root, "backup"), at.settings.dir, { recursive: true });
    await run(at, 6, "restored");
    const anchors = kept(at);
    const before = verifyLog(at.dir, { anchors });
    expect(before).toMatchObject({ ok: true, forks: [{ reason: "restored" }] });
    expect(before.anchors?.givenUp).toBeGreaterThan(0);
    for (let round = 0; round < 2; round++) {
      await prune(at);
      expect(leaves(at).some((l) => l.type === "log.forked")).toBe(false);
      expect(verifyLog(at.dir, { anchors })).toMatchObject({
        ok: true,
        forks: before.forks,
        anchors: { givenUp: before.anchors?.givenUp },
      });
      await run(at, 5);
    }
    // What stands for it is believed for its proof alone.
    const file = join(at.dir, "pruned");
    const text = readFileSync(file, "utf8");
    const changes: [RegExp, string][] = [
      [/restored/, "restorex"],
      [/"index":\d+/, '"index":0'],
      [/("path":\[")[^"]/, "$1/"],
      [/"forks":\[\{/, '"forks":[7,{'],
      [/"forks":\[.*\]/, '"forks":{}'],
    ];
    for (const [what, into] of changes) {
      const changed = text.replace(what, into);
      if (changed === text) continue;
      writeFileSync(file, changed);
      expect(verifyLog(at.dir, { anchors }), String(what)).toMatchObject({ ok: false });
    }
    writeFileSync(file, text.replace(/,"forks":\[.*\]/, ""));
    expect(verifyLog(at.dir, { anchors }).ok).toBe(false);
    writeFileSync(file, text);
    expect(verifyLog(at.dir, { anchors }).ok).toBe(true);
  } finally {
    at.remove();
  }
});

test("of pruned records whose hashes are gone only a later checkpoint can stand for an earlier one", async () => {
  const at = place();
  try {
    await run(at, 5);
    const early = kept(at);
    expect(early.length).toBeGreaterThan(0);
    await run(at, 8);
    const all = kept(at);
    await run(at, 5);
    await prune(at);
    expect(verifyLog(at.dir, { anchors: early })).toMatchObject({
      ok: true,
      anchors: { checked: early.length },
    });
    rmSync(join(at.dir, "leaves"));
    expect(verifyLog(at.dir, { anchors: all }).ok).toBe(false);
    expect(verifyLog(at.dir, { anchors: early })).toMatchObject({
      ok: false,
      firstBadPlace: { problem: expect.stringContaining("their hashes are gone") },
    });
    const beside = { name: "newest", note: readFileSync(join(at.dir, "checkpoint")) };
    expect(verifyLog(at.dir, { anchors: [...early, beside] }).ok).toBe(true);
  } finally {
    at.remove();
  }
});
