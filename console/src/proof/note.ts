/**
 * Signed notes, verifier keys and checkpoints (docs/audit-format.md section 4), read byte for byte: https://c2sp.org/signed-note
 * and https://c2sp.org/tlog-checkpoint. Written apart from the gateway's own verifier, so that each can find the other wrong.
 */
import {
  type Bytes,
  bad,
  CannotCheck,
  fine,
  join,
  type Read,
  sameBytes,
  sha256,
  strictBase64,
  subtle,
  utf8,
} from "./bytes.ts";

export interface VerifierKey {
  /** The log's origin. */
  readonly name: string;
  /** First four bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key). */
  readonly id: Bytes;
  /** 32 bytes (RFC 8032). */
  readonly publicKey: Bytes;
  /** The text form. */
  readonly text: string;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Bytes;
  readonly chain: Bytes;
  /** ISO 8601, microseconds, UTC. */
  readonly time: string;
}

/** Reads `<name>+<id>+<base64(0x01 ‖ public key)>`. Throws CannotCheck. */
export async function readVerifierKey(text: string): Promise<Read<VerifierKey>> {
  const match = /^([^+\s]{1,256})\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text);
  if (match === null) return bad("it is not a verifier key");
  const [, name = "", idText = "", body = ""] = match;
  const bytes = strictBase64(body);
  if (bytes === null || bytes.length !== 33 || bytes[0] !== 1)
    return bad("it is not an Ed25519 verifier key");
  const named = utf8(`${name}\n`);
  if (named === null) return bad("its name is not text");
  const id = (await sha256(join(named, bytes))).slice(0, 4);
  const hex = [...id].map((b) => b.toString(16).padStart(2, "0")).join("");
  if (hex !== idText) return bad("its id does not fit the key");
  return fine({ name, id, publicKey: bytes.slice(1), text });
}

/** Ed25519 (RFC 8032) by Web Crypto. Throws CannotCheck where the browser has it not (Chromium before 137, Firefox before 129). */
async function signed(key: VerifierKey, message: Bytes, signature: Bytes): Promise<boolean> {
  try {
    const imported = await subtle().importKey("raw", key.publicKey, { name: "Ed25519" }, false, ["verify"]);
    return await subtle().verify({ name: "Ed25519" }, imported, signature, message);
  } catch (error) {
    if (error instanceof Error && error.name === "DataError") return false;
    if (error instanceof CannotCheck) throw error;
    throw new CannotCheck(
      "Your browser cannot check Ed25519 signatures (Chromium 137, Firefox 129 and Safari 17 or later can). Download the evidence and check it with postern audit verify-proof.",
    );
  }
}

/**
 * Reads a signed checkpoint and checks its signature under `key`. Lines of other signers (witnesses) may stand beside it.
 * Throws CannotCheck.
 */
export async function openCheckpoint(note: string, key: VerifierKey): Promise<Read<Checkpoint>> {
  if (note.length > 65_536 || utf8(note) === null) return bad("the note is not text of a note's length");
  const end = note.lastIndexOf("\n\n");
  if (end < 0 || !note.endsWith("\n")) return bad("the note has no signatures");
  const body = note.slice(0, end + 1);
  let found = false;
  for (const line of note.slice(end + 2, -1).split("\n")) {
    const match = /^\u2014 ([^+\s]{1,256}) ([A-Za-z0-9+/=]{8,512})$/.exec(line);
    if (match === null) return bad("a signature line is malformed");
    const [, name = "", value = ""] = match;
    const bytes = strictBase64(value);
    if (bytes === null || bytes.length < 5) return bad("a signature is not base64");
    if (name !== key.name || !sameBytes(bytes.slice(0, 4), key.id)) continue;
    const message = utf8(body);
    if (bytes.length !== 68 || message === null) return bad("the signature is malformed");
    if (!(await signed(key, message, bytes.slice(4)))) return bad("the signature is not by the log's key");
    found = true;
  }
  if (!found) return bad("the note is not signed by the log's key");
  const checkpoint = readBody(body);
  if (checkpoint.ok && checkpoint.value.origin !== key.name) return bad("the note is of another log");
  return checkpoint;
}

/** The five lines of a checkpoint's text, each ended by a newline. */
function readBody(text: string): Read<Checkpoint> {
  const lines = text.split("\n");
  if (lines.length !== 6 || lines[5] !== "") return bad("a checkpoint has five lines");
  const [origin = "", sizeText = "", rootText = "", chainText = "", timeText = ""] = lines;
  const size = /^(?:0|[1-9][0-9]{0,15})$/.test(sizeText) ? Number(sizeText) : Number.NaN;
  if (!Number.isSafeInteger(size)) return bad("the checkpoint's size is no number");
  const root = strictBase64(rootText);
  const chain = chainText.startsWith("chain ") ? strictBase64(chainText.slice(6)) : null;
  if (root?.length !== 32) return bad("the checkpoint's root is not a hash");
  if (chain?.length !== 32) return bad("the checkpoint's chain value is not a hash");
  const time = /^time (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)$/.exec(timeText)?.[1];
  if (time === undefined) return bad("the checkpoint has no time");
  return fine({ origin, size, root, chain, time });
}
