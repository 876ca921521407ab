/** Merkle audit (inclusion) and consistency proofs: RFC 6962 section 2.1.1-2.1.2, verified as RFC 9162 sections 2.1.3.2 and 2.1.4.2. */
import { CompactRange, nodeHash } from "./tree.ts";

/** Gives the leaf hash at an index, 32 bytes. */
export type LeafHashes = (index: number) => Uint8Array;

/** The largest power of two smaller than n, for n > 1. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** MTH(D[from:to]). */
function subtree(leaves: LeafHashes, from: number, to: number): Buffer {
  const range = new CompactRange();
  for (let i = from; i < to; i++) range.push(leaves(i), 0);
  return range.root();
}

/** PATH(index, D[0:size]). Throws RangeError when the index is not below the size. */
export function inclusionProof(leaves: LeafHashes, index: number, size: number): Buffer[] {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size)
    throw new RangeError(`no leaf ${index} in a tree of ${size}`);
  const path: Buffer[] = [];
  let from = 0;
  let to = size;
  while (to - from > 1) {
    const k = split(to - from);
    if (index < from + k) {
      path.push(subtree(leaves, from + k, to));
      to = from + k;
    } else {
      path.push(subtree(leaves, from, from + k));
      from += k;
    }
  }
  return path.reverse();
}

/** PROOF(first, D[0:second]). Throws RangeError unless 0 < first <= second. */
export function consistencyProof(leaves: LeafHashes, first: number, second: number): Buffer[] {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(second) || first < 1 || first > second)
    throw new RangeError(`no consistency proof from ${first} to ${second}`);
  const path: Buffer[] = [];
  let from = 0;
  let to = second;
  let old = first;
  let whole = true;
  while (old !== to - from) {
    const k = split(to - from);
    if (old <= k) {
      path.push(subtree(leaves, from + k, to));
      to = from + k;
    } else {
      path.push(subtree(leaves, from, from + k));
      from += k;
      old -= k;
      whole = false;
    }
  }
  if (!whole) path.push(subtree(leaves, from, to));
  return path.reverse();
}

/** Whether `path` shows that `leaf` (a leaf hash) is at `index` of the tree of `size` leaves with `root`. Never throws. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  if (leaf.length !== 32 || path.some((p) => p.length !== 32)) return false;
  let fn = index;
  let sn = size - 1;
  let r: Uint8Array = leaf;
  for (const p of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      r = nodeHash(r, p);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && Buffer.compare(r, root) === 0;
}

/**
 * Whether `path` shows that the tree of `second` leaves continues the one of `first`. Never throws. Every tree continues
 * the empty one (C2SP tlog-checkpoint), and each is consistent with itself: both with an empty path.
 */
export function verifyConsistency(
  first: number,
  second: number,
  path: readonly Uint8Array[],
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
): boolean {
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(second) || first < 0 || first > second)
    return false;
  if (path.some((p) => p.length !== 32)) return false;
  if (first === second) return path.length === 0 && Buffer.compare(firstRoot, secondRoot) === 0;
  if (first === 0) return path.length === 0 && Buffer.compare(firstRoot, new CompactRange().root()) === 0;
  const steps = [...path];
  // A first tree that is a perfect subtree is its own starting point.
  if (Number.isInteger(Math.log2(first)) && 2 ** Math.log2(first) === first) steps.unshift(firstRoot);
  const start = steps.shift();
  if (start === undefined) return false;
  let fn = first - 1;
  let sn = second - 1;
  while (fn % 2 === 1) {
    fn = (fn - 1) / 2;
    sn = Math.floor(sn / 2);
  }
  let fr: Uint8Array = start;
  let sr: Uint8Array = start;
  for (const c of steps) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2;
        sn = Math.floor(sn / 2);
      }
    } else {
      sr = nodeHash(sr, c);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && Buffer.compare(fr, firstRoot) === 0 && Buffer.compare(sr, secondRoot) === 0;
}
