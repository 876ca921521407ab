/** Bytes and their one accepted text form. Everything here runs in a browser and in Node alike. */

export type Bytes = Uint8Array<ArrayBuffer>;

/** The outcome of reading hostile text. */
export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string };

export function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}

export function fine<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

const encoder = new TextEncoder();

/** UTF-8 of a text; null where it has half a surrogate pair, which no UTF-8 has: encoding would change it silently. */
export function utf8(text: string): Bytes | null {
  return text.isWellFormed() ? encoder.encode(text) : null;
}

/** Base64 with padding in its one canonical form (spare bits zero, no white space); null for anything else. */
export function strictBase64(text: string): Bytes | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  if (btoa(binary) !== text) return null;
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

export function join(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** SHA-256 (FIPS 180-4). Throws CannotCheck where the browser does not let this page use Web Crypto. */
export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await subtle().digest("SHA-256", bytes));
}

/** What this browser cannot do: nothing is known then, neither good nor bad. */
export class CannotCheck extends Error {
  override readonly name = "CannotCheck";
}

/** Web Crypto, which browsers keep from pages that did not come over HTTPS or from this machine. */
export function subtle(): typeof crypto.subtle {
  const found: typeof crypto.subtle | undefined = globalThis.crypto?.subtle;
  if (found === undefined)
    throw new CannotCheck(
      "Your browser keeps its cryptography from pages without HTTPS. Open the console over HTTPS, or download the evidence and check it with postern audit verify-proof.",
    );
  return found;
}
