/** RFC 6962 section 2.1: hashes of leaves and nodes, and the way from a leaf up to the root (verified as RFC 9162 section 2.1.3.2). */
import { type Bytes, join, sha256 } from "./bytes.ts";

const leafPrefix = new Uint8Array([0x00]);
const nodePrefix = new Uint8Array([0x01]);

/** SHA-256(0x00 ‖ leaf). Throws CannotCheck. */
export function leafHash(leaf: Uint8Array): Promise<Bytes> {
  return sha256(join(leafPrefix, leaf));
}

/** SHA-256(0x01 ‖ left ‖ right). Throws CannotCheck. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Promise<Bytes> {
  return sha256(join(nodePrefix, left, right));
}

/** One step upwards: the neighbour's hash, on which side it stands, and what both give. */
export interface Climb {
  readonly neighbour: Bytes;
  readonly side: "left" | "right";
  readonly parent: Bytes;
}

/**
 * Climbs from `leaf` (a leaf's hash) at `index` of a tree of `size` leaves along `path`. null: the path is not one of that leaf
 * in such a tree (too short, too long, or no hashes). The root is the last parent, or the leaf itself in a tree of one. Throws CannotCheck.
 */
export async function climb(
  leaf: Bytes,
  index: number,
  size: number,
  path: readonly Bytes[],
): Promise<readonly Climb[] | null> {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return null;
  if (leaf.length !== 32 || path.length > 64 || path.some((hash) => hash.length !== 32)) return null;
  const steps: Climb[] = [];
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const neighbour of path) {
    if (last === 0) return null;
    if (node % 2 === 1 || node === last) {
      hash = await nodeHash(neighbour, hash);
      steps.push({ neighbour, side: "left", parent: hash });
      // The last node of a level without a neighbour moves up as it is.
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = await nodeHash(hash, neighbour);
      steps.push({ neighbour, side: "right", parent: hash });
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? steps : null;
}
