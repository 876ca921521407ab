/** The proof of one record, checked step by step in this browser. */
import { type Bytes, bad, CannotCheck, fine, type Read, sameBytes, toHex, utf8 } from "./bytes.ts";
import { isObject, type Proof, type ProvenLeaf, readProof } from "./file.ts";
import { type Checkpoint, openCheckpoint, readVerifierKey, type VerifierKey } from "./note.ts";
import { firstDifference } from "./same.ts";
import { type Climb, climb, leafHash } from "./tree.ts";

export type StepName = "file" | "key" | "signature" | "leaf" | "path" | "shown";

/** `unchecked`: nothing is known of it, since an earlier step failed or the browser cannot do it. */
export type StepState = "ok" | "failed" | "unchecked";

export interface ProofStep {
  readonly name: StepName;
  readonly state: StepState;
  /** What was found, in a sentence. */
  readonly text: string;
}

/** What was proven; hex of hashes for people to compare. */
export interface Proven {
  readonly log: string;
  readonly index: number;
  readonly size: number;
  /** When the checkpoint was signed. */
  readonly signedAt: string;
  readonly key: string;
  readonly leafHash: string;
  readonly root: string;
  readonly climbs: readonly Climb[];
  readonly bytes: number;
}

export interface ProofReport {
  /** `proven` only where every step is ok. `unknown`: the browser cannot check. */
  readonly verdict: "proven" | "refuted" | "unknown";
  readonly steps: readonly ProofStep[];
  /** What is known even where a later step failed. */
  readonly proven: Proven | null;
}

export interface ProofQuestion {
  /** The proof file's text. */
  readonly proof: string;
  /** The verifier key that is trusted; null: the one in the file, which is said. */
  readonly trustedKey: string | null;
  /** The record as the page shows it. */
  readonly shown: unknown;
  /** Where the page says that it stands; `log` is the origin or its last parts (`<node>/<worker>`), "" for the only log; null: not said. */
  readonly place: { readonly log: string; readonly index: number } | null;
}

const order: readonly StepName[] = ["file", "key", "signature", "leaf", "path", "shown"];

/** Checks a proof. Never throws; whatever cannot be checked is `unchecked`, never `ok`. */
export async function checkProof(question: ProofQuestion): Promise<ProofReport> {
  const steps: ProofStep[] = [];
  const ok = (name: StepName, text: string) => steps.push({ name, state: "ok", text });
  const end = (
    verdict: "refuted" | "unknown",
    name: StepName,
    text: string,
    proven: Proven | null = null,
  ) => {
    steps.push({ name, state: verdict === "refuted" ? "failed" : "unchecked", text });
    for (const rest of order.slice(order.indexOf(name) + 1))
      steps.push({ name: rest, state: "unchecked", text: "Not checked." });
    return { verdict, steps, proven };
  };
  let current: StepName = "file";
  try {
    const read = readProof(question.proof);
    if (!read.ok) return end("refuted", "file", `The proof cannot be used: ${read.problem}.`);
    const proof = read.value;
    const { place } = question;
    if (place !== null && !(isLog(proof.log, place.log) && place.index === proof.index))
      return end(
        "refuted",
        "file",
        `The proof is of record ${proof.index} of ${proof.log}, not of this one.`,
      );
    ok(
      "file",
      `A proof for record ${proof.index} of ${proof.log}, under a checkpoint of ${proof.size} records.`,
    );

    current = "key";
    if (question.trustedKey !== null && question.trustedKey !== proof.key)
      return end("refuted", "key", "The proof was made for another key than the one that is trusted here.");
    const ring = await followKeys(proof);
    if (!ring.ok) return end("refuted", "key", `The log's key: ${ring.problem}.`);
    const signer = ring.value;
    ok("key", keyText(proof, question.trustedKey));

    current = "signature";
    const opened = await openCheckpoint(proof.checkpoint, signer);
    if (!opened.ok) return end("refuted", "signature", `The checkpoint does not hold: ${opened.problem}.`);
    const checkpoint = opened.value;
    if (checkpoint.size !== proof.size || checkpoint.origin !== proof.log)
      return end("refuted", "signature", "The proof and its checkpoint speak of different trees.");
    ok(
      "signature",
      `Ed25519 signature by ${signer.name} over ${checkpoint.size} records, signed ${checkpoint.time}.`,
    );

    current = "leaf";
    const bytes = utf8(proof.leaf);
    if (bytes === null) return end("refuted", "leaf", "The record is not UTF-8 text.");
    const hash = await leafHash(bytes);
    ok("leaf", `${bytes.length} bytes, exactly as stored, hash to ${toHex(hash)}.`);

    current = "path";
    const climbs = await climbTo(proof, hash, checkpoint);
    const proven = describe(proof, signer, checkpoint, hash, climbs ?? [], bytes.length);
    if (climbs === null)
      return end("refuted", "path", "The record is not in the tree that the checkpoint was signed for.");
    ok("path", pathText(climbs.length, checkpoint));

    current = "shown";
    const difference = await differs(question.shown, proof.leaf);
    if (difference !== null)
      return end(
        "refuted",
        "shown",
        `What this page shows is not what is on the record: ${difference}.`,
        proven,
      );
    ok("shown", "What this page shows is, field by field, the record that was hashed.");
    return { verdict: "proven", steps, proven };
  } catch (error) {
    const text = error instanceof CannotCheck ? error.message : "Your browser could not carry out the check.";
    return end("unknown", current, text);
  }
}

/** Whether `name` is what a page calls the log of this origin. */
function isLog(origin: string, name: string): boolean {
  return name === "" || origin === name || origin.endsWith(`/${name}`);
}

function keyText(proof: Proof, trusted: string | null): string {
  const changes = proof.rotations.length;
  const by = changes === 0 ? "" : ` It certified its successor${changes === 1 ? "" : `s, ${changes} times`}.`;
  return trusted === null
    ? `The key in the proof is well-formed, but nothing here says that it is the log's.${by}`
    : `The key is the one that is trusted here.${by}`;
}

function pathText(steps: number, checkpoint: Checkpoint): string {
  const root = toHex(checkpoint.root);
  return steps === 0
    ? `The only record: its hash is the signed root ${root}.`
    : `${steps} neighbour hash${steps === 1 ? "" : "es"} lead from it to the signed root ${root}.`;
}

/** The way up where it ends in the signed root; else null. */
async function climbTo(
  leaf: ProvenLeaf,
  hash: Bytes,
  checkpoint: Checkpoint,
): Promise<readonly Climb[] | null> {
  const climbs = await climb(hash, leaf.index, checkpoint.size, leaf.path);
  if (climbs === null) return null;
  return sameBytes(climbs.at(-1)?.parent ?? hash, checkpoint.root) ? climbs : null;
}

/** The key that signed: the first one, or the one that the last change of the key certifies (docs/audit-format.md section 4). */
async function followKeys(proof: Proof): Promise<Read<VerifierKey>> {
  const first = await readVerifierKey(proof.key);
  if (!first.ok) return first;
  let current = first.value;
  for (const rotation of proof.rotations) {
    const next = await nextKey(current, rotation);
    if (!next.ok) return bad(`a change of it, ${next.problem}`);
    current = next.value;
  }
  return fine(current);
}

async function nextKey(current: VerifierKey, rotation: ProvenLeaf): Promise<Read<VerifierKey>> {
  const opened = await openCheckpoint(rotation.checkpoint, current);
  if (!opened.ok) return opened;
  if (opened.value.size !== rotation.size)
    return bad("its proof and its checkpoint speak of different trees");
  const bytes = utf8(rotation.leaf);
  if (bytes === null) return bad("its record is not text");
  if ((await climbTo(rotation, await leafHash(bytes), opened.value)) === null)
    return bad("its record is not in the tree that the old key signed");
  // Where the type stands is part of the format, so that no other record can pass for this one.
  if (!rotation.leaf.startsWith('key.rotated","', 59)) return bad("its record is another one");
  const leaf = parse(rotation.leaf);
  if (!isObject(leaf) || typeof leaf.next !== "string" || leaf.previous !== current.text)
    return bad("it does not replace the key before it");
  const next = await readVerifierKey(leaf.next);
  if (next.ok && next.value.name !== current.name) return bad("the new key has another name");
  return next;
}

async function differs(shown: unknown, leaf: string): Promise<string | null> {
  const stored = parse(leaf);
  if (!isObject(stored)) return "it is no record";
  const difference = await firstDifference(shown, stored);
  return difference === null ? null : `they differ at ${difference}`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describe(
  proof: Proof,
  signer: VerifierKey,
  checkpoint: Checkpoint,
  hash: Bytes,
  climbs: readonly Climb[],
  bytes: number,
): Proven {
  return {
    log: proof.log,
    index: proof.index,
    size: checkpoint.size,
    signedAt: checkpoint.time,
    key: signer.text,
    leafHash: toHex(hash),
    root: toHex(checkpoint.root),
    climbs,
    bytes,
  };
}
