/** Inclusion proofs as files: a record, its path and a signed checkpoint, checked with no access to the log. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { openCheckpoint, parseVerifierKey, type Read, strictBase64 } from "./note.ts";
import { inclusionProof, verifyInclusion } from "./proofs.ts";
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
  /** The verifier key, for reference: whoever checks should have it from elsewhere. */
  readonly key: string;
}

/** Proves that `leaf` is leaf `index` of the log in `dir`, under its latest saved checkpoint. Never throws for a damaged log. */
export function proveLeaf(dir: string, vkey: string, index: number, leaf: string): Read<ProofFile> {
  try {
    const key = parseVerifierKey(vkey);
    if (!key.ok) return key;
    const note = readFileSync(join(dir, "checkpoint"));
    const checkpoint = openCheckpoint(note, key.value);
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
      },
    };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unexpected content";
    return { ok: false, problem: `the log cannot be read: ${code}` };
  }
}

/** Runs `use` over the leaf hashes in a file of at least `size` of them; null when it is shorter. */
function readHashes<T>(
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
    const checkpoint = openCheckpoint(Buffer.from(proof.checkpoint, "utf8"), key.value, true);
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
