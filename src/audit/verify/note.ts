/**
 * Signed notes, verifier keys and checkpoints, read byte for byte: https://c2sp.org/signed-note and
 * https://c2sp.org/tlog-checkpoint. A lax reader lets changed bytes pass, so every text has exactly one accepted form.
 */
import { createPublicKey, hash, type KeyObject, verify } from "node:crypto";

export interface VerifierKey {
  readonly name: string;
  /** First four bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key). */
  readonly id: Buffer;
  readonly key: KeyObject;
  /** The text form, without a newline. */
  readonly text: string;
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** The value of the segment's running hash, 32 bytes. */
  readonly chain: Buffer;
  readonly time: string;
  /** The text of the key whose signature was checked. */
  readonly signer: string;
}

/** The outcome of reading hostile text. */
export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string };

function bad<T>(problem: string): Read<T> {
  return { ok: false, problem };
}

/** Ed25519 SubjectPublicKeyInfo without the key (RFC 8410 section 4). */
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/** Base64 (RFC 4648 section 4) with padding, canonical; null for anything else. */
export function strictBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : null;
}

/** The key id of an Ed25519 note key (C2SP signed-note, "Signatures"). */
export function keyId(name: string, publicKey: Uint8Array): Buffer {
  const bytes = Buffer.concat([Buffer.from(`${name}\n\x01`, "utf8"), publicKey]);
  return Buffer.from(hash("sha256", bytes, "hex"), "hex").subarray(0, 4);
}

/** The text form of an Ed25519 note key: `<name>+<key id, 8 hex digits>+<base64(0x01 ‖ public key)>`. */
export function formatVerifierKey(name: string, publicKey: Uint8Array): string {
  const body = Buffer.concat([Buffer.from([1]), publicKey]).toString("base64");
  return `${name}+${keyId(name, publicKey).toString("hex")}+${body}`;
}

/** Reads a verifier key; one newline at the end is allowed. Never throws. */
export function parseVerifierKey(input: string): Read<VerifierKey> {
  const text = input.endsWith("\n") ? input.slice(0, -1) : input;
  const match = /^([^+\s]{1,256})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/.exec(text);
  if (match === null) return bad("not a verifier key");
  const [, name = "", id = "", body = ""] = match;
  const bytes = strictBase64(body);
  if (bytes === null || bytes.length !== 33 || bytes[0] !== 1) return bad("not an Ed25519 verifier key");
  const publicKey = bytes.subarray(1);
  if (keyId(name, publicKey).toString("hex") !== id) return bad("the key's id does not fit the key");
  try {
    const key = createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: "der", type: "spki" });
    return { ok: true, value: { name, id: Buffer.from(id, "hex"), key, text } };
  } catch {
    return bad("not an Ed25519 public key");
  }
}

/** What a note says its tree's size is, before anything of it is checked; -1 when it says nothing. */
export function claimedSize(note: Buffer): number {
  const size = /^[^\n]+\n(0|[1-9][0-9]{0,15})\n/.exec(note.toString("utf8"))?.[1];
  return size === undefined ? -1 : Number(size);
}

/** Reads the text of a checkpoint of this format: origin, size, root, chain, time; each ended by a newline. */
function parseCheckpointText(text: string, signer: string): Read<Checkpoint> {
  const lines = text.split("\n");
  if (lines.length !== 6 || lines[5] !== "") return bad("a checkpoint has five lines");
  const [origin = "", sizeText = "", rootText = "", chainText = "", timeText = ""] = lines;
  if (!/^(0|[1-9][0-9]{0,15})$/.test(sizeText)) return bad("the size is not a plain decimal");
  const size = Number(sizeText);
  if (!Number.isSafeInteger(size)) return bad("the size is too large");
  const root = strictBase64(rootText);
  if (root === null || root.length !== 32) return bad("the root is not 32 bytes of base64");
  if (!chainText.startsWith("chain ")) return bad("no chain line");
  const chain = strictBase64(chainText.slice(6));
  if (chain === null || chain.length !== 32) return bad("the chain value is not 32 bytes of base64");
  if (!/^time \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(timeText)) return bad("no time line");
  return { ok: true, value: { origin, size, root, chain, time: timeText.slice(5), signer } };
}

/**
 * Reads a signed checkpoint and checks its signature under one of `keys`, whose name is the log's origin. With `cosigned`,
 * lines of other keys may follow or precede (a checkpoint kept by a witness); in a segment there is exactly one signature. Never throws.
 */
export function openCheckpoint(
  note: Buffer,
  keys: VerifierKey | readonly VerifierKey[],
  cosigned = false,
): Read<Checkpoint> {
  try {
    const ring: readonly VerifierKey[] = "id" in keys ? [keys] : keys;
    const text = note.toString("utf8");
    if (!Buffer.from(text, "utf8").equals(note)) return bad("the note is not UTF-8");
    const end = text.lastIndexOf("\n\n");
    if (end < 0 || !text.endsWith("\n")) return bad("the note has no signatures");
    const body = text.slice(0, end + 1);
    const lines = text.slice(end + 2, -1).split("\n");
    if (!cosigned && lines.length !== 1) return bad("the note must have one signature");
    let signed: VerifierKey | null = null;
    for (const line of lines) {
      const match = /^\u2014 ([^+\s]{1,256}) ([A-Za-z0-9+/=]{8,512})$/.exec(line);
      if (match === null) return bad("a signature line is malformed");
      const [, name = "", value = ""] = match;
      const bytes = strictBase64(value);
      if (bytes === null || bytes.length < 5) return bad("a signature is not base64");
      const key = ring.find((k) => name === k.name && bytes.subarray(0, 4).equals(k.id));
      if (key === undefined) {
        if (cosigned) continue;
        return bad("the note is signed by another key");
      }
      if (bytes.length !== 68 || !verify(null, Buffer.from(body, "utf8"), key.key, bytes.subarray(4)))
        return bad("the signature does not verify");
      signed = key;
    }
    if (signed === null) return bad("the note is not signed by the log's key");
    const checkpoint = parseCheckpointText(body, signed.text);
    if (checkpoint.ok && checkpoint.value.origin !== signed.name)
      return bad("the origin is not the key's name");
    return checkpoint;
  } catch {
    return bad("the note cannot be read");
  }
}
