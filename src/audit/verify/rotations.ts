/** Changes of the signing key, each certified in the log by the key before it: who has the first key follows them to the last. */
import { readLogLeaf } from "./leaftype.ts";
import { openCheckpoint, parseVerifierKey, type Read, strictBase64, type VerifierKey } from "./note.ts";
import { verifyInclusion } from "./proofs.ts";
import { leafHash } from "./tree.ts";

/** The proof of one `key.rotated` leaf under a checkpoint signed by the key that it replaced. */
export interface Rotation {
  readonly index: number;
  readonly size: number;
  /** The leaf exactly as it is stored. */
  readonly leaf: string;
  /** Sibling hashes, base64. */
  readonly path: readonly string[];
  /** The signed note. */
  readonly checkpoint: string;
}

/** The keys from `first` to the one that the last of `rotations` certifies. Never throws. */
export function followRotations(first: VerifierKey, rotations: readonly unknown[]): Read<VerifierKey[]> {
  const ring = [first];
  let current = first;
  for (const rotation of rotations) {
    const next = checkRotation(current, rotation);
    if (!next.ok) return next;
    current = next.value;
    ring.push(current);
  }
  return { ok: true, value: ring };
}

function checkRotation(current: VerifierKey, rotation: unknown): Read<VerifierKey> {
  const bad = (problem: string) => ({ ok: false, problem: `a change of the key: ${problem}` }) as const;
  if (typeof rotation !== "object" || rotation === null) return bad("not an object");
  const { index, leaf, path, checkpoint } = rotation as Readonly<Record<string, unknown>>;
  if (typeof index !== "number" || typeof leaf !== "string" || typeof checkpoint !== "string")
    return bad("a part is missing");
  const hashes = Array.isArray(path)
    ? path.map((p: unknown) => (typeof p === "string" ? strictBase64(p) : null)).filter((p) => p !== null)
    : [];
  const note = openCheckpoint(Buffer.from(checkpoint, "utf8"), current, true);
  if (!note.ok) return bad(note.problem);
  const bytes = Buffer.from(leaf, "utf8");
  if (!verifyInclusion(leafHash(bytes), index, note.value.size, hashes, note.value.root))
    return bad("its record is not in the tree the old key signed");
  const read = readLogLeaf(bytes, 0, bytes.length);
  if (read === null || read === "malformed" || read.type !== "key.rotated")
    return bad("its record is another one");
  if (read.previous !== current.text) return bad("it does not replace the key before it");
  return nextKey(read.next, current);
}

/** The key that a `key.rotated` leaf names. */
export function nextKey(text: string, current: VerifierKey): Read<VerifierKey> {
  const next = parseVerifierKey(text);
  if (!next.ok) return next;
  if (next.value.name !== current.name || text.endsWith("\n"))
    return { ok: false, problem: "the new key has another name" };
  return next;
}
