/** The browser's check of inclusion proofs, against real logs and the command line's own verifier. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkProof, type ProofReport } from "../../console/src/proof/check.ts";
import { firstDifference } from "../../console/src/proof/same.ts";
import { checkSealed, isSealed } from "../../console/src/proof/sealed.ts";
import { climb, leafHash } from "../../console/src/proof/tree.ts";
import { proveLeaf, verifyProof } from "../../src/audit/verify/index.ts";
import { inclusionProof } from "../../src/audit/verify/proofs.ts";
import { CompactRange } from "../../src/audit/verify/tree.ts";
import {
  conclude,
  intend,
  lines,
  open,
  type Place,
  place,
  sessionRecord,
  writeSample,
} from "../audit/helpers.ts";

const places: Place[] = [];
afterAll(() => {
  for (const one of places) one.remove();
});

function newPlace(): Place {
  const at = place();
  places.push(at);
  return at;
}

interface Made {
  readonly key: string;
  readonly stored: readonly string[];
  /** The proof file of leaf `index`. */
  proof(index: number): string;
}

function made(at: Place): Made {
  const key = readFileSync(join(at.dir, "log.vkey"), "utf8").trim();
  const stored = lines(at)
    .filter((l) => l.tag === "L")
    .map((l) => l.text);
  return {
    key,
    stored,
    proof(index) {
      const proof = proveLeaf(at.dir, key, index, stored[index] ?? "");
      if (!proof.ok) throw new Error(proof.problem);
      return `${JSON.stringify(proof.value, null, 2)}\n`;
    },
  };
}

function check(log: Made, index: number, text = log.proof(index)): Promise<ProofReport> {
  const shown: unknown = JSON.parse(log.stored[index] ?? "");
  return checkProof({ proof: text, trustedKey: log.key, shown, place: { log: "test/gw-1/0", index } });
}

let sample: Made;
let rotated: Made;
beforeAll(async () => {
  const plain = newPlace();
  await writeSample(plain);
  sample = made(plain);
  const changed = newPlace();
  for (let run = 0; run < 2; run++) {
    const log = await open(changed);
    const session = log.session(sessionRecord);
    conclude(log, session, intend(log, session));
    await log.settle();
    await log.rotateKey();
    conclude(log, session, intend(log, session));
    await log.close();
  }
  rotated = made(changed);
});

describe("proofs that hold", () => {
  test("every record of a log is proven, as the command line says too", async () => {
    expect(sample.stored.length).toBeGreaterThan(15);
    for (const [index, leaf] of sample.stored.entries()) {
      const report = await check(sample, index);
      expect(report.verdict, JSON.stringify(report.steps)).toBe("proven");
      expect(report.steps.map(({ state }) => state)).toEqual(Array(6).fill("ok"));
      expect(verifyProof(sample.proof(index), sample.key)).toMatchObject({ ok: true });
      expect(report.proven).toMatchObject({ log: "test/gw-1/0", index, bytes: Buffer.byteLength(leaf) });
    }
  });

  test("the key is followed through its changes", async () => {
    for (const index of rotated.stored.keys()) {
      const report = await check(rotated, index);
      expect(report.verdict, JSON.stringify(report.steps)).toBe("proven");
      expect(report.proven?.key).not.toBe(rotated.key);
    }
  });

  test("a key that nobody vouched for is said to be one", async () => {
    const shown: unknown = JSON.parse(sample.stored[2] ?? "");
    const report = await checkProof({ proof: sample.proof(2), trustedKey: null, shown, place: null });
    expect(report.verdict).toBe("proven");
    expect(report.steps[1]?.text).toContain("nothing here says that it is the log's");
  });

  test("trees of every size up to 40: each leaf, as the gateway proves it", async () => {
    const leaves = await Promise.all(
      Array.from({ length: 40 }, (_, i) => leafHash(new TextEncoder().encode(`leaf ${i}`))),
    );
    for (let size = 1; size <= leaves.length; size++) {
      const range = new CompactRange();
      for (let i = 0; i < size; i++) range.push(leaves[i] ?? new Uint8Array(32), 0);
      const root = range.root().toString("hex");
      for (let index = 0; index < size; index++) {
        const leaf = leaves[index] ?? new Uint8Array(32);
        const path = inclusionProof((i) => leaves[i] ?? new Uint8Array(32), index, size).map(
          (h) => new Uint8Array(h),
        );
        const steps = await climb(leaf, index, size, path);
        expect(Buffer.from(steps?.at(-1)?.parent ?? leaf).toString("hex")).toBe(root);
        // Neither a path that is too short nor one that is too long is one.
        expect(await climb(leaf, index, size, [...path, leaf])).toBeNull();
        if (path.length > 0) expect(await climb(leaf, index, size, path.slice(0, -1))).toBeNull();
      }
    }
  });
});

describe("proofs that do not hold", () => {
  /** Flips each bit of `text` whose position fits, and gives the flips that were taken for proven. */
  async function survivors(log: Made, index: number, every: number): Promise<string[]> {
    const shown: unknown = JSON.parse(log.stored[index] ?? "");
    const bytes = Buffer.from(log.proof(index), "utf8");
    const found: string[] = [];
    for (let bit = 0; bit < bytes.length * 8; bit += every) {
      const at = bit >> 3;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
      const proof = bytes.toString("utf8");
      const report = await checkProof({
        proof,
        trustedKey: log.key,
        shown,
        place: { log: "test/gw-1/0", index },
      });
      if (report.verdict !== "refuted") found.push(`bit ${bit & 7} of byte ${at}: ${report.verdict}`);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    }
    return found;
  }

  test("every flip of a bit of record, path, checkpoint or key is found", { timeout: 300_000 }, async () => {
    const intent = sample.stored.findIndex((leaf) => leaf.includes('"type":"statement.intent"'));
    expect(await survivors(sample, intent, 1)).toEqual([]);
  });

  test("so is every seventh of a proof with changes of the key", { timeout: 300_000 }, async () => {
    expect(await survivors(rotated, rotated.stored.length - 1, 7)).toEqual([]);
  });

  test("nothing that the command line refuses is taken for proven", { timeout: 300_000 }, async () => {
    const texts = sample.stored.map((_, index) => sample.proof(index));
    const value = fc.oneof(fc.string(), fc.integer(), fc.constantFrom(null, [], {}, true), fc.nat(30));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(texts.length - 1),
        fc.constantFrom(
          "index",
          "size",
          "leaf",
          "path",
          "checkpoint",
          "log",
          "key",
          "v",
          "type",
          "rotations",
        ),
        fc.oneof(value, fc.array(value, { maxLength: 4 })),
        async (index, member, instead) => {
          const proof = JSON.stringify({ ...JSON.parse(texts[index] ?? ""), [member]: instead });
          const shown: unknown = JSON.parse(sample.stored[index] ?? "");
          const report = await checkProof({ proof, trustedKey: sample.key, shown, place: null });
          if (report.verdict === "proven") expect(verifyProof(proof, sample.key).ok).toBe(true);
          else expect(report.verdict).toBe("refuted");
        },
      ),
      { numRuns: 300 },
    );
  });

  test("a proof of another record, another log, another key", async () => {
    const shown: unknown = JSON.parse(sample.stored[3] ?? "");
    const at = { log: "test/gw-1/0", index: 3 };
    const ask = (proof: string, trustedKey: string | null = sample.key) =>
      checkProof({ proof, trustedKey, shown, place: at });
    expect((await ask(sample.proof(4))).steps[0]).toMatchObject({ name: "file", state: "failed" });
    expect((await ask(sample.proof(3), rotated.key)).steps[1]).toMatchObject({
      name: "key",
      state: "failed",
    });
    const foreign = { ...JSON.parse(sample.proof(3)), key: rotated.key };
    expect((await ask(JSON.stringify(foreign), rotated.key)).steps[2]).toMatchObject({
      name: "signature",
      state: "failed",
    });
    expect((await ask("not JSON")).verdict).toBe("refuted");
    expect((await ask("x".repeat(5_000_000))).verdict).toBe("refuted");
  });

  test("another record shown than the one that was hashed", async () => {
    const stored = JSON.parse(sample.stored[3] ?? "") as Record<string, unknown>;
    const ask = (shown: unknown) =>
      checkProof({ proof: sample.proof(3), trustedKey: sample.key, shown, place: null });
    expect((await ask(stored)).verdict).toBe("proven");
    for (const name of Object.keys(stored)) {
      const { [name]: _gone, ...less } = stored;
      const report = await ask(less);
      expect(report.verdict).toBe("refuted");
      expect(report.steps.at(-1)).toMatchObject({ name: "shown", state: "failed" });
      expect((await ask({ ...stored, [name]: "another" })).verdict).toBe("refuted");
    }
    expect((await ask({ ...stored, added: 1 })).verdict).toBe("refuted");
    expect((await ask(null)).verdict).toBe("refuted");
  });

  test("without Web Crypto nothing is known, and nothing is ok", async () => {
    const real = globalThis.crypto;
    const without = async (replacement: unknown) => {
      Object.defineProperty(globalThis, "crypto", { value: replacement, configurable: true });
      try {
        return await check(sample, 3);
      } finally {
        Object.defineProperty(globalThis, "crypto", { value: real, configurable: true });
      }
    };
    const insecure = await without({});
    expect(insecure.verdict).toBe("unknown");
    expect(insecure.steps.find(({ name }) => name === "key")?.text).toContain("HTTPS");
    const old = await without({
      subtle: {
        digest: real.subtle.digest.bind(real.subtle),
        importKey: () => Promise.reject(new DOMException("no such algorithm", "NotSupportedError")),
      },
    });
    expect(old.verdict).toBe("unknown");
    expect(old.steps.map(({ state }) => state)).toEqual(["ok", "ok", ...Array(4).fill("unchecked")]);
    expect(old.steps[2]?.text).toContain("cannot check Ed25519");
  });
});

describe("the record shown is the record stored", () => {
  test("a value that lies in a blob may be shown itself", async () => {
    const long = "select 'é' ".repeat(9000);
    const json = JSON.stringify(long);
    const blob = Buffer.from(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(json))).toString(
      "hex",
    );
    const stored = { a: { sql: { blob, bytes: Buffer.byteLength(json) } } };
    expect(await firstDifference({ a: { sql: long } }, stored)).toBeNull();
    expect(await firstDifference(stored, stored)).toBeNull();
    expect(await firstDifference({ a: { sql: `${long} ` } }, stored)).toBe("a.sql");
    expect(await firstDifference({ a: { sql: { blob, bytes: 1 } } }, stored)).toBe("a.sql.bytes");
  });

  test("any two values differ exactly where JSON does", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (a, b) => {
        const [left, right] = [JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b))];
        expect(await firstDifference(left, left)).toBeNull();
        const same = (await firstDifference(left, right)) === null;
        expect(same).toBe(canonical(left) === canonical(right));
      }),
      { numRuns: 300 },
    );
  });

  test("what the seal held fits its digest, or is refused", async () => {
    const salt = Buffer.alloc(18, 7);
    const json = '{"sql":"select 1"}';
    const digest = Buffer.from(
      await crypto.subtle.digest("SHA-256", Buffer.concat([salt, Buffer.from(json)])),
    ).toString("base64");
    expect(await checkSealed(salt.toString("base64"), json, digest)).toEqual({ ok: true, value: true });
    expect((await checkSealed(salt.toString("base64"), `${json} `, digest)).ok).toBe(false);
    expect((await checkSealed("short", json, digest)).ok).toBe(false);
    const seal = { salt: salt.toString("base64"), json };
    expect(await isSealed({ seal, sql: "select 1", parameters: null }, digest)).toBe("same");
    expect(await isSealed({ seal, sql: "select 2", parameters: null }, digest)).toBe("other");
    expect(await isSealed({ seal, sql: "select 1", parameters: ["7"] }, digest)).toBe("other");
    expect(await isSealed({ seal, sql: "select 1", parameters: null }, seal.salt)).toBe("other");
    expect(await isSealed({ seal: null, sql: "select 1", parameters: null }, digest)).toBe("unknown");
  });
});

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`)
      .join(",")}}`;
  return JSON.stringify(value);
}
