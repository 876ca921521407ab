import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CompactRange,
  consistencyProof,
  inclusionProof,
  leafHash,
  verifyConsistency,
  verifyInclusion,
} from "../../src/audit/verify/index.ts";

// The reference data of Certificate Transparency for RFC 6962 section 2.1: google/certificate-transparency,
// cpp/merkletree/merkle_tree_test.cc (also transparency-dev/merkle, testonly/constants.go).
const inputs = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
].map((h) => Buffer.from(h, "hex"));
const roots = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const inclusion = [
  { index: 0, size: 1, path: [] },
  {
    index: 0,
    size: 8,
    path: [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
  },
  {
    index: 5,
    size: 8,
    path: [
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
  },
  { index: 2, size: 3, path: ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"] },
  {
    index: 1,
    size: 5,
    path: [
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
  },
];
const consistency = [
  { first: 1, second: 1, path: [] },
  {
    first: 1,
    second: 8,
    path: [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
  },
  {
    first: 6,
    second: 8,
    path: [
      "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
  },
  {
    first: 2,
    second: 5,
    path: [
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
  },
];

const hex = (b: Uint8Array) => Buffer.from(b).toString("hex");
const bytes = (h: string) => Buffer.from(h, "hex");
const hashes = inputs.map((i) => leafHash(i));
const hashAt = (i: number) => hashes[i] ?? Buffer.alloc(0);
const rootAt = (size: number) => bytes(roots[size - 1] ?? "");

describe("RFC 6962 reference data", () => {
  test("the empty tree", () => {
    expect(hex(new CompactRange().root())).toBe(
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
  });

  test("roots of one to eight leaves", () => {
    const range = new CompactRange();
    const found = hashes.map((h) => {
      range.push(h, 0);
      return hex(range.root());
    });
    expect(found).toEqual(roots);
  });

  test.each(inclusion)("inclusion of leaf $index in $size", ({ index, size, path }) => {
    expect(inclusionProof(hashAt, index, size).map(hex)).toEqual(path);
    expect(verifyInclusion(hashAt(index), index, size, path.map(bytes), rootAt(size))).toBe(true);
  });

  test.each(consistency)("consistency of $first with $second", ({ first, second, path }) => {
    expect(consistencyProof(hashAt, first, second).map(hex)).toEqual(path);
    expect(verifyConsistency(first, second, path.map(bytes), rootAt(first), rootAt(second))).toBe(true);
  });
});

/** RFC 6962 section 2.1, word for word. */
function naiveRoot(leaves: readonly Buffer[]): Buffer {
  const sha = (...parts: Buffer[]) => createHash("sha256").update(Buffer.concat(parts)).digest();
  const [only] = leaves;
  if (only === undefined) return sha();
  if (leaves.length === 1) return sha(Buffer.from([0]), only);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha(Buffer.from([1]), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

const someLeaves = fc.array(
  fc.uint8Array({ maxLength: 40 }).map((a) => Buffer.from(a)),
  { minLength: 1, maxLength: 70 },
);

describe("any tree", () => {
  test("the compact range gives the root of the definition, also when saved and loaded on the way", () => {
    fc.assert(
      fc.property(someLeaves, fc.nat(69), (leaves, stop) => {
        let range = new CompactRange();
        for (const [i, leaf] of leaves.entries()) {
          if (i === stop) {
            const again = new CompactRange();
            again.load(range.size, range.save());
            range = again;
          }
          range.push(Buffer.concat([Buffer.from("xx"), leafHash(leaf)]), 2);
        }
        expect(hex(range.root())).toBe(hex(naiveRoot(leaves)));
      }),
      { numRuns: 60 },
    );
  });

  test("every proof verifies, and no other position, size, leaf or root does", () => {
    fc.assert(
      fc.property(someLeaves, fc.nat(), fc.nat(), (leaves, a, b) => {
        const list = leaves.map((l, i) => leafHash(Buffer.concat([l, Buffer.from([i])])));
        const at = (i: number) => list[i] ?? Buffer.alloc(0);
        const root = (n: number) => {
          const range = new CompactRange();
          for (let i = 0; i < n; i++) range.push(at(i), 0);
          return range.root();
        };
        const size = list.length;
        const index = a % size;
        const path = inclusionProof(at, index, size);
        expect(verifyInclusion(at(index), index, size, path, root(size))).toBe(true);
        expect(verifyInclusion(at(index), index + 1, size, path, root(size))).toBe(false);
        expect(verifyInclusion(leafHash(Buffer.from("other")), index, size, path, root(size))).toBe(false);
        expect(verifyInclusion(at(index), index, size, [...path, at(0)], root(size))).toBe(false);
        const first = 1 + (b % size);
        const proof = consistencyProof(at, first, size);
        expect(verifyConsistency(first, size, proof, root(first), root(size))).toBe(true);
        expect(verifyConsistency(first, size, proof, leafHash(root(first)), root(size))).toBe(false);
        expect(verifyConsistency(first, size, [...proof, at(0)], root(first), root(size))).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  test("size 0 is a size like any other", () => {
    const empty = new CompactRange().root();
    expect(verifyConsistency(0, 3, [], empty, rootAt(3))).toBe(true);
    expect(verifyConsistency(0, 3, [], rootAt(1), rootAt(3))).toBe(false);
    expect(verifyConsistency(0, 0, [], empty, empty)).toBe(true);
    expect(verifyInclusion(hashAt(0), 0, 0, [], empty)).toBe(false);
    expect(() => inclusionProof(hashAt, 0, 0)).toThrow(RangeError);
  });
});
