import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tileNumber } from "../../src/audit/tiles.ts";
import { CompactRange, leafHash, proveLeaf } from "../../src/audit/verify/index.ts";
import { bundleVerifier } from "../../src/cli/audit/verifier.ts";
import { conclude, intend, lines, open, type Place, place, sessionRecord, writeSample } from "./helpers.ts";

let at: Place;
beforeAll(() => {
  at = place();
});
afterAll(() => at.remove());

const postern = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, "../../bin/postern.js"), "audit", ...args], {
    encoding: "utf8",
  });

describe("tlog-tiles", () => {
  test("numbers as the specification writes them", () => {
    expect([0, 67, 999, 1000, 1234067].map(tileNumber)).toEqual([
      "000",
      "067",
      "999",
      "x001/000",
      "x001/x234/067",
    ]);
  });

  test.each([3, 256, 700])(
    "a log of more than %i records, read by the specification alone",
    async (count) => {
      const own = place();
      try {
        const log = await open(own, { limits: { segmentBytes: 100_000 } });
        const session = log.session(sessionRecord);
        while (log.size < count) conclude(log, session, intend(log, session));
        await log.close();
        const out = join(own.root, "tiles");
        const ran = postern("tiles", out, "--dir", own.settings.dir, "--json");
        expect(ran.stderr).toBe("");
        const size = lines(own).filter((l) => l.tag === "L").length;
        expect(JSON.parse(ran.stdout)).toMatchObject({ size, withoutEntries: 0 });
        const [origin, said, root] = readFileSync(join(out, "checkpoint"), "utf8").split("\n");
        expect([origin, said]).toEqual(["test/gw-1/0", String(size)]);
        const tree = new CompactRange();
        const level1: Buffer[] = [];
        for (let n = 0; n * 256 < size; n++) {
          const width = Math.min(256, size - n * 256);
          const name = `${tileNumber(n)}${width === 256 ? "" : `.p/${width}`}`;
          const tile = readFileSync(join(out, "tile/0", name));
          expect(tile.length).toBe(width * 32);
          const bundle = readFileSync(join(out, "tile/entries", name));
          const range = new CompactRange();
          let at_ = 0;
          for (let i = 0; i < width; i++) {
            const length = bundle.readUInt16BE(at_);
            const leaf = bundle.subarray(at_ + 2, at_ + 2 + length);
            at_ += 2 + length;
            expect(tile.subarray(i * 32, i * 32 + 32).equals(leafHash(leaf))).toBe(true);
            range.push(tile, i * 32);
            tree.push(tile, i * 32);
          }
          expect(at_).toBe(bundle.length);
          if (width === 256) level1.push(range.root());
        }
        expect(tree.root().toString("base64")).toBe(root);
        if (level1.length > 0)
          expect(
            readFileSync(join(out, "tile/1", `000.p/${level1.length}`)).equals(Buffer.concat(level1)),
          ).toBe(true);
        else expect(existsSync(join(out, "tile/1"))).toBe(false);
      } finally {
        own.remove();
      }
    },
  );
});

describe("the verifier as one file", () => {
  let folder: string;
  beforeAll(async () => {
    await writeSample(at);
    const log = await open(at);
    await log.rotateKey();
    await log.close();
    folder = join(at.root, "elsewhere");
    mkdirSync(folder);
    const printed = postern("verifier");
    expect(printed.stdout).toBe(bundleVerifier());
    writeFileSync(join(folder, "verify.mjs"), printed.stdout);
    cpSync(at.settings.dir, join(folder, "copy"), { recursive: true });
  });
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ["verify.mjs", ...args], { cwd: folder, encoding: "utf8", env: {} });

  test("imports nothing but Node's own modules", () => {
    const text = readFileSync(join(folder, "verify.mjs"), "utf8");
    const from = [...text.matchAll(/\bfrom\s+"([^"]+)"/g)].map((m) => m[1]);
    expect(from.length).toBeGreaterThan(2);
    for (const name of from) expect(name).toMatch(/^node:(crypto|fs|path|util)$/);
    expect(text).not.toMatch(/\brequire\(|\bimport\(/);
  });

  test("verifies a log, with a key and a checkpoint from elsewhere", () => {
    const key = readFileSync(join(at.settings.keys, "log.vkey"), "utf8").trim();
    const ran = run("copy", "--key", key, "--checkpoint", join(at.dir, "checkpoint"));
    expect(ran.stderr).toBe("");
    expect(ran.stdout).toMatch(/^OK {3}test\/gw-1\/0: /);
    expect(ran.stdout).toMatch(/signed with 2 keys/);
    expect(ran.status).toBe(0);
    const json = JSON.parse(run("copy/gw-1/0", "--json").stdout);
    expect(json).toMatchObject({ ok: true, logs: [{ origin: "test/gw-1/0", unsignedTail: null }] });
  });

  test("finds a changed byte, and a proof that does not hold", () => {
    cpSync(join(folder, "copy"), join(folder, "changed"), { recursive: true });
    const segments = join(folder, "changed/gw-1/0/segments");
    const file = join(segments, readdirSync(segments)[0] ?? "");
    const bytes = readFileSync(file);
    bytes.write("jane", bytes.indexOf("mary"));
    writeFileSync(file, bytes);
    const ran = run("changed");
    expect(ran.stdout).toMatch(
      /^BAD .*\n {5}first bad place: (?:leaves|segments\/0{20}\.log), byte \d+, record \d+/,
    );
    expect(ran.status).toBe(1);

    const key = readFileSync(join(at.dir, "log.vkey"), "utf8").trim();
    const leaf = lines(at).filter((l) => l.tag === "L")[2]?.text ?? "";
    const proof = proveLeaf(at.dir, key, 2, leaf);
    if (!proof.ok) throw new Error(proof.problem);
    writeFileSync(join(folder, "proof.json"), JSON.stringify(proof.value));
    expect(run("--proof", "proof.json", "--key", key)).toMatchObject({ status: 0 });
    writeFileSync(join(folder, "proof.json"), JSON.stringify({ ...proof.value, index: 3 }));
    expect(run("--proof", "proof.json", "--key", key)).toMatchObject({ status: 1 });
    expect(run("--nonsense")).toMatchObject({ status: 2 });
    expect(run(".")).toMatchObject({ status: 2 });
  });

  test("is what it says it is on any machine: it parses as plain JavaScript", () => {
    execFileSync(process.execPath, ["--check", join(folder, "verify.mjs")]);
  });
});
