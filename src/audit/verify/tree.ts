/** Merkle tree hashing of RFC 6962 section 2.1 (unchanged in RFC 9162 section 2.1), kept as a compact range. */
import { hash } from "node:crypto";

/** MTH({}) = SHA-256(). */
export const emptyRoot: Buffer = Buffer.from(hash("sha256", "", "hex"), "hex");

const levels = 54;
const scratch = Buffer.allocUnsafeSlow(65);
scratch[0] = 0x01;

function hashScratch(): void {
  scratch.write(hash("sha256", scratch, "binary"), 33, "latin1");
}

/** HASH(0x00 ‖ leaf): the hash of a leaf's bytes. */
export function leafHash(leaf: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(leaf.length + 1);
  bytes[0] = 0x00;
  bytes.set(leaf, 1);
  return Buffer.from(hash("sha256", bytes, "hex"), "hex");
}

/** HASH(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  scratch.set(left, 1);
  scratch.set(right, 33);
  return Buffer.from(hash("sha256", scratch, "hex"), "hex");
}

/** The roots of the perfect subtrees that make up a tree of `size` leaves: all that is needed to append and to give the root. */
export class CompactRange {
  size = 0;
  /** Level i at 32 * i, meaningful where bit i of `size` is set. */
  private readonly nodes: Buffer = Buffer.alloc(levels * 32);

  /** Appends the leaf hash at [at, at + 32) of `from`. */
  push(from: Uint8Array, at: number): void {
    const nodes = this.nodes;
    let rest = this.size;
    if (rest % 2 === 0) {
      for (let i = 0; i < 32; i++) nodes[i] = from[at + i] ?? 0;
      this.size++;
      return;
    }
    for (let i = 0; i < 32; i++) scratch[33 + i] = from[at + i] ?? 0;
    let level = 0;
    while (rest % 2 === 1) {
      nodes.copy(scratch, 1, level, level + 32);
      hashScratch();
      level += 32;
      rest = (rest - 1) / 2;
    }
    scratch.copy(nodes, level, 33, 65);
    this.size++;
  }

  /** The root of the tree so far, as a new buffer. */
  root(): Buffer {
    if (this.size === 0) return Buffer.from(emptyRoot);
    let rest = this.size;
    let level = 0;
    while (rest % 2 === 0) {
      rest /= 2;
      level += 32;
    }
    this.nodes.copy(scratch, 33, level, level + 32);
    for (rest = (rest - 1) / 2, level += 32; rest > 0; rest = Math.floor(rest / 2), level += 32) {
      if (rest % 2 === 0) continue;
      this.nodes.copy(scratch, 1, level, level + 32);
      hashScratch();
    }
    return Buffer.from(scratch.subarray(33, 65));
  }

  /** The subtree roots from the largest to the smallest, base64: with `size` all there is to know. */
  save(): string[] {
    const out: string[] = [];
    for (let level = levels - 1, bit = 2 ** level; level >= 0; level--, bit /= 2) {
      if (Math.floor(this.size / bit) % 2 === 1)
        out.push(this.nodes.toString("base64", level * 32, level * 32 + 32));
    }
    return out;
  }

  /** Takes over what `save()` gave. Throws RangeError when it does not fit the size. */
  load(size: number, saved: readonly string[]): void {
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError("tree size");
    let next = 0;
    for (let level = levels - 1, bit = 2 ** level; level >= 0; level--, bit /= 2) {
      if (Math.floor(size / bit) % 2 === 0) continue;
      const node = Buffer.from(saved[next++] ?? "", "base64");
      if (node.length !== 32) throw new RangeError("tree node");
      node.copy(this.nodes, level * 32);
    }
    if (next !== saved.length) throw new RangeError("tree nodes");
    this.size = size;
  }

  /** Becomes a copy of `other`. */
  assign(other: CompactRange): void {
    other.nodes.copy(this.nodes);
    this.size = other.size;
  }
}
