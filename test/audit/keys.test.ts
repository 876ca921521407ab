import { hash, type KeyObject } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createSigner } from "../../src/audit/checkpoint.ts";
import {
  adoptNextKey,
  nextKeyPath,
  prepareNextKey,
  publicText,
  readSigningKey,
} from "../../src/audit/keys.ts";
import { proveLeaf, verifyLog, verifyProof } from "../../src/audit/verify/index.ts";
import { conclude, intend, leaves, lines, open, type Place, place, sessionRecord } from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => at.remove());

const origin = "test/gw-1/0";
const first = () => readFileSync(join(at.dir, "log.vkey"), "utf8").trim();

/** Two runs with a change of the key in each: three keys in all. */
async function rotated(): Promise<void> {
  for (let run = 0; run < 2; run++) {
    const log = await open(at, { limits: { segmentBytes: 3000 } });
    const session = log.session(sessionRecord);
    conclude(log, session, intend(log, session));
    await log.settle();
    const next = await log.rotateKey();
    expect(next).not.toBe(first());
    conclude(log, session, intend(log, session));
    await log.settle();
    await log.close();
  }
}

describe("changes of the signing key", () => {
  test("the first key verifies the whole log; the old private keys are gone", async () => {
    await (await open(at)).close();
    const vkey = first();
    const old = readFileSync(join(at.settings.keys, "signing.key"), "utf8");
    await rotated();
    expect(first()).toBe(vkey);
    const report = verifyLog(at.dir, { vkey });
    expect(report).toMatchObject({ ok: true, key: vkey, unsignedTail: null });
    expect(new Set(report.keys).size).toBe(3);
    expect(readFileSync(join(at.settings.keys, "log.vkeys"), "utf8")).toBe(`${report.keys.join("\n")}\n`);
    expect(readFileSync(join(at.settings.keys, "log.vkey"), "utf8")).toBe(`${vkey}\n`);
    for (const name of readdirSync(at.settings.keys))
      expect(readFileSync(join(at.settings.keys, name), "utf8")).not.toBe(old);
    // The last key alone is not what certifies the log's beginning.
    expect(verifyLog(at.dir, { vkey: report.keys[2] ?? "" }).ok).toBe(false);
    await (await open(at)).close();
    expect(leaves(at).findLast((l) => l.type === "log.opened")).toMatchObject({ public_key: report.keys[2] });
  });

  test("a proof follows the keys from the first to the last", async () => {
    await rotated();
    const index = leaves(at).findIndex((l) => l.type === "statement.intent");
    const leaf = lines(at).filter((l) => l.tag === "L")[index]?.text ?? "";
    const proof = proveLeaf(at.dir, first(), index, leaf);
    if (!proof.ok) throw new Error(proof.problem);
    expect(proof.value.rotations?.length).toBe(2);
    const text = JSON.stringify(proof.value);
    expect(verifyProof(text, first())).toMatchObject({ ok: true, value: { index } });
    const without = JSON.stringify({ ...proof.value, rotations: proof.value.rotations?.slice(1) });
    expect(verifyProof(without, first())).toMatchObject({ ok: false });
    expect(verifyProof(JSON.stringify({ ...proof.value, rotations: [null, 7, {}] }), first()).ok).toBe(false);
  });

  test("the log opens again from its beginning, and after a crash at every step of a change", async () => {
    await rotated();
    rmSync(join(at.dir, "resume"));
    await (await open(at)).close();
    // The key waits, and the log has certified it, but it did not take its place.
    const log = await open(at, { careMs: 1_000_000 });
    const current = readFileSync(join(at.settings.keys, "log.vkeys"), "utf8").trim().split("\n").at(-1) ?? "";
    const next = publicText(origin, prepareNextKey(at.settings.keys));
    log.event("key.rotated", { previous: current, next });
    await log.close();
    const copy = join(at.root, "keys-copy");
    cpSync(at.settings.keys, copy, { recursive: true });
    await (await open(at)).close();
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, keys: { length: 4 } });
    expect(existsSync(nextKeyPath(at.settings.keys))).toBe(false);
    // The list of public keys was written, the private one did not take its place.
    prepareNextKey(at.settings.keys);
    const list = join(at.settings.keys, "log.vkeys");
    writeFileSync(
      list,
      `${readFileSync(list, "utf8")}${publicText(origin, readSigningKey(nextKeyPath(at.settings.keys)))}\n`,
    );
    await (await open(at)).close();
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, keys: { length: 5 } });
    const proof = proveLeaf(at.dir, first(), 0, lines(at)[0]?.text ?? "");
    expect(proof.ok && verifyProof(JSON.stringify(proof.value), first()).ok).toBe(true);
  });

  test("a key that waits is taken over by the log that is open", async () => {
    const log = await open(at, { careMs: 10 });
    const next = publicText(origin, prepareNextKey(at.settings.keys));
    await expect.poll(() => existsSync(nextKeyPath(at.settings.keys))).toBe(false);
    expect(leaves(at).at(-1)).toMatchObject({ type: "key.rotated", previous: first(), next });
    await log.close();
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, keys: [first(), next] });
  });
});

describe("what a thief of a key can do", () => {
  test("a key that the log did not certify signs nothing", async () => {
    await (await open(at)).close();
    const own = readSigningKey(join(at.settings.keys, "signing.key"));
    prepareNextKey(at.settings.keys);
    const next = publicText(origin, readSigningKey(nextKeyPath(at.settings.keys)));
    const stolen = readSigningKey(nextKeyPath(at.settings.keys));
    adoptNextKey(at.settings.keys, first(), next);
    await expect(open(at)).rejects.toMatchObject({ code: "AUDIT_KEYS" });
    // What it would have written: one more checkpoint, right in all but its key.
    const report = verifyLog(at.dir);
    const file = join(at.dir, "segments", readdirSync(join(at.dir, "segments"))[0] ?? "");
    const text = readFileSync(file, "utf8");
    const last = text.slice(text.lastIndexOf("\nC ") + 1);
    const chain = /^chain (\S+)$/m.exec(Buffer.from(last.slice(2), "base64").toString())?.[1] ?? "";
    const after = hash("sha256", Buffer.concat([Buffer.from(chain, "base64"), Buffer.from(last)]), "buffer");
    const note = (key: string, signing: KeyObject) =>
      createSigner(key, signing).note(report.size, Buffer.from(report.root ?? "", "base64"), after);
    writeFileSync(file, `${text}C ${note(next, stolen).toString("base64")}\n`);
    expect(verifyLog(at.dir)).toMatchObject({
      ok: false,
      firstBadPlace: { problem: "the note is signed by another key" },
    });
    writeFileSync(file, `${text}C ${note(first(), own).toString("base64")}\n`);
    expect(verifyLog(at.dir).ok).toBe(true);
  });

  test("the old key signs nothing more once the new one has signed", async () => {
    const log = await open(at);
    const old = readSigningKey(join(at.settings.keys, "signing.key"));
    await log.rotateKey();
    await log.close();
    expect(verifyLog(at.dir).ok).toBe(true);
    const report = verifyLog(at.dir);
    const file = join(at.dir, "segments", readdirSync(join(at.dir, "segments"))[0] ?? "");
    const text = readFileSync(file, "utf8");
    const lastLine = text.slice(text.lastIndexOf("\nC ") + 1);
    const chain = /^chain (\S+)$/m.exec(Buffer.from(lastLine.slice(2), "base64").toString())?.[1] ?? "";
    const signer = createSigner(first(), old);
    const note = signer.note(
      report.size,
      Buffer.from(report.root ?? "", "base64"),
      Buffer.from(chain, "base64"),
    );
    writeFileSync(file, `${text.slice(0, text.lastIndexOf("\nC ") + 1)}C ${note.toString("base64")}\n`);
    rmSync(join(at.dir, "checkpoint"));
    // In place of the new key's first checkpoint it would stand: nothing was signed by the new key then.
    expect(verifyLog(at.dir).ok).toBe(true);
    writeFileSync(file, `${text}C ${note.toString("base64")}\n`);
    expect(verifyLog(at.dir)).toMatchObject({
      ok: false,
      firstBadPlace: { problem: "the note is signed by another key" },
    });
  });

  test("every bit of a change of the key counts", async () => {
    const log = await open(at);
    await log.rotateKey();
    await log.close();
    const file = join(at.dir, "segments", readdirSync(join(at.dir, "segments"))[0] ?? "");
    const bytes = readFileSync(file);
    const start = bytes.indexOf('"type":"key.rotated"') - 60;
    const end = bytes.indexOf("\n", bytes.indexOf("\nC ", start) + 1) + 1;
    for (let at_ = start; at_ < end; at_++) {
      const bit = at_ % 8;
      bytes[at_] = (bytes[at_] ?? 0) ^ (1 << bit);
      writeFileSync(file, bytes);
      expect(verifyLog(at.dir).ok, `bit ${bit} of byte ${at_}`).toBe(false);
      bytes[at_] = (bytes[at_] ?? 0) ^ (1 << bit);
    }
  });
});
