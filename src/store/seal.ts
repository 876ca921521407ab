/** Sealing what the store must not show: AES-256-GCM under a key that lies outside of it, bound to the document's place. */
import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from "node:crypto";
import type { Json } from "./types.ts";

export interface Sealer {
  /** Base64 of nonce (12 bytes), ciphertext and tag (16 bytes). */
  seal(collection: string, key: string, value: Json): string;
  /** What was sealed for this document; null: it was not, or under another key, or it was changed. */
  open(collection: string, key: string, sealed: string): Json | null;
}

/** @param key AES-256 key. Throws TypeError for another kind of key. */
export function createSealer(key: KeyObject): Sealer {
  if (key.type !== "secret" || key.symmetricKeySize !== 32)
    throw new TypeError("sealing needs a secret key of 32 bytes");
  const place = (collection: string, name: string) =>
    Buffer.from(`postern-store-v1\n${collection}\n${name}`, "utf8");
  return {
    seal(collection, name, value) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(place(collection, name));
      const body = cipher.update(JSON.stringify(value), "utf8");
      return Buffer.concat([nonce, body, cipher.final(), cipher.getAuthTag()]).toString("base64");
    },
    open(collection, name, sealed) {
      const bytes = Buffer.from(sealed, "base64");
      if (bytes.length < 28) return null;
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12));
        decipher.setAAD(place(collection, name)).setAuthTag(bytes.subarray(bytes.length - 16));
        const plain = Buffer.concat([
          decipher.update(bytes.subarray(12, bytes.length - 16)),
          decipher.final(),
        ]);
        return JSON.parse(plain.toString("utf8")) as Json;
      } catch {
        return null;
      }
    },
  };
}
