/** Sealing personal content: AES-256-GCM under a day's key, bound to its place by the associated data. */
import { type CipherGCM, createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import { BytePool } from "./record/random.ts";

const nonces = new BytePool();

/** Associated data of a frame: origin, frame number and key id, each on a line. */
export function frameAad(origin: string, frame: number, day: string): Buffer {
  return Buffer.from(`${origin}\n${frame}\n${day}`, "utf8");
}

/** Associated data of a sealed blob. */
export function blobAad(origin: string, day: string): Buffer {
  return Buffer.from(`${origin}\nblob\n${day}`, "utf8");
}

/** Associated data of a part of a capture. */
export function captureAad(origin: string, day: string): Buffer {
  return Buffer.from(`${origin}\ncapture\n${day}`, "utf8");
}

/** Begins a frame, which is written piece by piece: the nonce goes before the first, the tag behind the last. */
export function beginFrame(
  key: KeyObject,
  aad: Buffer,
): { readonly nonce: Buffer; readonly cipher: CipherGCM } {
  const nonce = Buffer.allocUnsafe(12);
  const at = nonces.take(12);
  nonces.bytes.copy(nonce, 0, at, at + 12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(aad);
  return { nonce, cipher };
}

/**
 * The plaintext of a frame's pieces. A writer that was killed left its last frame without a tag (null): what such a
 * frame says is to be believed only line by line, under the salted digests in the leaves. null when it does not open.
 */
export function openFrame(key: KeyObject, aad: Buffer, pieces: Buffer, tag: Buffer | null): Buffer | null {
  if (pieces.length < 12) return null;
  if (tag !== null) return unseal(key, aad, Buffer.concat([pieces, tag]));
  const decipher = createDecipheriv("aes-256-gcm", key, pieces.subarray(0, 12));
  return decipher.setAAD(aad).update(pieces.subarray(12));
}

/** nonce (12) ‖ ciphertext ‖ tag (16). */
export function seal(key: KeyObject, aad: Buffer, plain: Buffer): Buffer {
  const out = Buffer.allocUnsafe(plain.length + 28);
  const at = nonces.take(12);
  nonces.bytes.copy(out, 0, at, at + 12);
  const cipher = createCipheriv("aes-256-gcm", key, out.subarray(0, 12));
  cipher.setAAD(aad);
  out.set(cipher.update(plain), 12);
  cipher.final();
  out.set(cipher.getAuthTag(), plain.length + 12);
  return out;
}

/** What was sealed; null when it was not sealed so (wrong key, wrong place, changed bytes). */
export function unseal(key: KeyObject, aad: Buffer, sealed: Buffer): Buffer | null {
  if (sealed.length < 28) return null;
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12));
    decipher.setAAD(aad).setAuthTag(sealed.subarray(sealed.length - 16));
    const plain = decipher.update(sealed.subarray(12, sealed.length - 16));
    return Buffer.concat([plain, decipher.final()]);
  } catch {
    return null;
  }
}
