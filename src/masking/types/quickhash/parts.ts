/** What a hash that is computed byte by byte is made of, for each type and format. */
import type { MaskOutput } from "../../output.ts";

/** Bytes that a normal form may have. */
export const normalRoom = 256;

/**
 * Writes the normal form of b[at, end), which is what is hashed, to `text` from `to` on, where it has `normalRoom`. Gives where
 * it ends; -1: the value has no form that is known here.
 */
export type Normal = (b: Buffer, at: number, end: number, text: Buffer, to: number) => number;

/** Appends what hash makes of the digest of which 16 bytes or more stand at `from`. Gives its size. */
export type Append = (digest: Buffer, from: number, out: MaskOutput) => number;

/** How a type is hashed. Its general way, by text, is the measure: this gives the same, or -1. */
export interface QuickHash {
  readonly normal: Normal;
  readonly append: Append;
}

export const zero = 0x30;
export const plus = 0x2b;
export const minus = 0x2d;
export const dot = 0x2e;
export const slash = 0x2f;
export const colon = 0x3a;
export const space = 0x20;

/** Takes note of what was written up to `end`; gives its size. */
export function ended(out: MaskOutput, end: number): number {
  const size = end - out.at;
  out.at = end;
  return size;
}

/** The normal form of a value that is in it. */
export function copied(b: Buffer, at: number, end: number, text: Buffer, to: number): number {
  let next = to;
  for (let i = at; i < end; i++) text[next++] = b[i] as number;
  return next;
}
