/** Proof files (docs/audit-format.md section 5) as `postern audit prove` and GET /api/audit/{id}/proof give them. */
import { type Bytes, bad, fine, type Read, strictBase64 } from "./bytes.ts";

/** A leaf with its way to the root of a signed checkpoint. */
export interface ProvenLeaf {
  readonly index: number;
  readonly size: number;
  /** The leaf exactly as it is stored. */
  readonly leaf: string;
  readonly path: readonly Bytes[];
  readonly checkpoint: string;
}

export interface Proof extends ProvenLeaf {
  /** The log's origin. */
  readonly log: string;
  /** The log's first verifier key, as the maker of the file says. */
  readonly key: string;
  /** How the first key certifies the one that signed. */
  readonly rotations: readonly ProvenLeaf[];
}

const members = new Set([
  "v",
  "type",
  "log",
  "index",
  "size",
  "leaf",
  "path",
  "checkpoint",
  "key",
  "rotations",
]);
const rotationMembers = new Set(["index", "size", "leaf", "path", "checkpoint"]);
const longest = 4 * 1024 * 1024;

/** Reads a proof file's text. Never throws. */
export function readProof(text: string): Read<Proof> {
  if (text.length > longest) return bad("it is too long");
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return bad("it is not JSON");
  }
  if (!isObject(given) || given.v !== 1 || given.type !== "postern-inclusion-proof")
    return bad("it is not a Postern inclusion proof");
  const unknown = Object.keys(given).find((name) => !members.has(name));
  if (unknown !== undefined) return bad("it has a part that proofs do not have");
  const { log, key, rotations } = given;
  if (typeof log !== "string" || typeof key !== "string") return bad("a part is missing");
  const leaf = readLeaf(given);
  if (!leaf.ok) return leaf;
  const certified: ProvenLeaf[] = [];
  if (rotations !== undefined && !Array.isArray(rotations)) return bad("its changes of the key are no list");
  for (const one of (rotations ?? []) as readonly unknown[]) {
    if (!isObject(one) || Object.keys(one).some((name) => !rotationMembers.has(name)))
      return bad("a change of the key has a part that it should not have");
    const read = readLeaf(one);
    if (!read.ok) return bad(`a change of the key: ${read.problem}`);
    certified.push(read.value);
  }
  return fine({ ...leaf.value, log, key, rotations: certified });
}

function readLeaf(given: Readonly<Record<string, unknown>>): Read<ProvenLeaf> {
  const { index, size, leaf, path, checkpoint } = given;
  if (!isIndex(index) || !isIndex(size)) return bad("its place is no number");
  if (typeof leaf !== "string" || typeof checkpoint !== "string" || !Array.isArray(path))
    return bad("a part is missing");
  const hashes: Bytes[] = [];
  for (const one of path as readonly unknown[]) {
    const hash = typeof one === "string" ? strictBase64(one) : null;
    if (hash?.length !== 32) return bad("its path is no list of hashes");
    hashes.push(hash);
  }
  return fine({ index, size, leaf, path: hashes, checkpoint });
}

function isIndex(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
