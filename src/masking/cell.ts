/** What masks one value: the pieces that every type is made of. */
import { type MaskKeys, maxMemoised } from "./keys.ts";
import type { HashAhead } from "./lanes/ahead.ts";
import type { MaskOutput } from "./output.ts";

/**
 * Masks the value b[at, end) (not NULL, without its length) by appending to `out`. Gives the number of bytes appended, or -1
 * for NULL and -2 for a value that stays, with nothing appended. Never throws for what a value holds: what cannot be read becomes NULL.
 */
export interface CellMask {
  (b: Buffer, at: number, end: number, out: MaskOutput): number;
  /** Collects the value for hashing ahead, if that is worth it; the mask then looks for it there. */
  readonly collect?: Collect;
}

export type Collect = (b: Buffer, at: number, end: number, ahead: HashAhead) => void;

/** What a mask may need to know of its column. */
export interface CellContext {
  /** 0 text, 1 binary. */
  readonly format: 0 | 1;
  /** As RowDescription has it; -1 none. */
  readonly typmod: number;
  readonly keys: MaskKeys;
  readonly domain: string;
}

/** Given by a mask that leaves the value as it is, with nothing appended. */
export const passes = -2;

export const toNull: CellMask = () => -1;

/** Always the same bytes; null: NULL. */
export function constant(bytes: Buffer | null): CellMask {
  if (bytes === null) return toNull;
  const size = bytes.length;
  return (_b, _at, _end, out) => {
    out.copy(bytes, 0, size);
    return size;
  };
}

/** So many values in a row are looked up before the memory is judged by how many of them it knew. */
const trial = 256;
/** So many are then masked without it, where too few were known. Hashed ahead, a value costs little more than the question. */
const pause = 4096;
const longPause = 16_384;

/**
 * Masks short values once and remembers what became of them, under `name`, while that pays: where values are hashed by
 * themselves from a quarter of known ones on, where they are hashed ahead (`collect`) only when nearly all are.
 */
export function memoised(keys: MaskKeys, name: string, mask: CellMask, collect: Collect): CellMask {
  const memo = keys.memo(name);
  const alone = keys.ahead() === null;
  const enough = alone ? trial / 4 : (trial * 7) / 8;
  let asked = 0;
  let known = 0;
  let paused = 0;
  // The last trial was a success: values are not hashed ahead.
  let trusted = false;
  const masked = (b: Buffer, at: number, end: number, out: MaskOutput): number => {
    if (paused > 0 || end - at > maxMemoised) {
      if (paused > 0) paused--;
      return mask(b, at, end, out);
    }
    const source = b.toString("latin1", at, end);
    const remembered = memo.get(source);
    if (remembered !== undefined) known++;
    if (++asked === trial) {
      trusted = known >= enough;
      if (!trusted) paused = alone ? pause : longPause;
      asked = 0;
      known = 0;
    }
    if (remembered !== undefined) {
      if (remembered === null) return -1;
      out.copy(remembered, 0, remembered.length);
      return remembered.length;
    }
    const size = mask(b, at, end, out);
    memo.set(source, size < 0 ? null : Buffer.from(out.buffer.subarray(out.at - size, out.at)));
    return size;
  };
  return Object.assign(masked, {
    collect(b: Buffer, at: number, end: number, ahead: HashAhead) {
      if (!trusted || end - at > maxMemoised) collect(b, at, end, ahead);
    },
  });
}
