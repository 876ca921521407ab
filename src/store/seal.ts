/** Sealing documents of the store under the operator's keys, each bound to its place. */
import { type Envelope, EnvelopeError } from "./envelope.ts";
import type { Json } from "./types.ts";

export interface Sealer {
  seal(collection: string, key: string, value: Json): string;
  /** What was sealed for this document; null: it was not, or under a key that is not there, or it was changed. */
  open(collection: string, key: string, sealed: string): Json | null;
}

export function createSealer(envelope: Envelope): Sealer {
  // Names hold no blank: no two places read the same.
  const place = (collection: string, key: string) => `store ${collection} ${key}`;
  return {
    seal: (collection, key, value) =>
      envelope.seal(Buffer.from(JSON.stringify(value), "utf8"), place(collection, key)),
    open(collection, key, sealed) {
      try {
        return JSON.parse(envelope.open(sealed, place(collection, key)).toString("utf8")) as Json;
      } catch (error) {
        if (error instanceof EnvelopeError || error instanceof SyntaxError) return null;
        throw error;
      }
    },
  };
}
