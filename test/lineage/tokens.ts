/** Values of protected cells that can be told from everything else, and the search for what is left of them in bytes. */
import { createHash } from "node:crypto";
import { type Random, seeded } from "../analysis/lineage-random.ts";

/** No word, number or digest is made of these, so that five of them in a row are enough to know a token by. */
const letters = "gjkpqvwxz";
const window = 5;
/** In random bytes and their base64 five in a row come up by chance. */
const longWindow = 9;

export interface Tokens {
  /** A new token of letters. */
  text(): string;
  /** A new number of nine digits. */
  number(): number;
  /** Tokens, or parts of them, in `bytes`: as they are, reversed, in capitals, in hexadecimal, as MD5, or as an integer. */
  found(bytes: Buffer): string[];
  /** Tokens, or large parts of them, in bytes many of which are ciphertext, keys and digests. */
  foundAmongRandom(bytes: Buffer): string[];
}

export function createTokens(seed: number): Tokens {
  const random: Random = seeded(seed);
  const windows = new Map<string, string>();
  const whole = new Map<string, string>();
  const integers = new Map<string, string>();
  return {
    text() {
      const token = Array.from({ length: 14 }, () => letters[random.int(letters.length)]).join("");
      for (const form of [token, [...token].reverse().join("")])
        for (const length of [window, longWindow])
          for (let i = 0; i + length <= form.length; i++) windows.set(form.slice(i, i + length), token);
      whole.set(createHash("md5").update(token).digest("hex"), token);
      return token;
    },
    number() {
      const token = 600_000_000 + random.int(300_000_000);
      const big = Buffer.alloc(4);
      big.writeInt32BE(token);
      integers.set(big.toString("latin1"), String(token));
      whole.set(String(token), String(token));
      return token;
    },
    found(bytes) {
      const seen = new Set<string>();
      const text = bytes.toString("latin1");
      const runs = text.toLowerCase();
      for (const [run] of runs.matchAll(/[gjkpqvwxz]{5,}/g))
        for (let i = 0; i + window <= run.length; i++) {
          const token = windows.get(run.slice(i, i + window));
          if (token !== undefined) seen.add(token);
        }
      for (const [run] of runs.matchAll(/(?:6[7abf]|7[01678a]){5,}/g))
        for (const [part] of Buffer.from(run, "hex")
          .toString("latin1")
          .matchAll(/[gjkpqvwxz]{5,}/g)) {
          const token = windows.get(part.slice(0, window));
          if (token !== undefined) seen.add(token);
        }
      for (const [run] of runs.matchAll(/[0-9a-f]{32}|[0-9]{9}/g)) {
        const token = whole.get(run);
        if (token !== undefined) seen.add(token);
      }
      for (const [form, token] of integers) if (text.includes(form)) seen.add(token);
      return [...seen];
    },
    foundAmongRandom(bytes) {
      const seen = new Set<string>();
      const text = bytes.toString("latin1");
      for (const [run] of text.matchAll(/[gjkpqvwxz]{9,}/g))
        for (let i = 0; i + longWindow <= run.length; i++) {
          const token = windows.get(run.slice(i, i + longWindow));
          if (token !== undefined) seen.add(token);
        }
      for (const [form, token] of whole) if (text.includes(form)) seen.add(token);
      return [...seen];
    },
  };
}
