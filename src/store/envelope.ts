/**
 * Envelope encryption for what Postern must store and nobody may read in the store: each value under a key of its own, that key under
 * the operator's (NIST SP 800-38D, AES-256-GCM). Turning the operator's key over needs no old value to be touched.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

export interface Envelope {
  /** Seals bytes. `context` names what they are and whose (collection and key): they open under the same context only. */
  seal(plain: Uint8Array, context: string): string;
  /** Throws EnvelopeError when it was sealed under another key or context, or changed. */
  open(sealed: string, context: string): Buffer;
  /** Whether it was sealed with an older key, so that sealing it anew is a good idea. */
  isOld(sealed: string): boolean;
}

/** What does not open; the message says nothing of its content. */
export class EnvelopeError extends Error {
  override readonly name = "EnvelopeError";
}

const version = "e1";
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const maxPlainBytes = 16 * 1024 * 1024;

/** The first of the keys (32 bytes each) seals; all open. Throws TypeError for keys of another length, or none. */
export function createEnvelope(keys: readonly Uint8Array[]): Envelope {
  const byId = new Map<string, Buffer>();
  for (const key of keys) {
    if (key.length !== keyBytes) throw new TypeError(`a key of ${keyBytes} bytes is expected`);
    byId.set(idOf(key), Buffer.from(key));
  }
  const [first] = byId;
  if (first === undefined) throw new TypeError("at least one key is expected");
  const [currentId, current] = first;
  return {
    seal(plain, context) {
      if (plain.length > maxPlainBytes) throw new TypeError("too much to seal at once");
      const dataKey = randomBytes(keyBytes);
      const bound = `${version}.${currentId}.${context}`;
      const wrapped = encrypt(current, dataKey, `key ${bound}`);
      const body = encrypt(dataKey, plain, `data ${bound}`);
      dataKey.fill(0);
      return [version, currentId, wrapped.toString("base64url"), body.toString("base64url")].join(".");
    },
    open(sealed, context) {
      const [kind, id = "", wrapped = "", body = "", ...more] = sealed.split(".");
      const key = byId.get(id);
      if (kind !== version || more.length > 0) throw new EnvelopeError("not a sealed value");
      if (key === undefined) throw new EnvelopeError("sealed under a key that is not there");
      const bound = `${version}.${id}.${context}`;
      const dataKey = decrypt(key, Buffer.from(wrapped, "base64url"), `key ${bound}`);
      return decrypt(dataKey, Buffer.from(body, "base64url"), `data ${bound}`);
    },
    isOld: (sealed) => sealed.split(".", 2)[1] !== currentId,
  };
}

/** A key as operators write it: 32 bytes in base64, base64url or hex. Throws TypeError. */
export function readEnvelopeKey(text: string): Buffer {
  const trimmed = text.trim();
  const key = /^[0-9a-fA-F]{64}$/.test(trimmed)
    ? Buffer.from(trimmed, "hex")
    : /^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)
      ? Buffer.from(trimmed, "base64url")
      : null;
  if (key === null || key.length !== keyBytes)
    throw new TypeError(
      "a key of 32 bytes in base64 or hex is expected, such as `openssl rand -base64 32` prints",
    );
  return key;
}

/** Names a key without giving it away. */
function idOf(key: Uint8Array): string {
  return createHash("sha256").update("postern envelope key\0").update(key).digest("base64url").slice(0, 11);
}

function encrypt(key: Buffer, plain: Uint8Array, bound: string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(bound));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, sealed: Buffer, bound: string): Buffer {
  if (sealed.length < nonceBytes + tagBytes) throw new EnvelopeError("not a sealed value");
  const cipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  cipher.setAAD(Buffer.from(bound));
  cipher.setAuthTag(sealed.subarray(-tagBytes));
  try {
    return Buffer.concat([cipher.update(sealed.subarray(nonceBytes, -tagBytes)), cipher.final()]);
  } catch {
    throw new EnvelopeError("it does not open: another key, another place, or it was changed");
  }
}
