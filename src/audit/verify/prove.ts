/** Inclusion proofs as files: a record, its path and a signed checkpoint, checked with no access to the log. */
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { readLogLeaf } from "./leaftype.ts";
import { claimedSize, openCheckpoint, parseVerifierKey, type Read, strictBase64 } from "./note.ts";
import { inclusionProof, verifyInclusion } from "./proofs.ts";
import { readPruned } from "./pruned.ts";
import { followRotations, type Rotation } from "./rotations.ts";
import { readSegment, segmentFirst, segmentName } from "./segment.ts";
import { leafHash } from "./tree.ts";

export interface ProofFile {
  readonly v: 1;
  readonly type: "postern-inclusion-proof";
  readonly log: string;
  readonly index: number;
  /** Leaves of the tree the checkpoint was signed for. */
  readonly size: number;
  /** The leaf exactly as it is stored. */
  readonly leaf: string;
  /** Sibling hashes from the leaf to the root, base64 (RFC 6962 section 2.1.1). */
  readonly path: readonly string[];
  /** The signed note. */
  readonly checkpoint: string;
  /** The log's first verifier key, for reference: whoever checks should have it from elsewhere. */
  readonly key: string;
  /** How the first key certifies the one that signed the checkpoint; absent where it signed that itself. */
  readonly rotations?: readonly Rotation[];
}

/** Proves that `leaf` is leaf `index` of the log in `dir`, under its latest saved checkpoint. Never throws for a damaged log. */
export function proveLeaf(dir: string, vkey: string, index: number, leaf: string): Read<ProofFile> {
  try {
    const key = parseVerifierKey(vkey);
    if (!key.ok) return key;
    const note = readFileSync(join(dir, "checkpoint"));
    const rotations = openCheckpoint(note, key.value).ok ? [] : findRotations(dir);
    const ring = followRotations(key.value, rotations);
    if (!ring.ok) return ring;
    const signer = ring.value.at(-1) ?? key.value;
    const checkpoint = openCheckpoint(note, signer);
    if (!checkpoint.ok) return { ok: false, problem: `the log's checkpoint: ${checkpoint.problem}` };
    const { size, root, origin } = checkpoint.value;
    if (index >= size)
      return { ok: false, problem: "no saved checkpoint covers this record yet: try again in a second" };
    const path = readHashes(join(dir, "leaves"), size, (hashes) => inclusionProof(hashes, index, size));
    if (path === null)
      return { ok: false, problem: "the leaves file is short: opening the log makes it anew" };
    if (!verifyInclusion(leafHash(Buffer.from(leaf, "utf8")), index, size, path, root))
      return {
        ok: false,
        problem: 'the record and its tree do not give the signed root: run "postern audit verify"',
      };
    return {
      ok: true,
      value: {
        v: 1,
        type: "postern-inclusion-proof",
        log: origin,
        index,
        size,
        leaf,
        path: path.map((p) => p.toString("base64")),
        checkpoint: note.toString("utf8"),
        key: key.value.text,
        ...(rotations.length > 0 ? { rotations } : {}),
      },
    };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unexpected content";
    return { ok: false, problem: `the log cannot be read: ${code}` };
  }
}

/**
 * The changes of the key that the log in `dir` records, each with its proof under the checkpoint that came next; those of
 * pruned segments as they were kept. `below`: only segments that begin before this leaf are read. Nothing is checked here.
 * Throws what the file system throws.
 */
export function findRotations(dir: string, below = Number.POSITIVE_INFINITY): Rotation[] {
  const pruned = readPruned(dir);
  const found: Rotation[] = [...((pruned?.rotations ?? []) as Rotation[])];
  const firsts = readdirSync(join(dir, "segments"))
    .map(segmentFirst)
    .filter((first) => first !== null && first >= (pruned?.size ?? 0) && first < below)
    .sort((a, b) => Number(a) - Number(b));
  let waiting: { index: number; leaf: string } | null = null;
  for (const first of firsts) {
    if (first === null) continue;
    let index = first;
    readSegment(
      join(dir, "segments", segmentName(first)),
      { offset: 0, chain: Buffer.alloc(32), tail: Buffer.alloc(0) },
      {
        leaf(buf, start, end) {
          const leaf = readLogLeaf(buf, start, end);
          if (leaf !== null && leaf !== "malformed" && leaf.type === "key.rotated")
            waiting = { index, leaf: buf.toString("utf8", start, end) };
          index++;
          return null;
        },
        frame: () => null,
        point(kind, text) {
          const note = kind === "C" ? strictBase64(text) : null;
          if (waiting === null || note === null) return null;
          const size = claimedSize(note);
          const at = waiting.index;
          const path = readHashes(join(dir, "leaves"), size, (hashes) => inclusionProof(hashes, at, size));
          const checkpoint = note.toString("utf8");
          // The same change may stand there twice, after a crash in between: the last one counts.
          const previous = found.at(-1);
          if (previous !== undefined && sameChange(previous.leaf, waiting.leaf)) found.pop();
          found.push({ ...waiting, size, path: (path ?? []).map((p) => p.toString("base64")), checkpoint });
          waiting = null;
          return null;
        },
      },
      { hashes: false },
    );
  }
  return found;
}

function sameChange(a: string, b: string): boolean {
  const change = (text: string) => {
    const bytes = Buffer.from(text, "utf8");
    const leaf = readLogLeaf(bytes, 0, bytes.length);
    return leaf !== null && leaf !== "malformed" && leaf.type === "key.rotated" ? leaf.previous : null;
  };
  return change(a) === change(b);
}

/** Runs `use` over the leaf hashes in a file of at least `size` of them; null when it is shorter. */
/** Gives `use` the first `size` leaf hashes of a `leaves` file. null: it has fewer. Throws what the file system throws. */
export function readHashes<T>(
  path: string,
  size: number,
  use: (hashes: (index: number) => Uint8Array) => T,
): T | null {
  const fd = openSync(path, "r");
  try {
    if (fstatSync(fd).size < size * 32) return null;
    const chunk = Buffer.allocUnsafe(32 * 8192);
    let from = -1;
    return use((index) => {
      const start = index - (index % 8192);
      if (start !== from) readSync(fd, chunk, 0, chunk.length, start * 32);
      from = start;
      return chunk.subarray((index - start) * 32, (index - start) * 32 + 32);
    });
  } finally {
    closeSync(fd);
  }
}

export interface ProvenRecord {
  readonly log: string;
  readonly index: number;
  readonly size: number;
  readonly time: string;
  readonly record: unknown;
}

/** Checks a proof file's text under `vkey` (without one: under the key in the file itself). Never throws. */
export function verifyProof(text: string, vkey?: string): Read<ProvenRecord> {
  try {
    const proof = JSON.parse(text) as Partial<ProofFile>;
    const { index, leaf, path } = proof;
    if (proof.v !== 1 || proof.type !== "postern-inclusion-proof")
      return { ok: false, problem: "not a Postern inclusion proof" };
    if (
      typeof index !== "number" ||
      typeof leaf !== "string" ||
      !Array.isArray(path) ||
      typeof proof.checkpoint !== "string"
    )
      return { ok: false, problem: "the proof lacks a part" };
    const key = parseVerifierKey(vkey ?? String(proof.key));
    if (!key.ok) return key;
    const ring = followRotations(key.value, Array.isArray(proof.rotations) ? proof.rotations : []);
    if (!ring.ok) return ring;
    const signer = ring.value.at(-1) ?? key.value;
    const checkpoint = openCheckpoint(Buffer.from(proof.checkpoint, "utf8"), signer, true);
    if (!checkpoint.ok) return { ok: false, problem: `the checkpoint: ${checkpoint.problem}` };
    const { size, root, origin, time } = checkpoint.value;
    if (proof.size !== size || proof.log !== origin)
      return { ok: false, problem: "the proof and its checkpoint speak of different trees" };
    const hashes = path.map((p: unknown) => (typeof p === "string" ? strictBase64(p) : null));
    if (hashes.some((h) => h === null)) return { ok: false, problem: "the path is not base64" };
    const bytes = Buffer.from(leaf, "utf8");
    if (
      !verifyInclusion(
        leafHash(bytes),
        index,
        size,
        hashes.filter((h) => h !== null),
        root,
      )
    )
      return { ok: false, problem: "the record is not in the tree the checkpoint was signed for" };
    return { ok: true, value: { log: origin, index, size, time, record: JSON.parse(leaf) } };
  } catch {
    return { ok: false, problem: "the proof cannot be read" };
  }
}
