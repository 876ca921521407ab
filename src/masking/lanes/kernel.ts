/**
 * HMAC-SHA-256 (RFC 2104, FIPS 180-4) of four messages at once: each lane of a WebAssembly vector holds a word of another
 * message. Four take about as long as one does in JavaScript.
 */
import { setFlagsFromString } from "node:v8";
import { roundConstants } from "../sha256.ts";
import { assemble, type Code, call, get, i8x16, i32, i32x4, repeat, set, v128, when } from "./assembler.ts";

/** Messages of one run; a multiple of four. */
export const maxItems = 256;
/** Bytes of a message: with its padding it has four blocks. */
export const maxMessage = 4 * 64 - 9;
/** Keys of one run. */
export const maxKeys = 16;
/** A key: the states behind its inner and its outer block, of 8 words each. */
export const keyBytes = 64;
export const resultBytes = 32;

/** Where things are in memory. */
const roundsAt = 0;
/** Words and states of the blocks last hashed, up to `workEnd`. */
export const workAt = roundsAt + 64 * 16;
const wordsAt = workAt;
const stateAt = wordsAt + 16 * 16;
const formerAt = stateAt + 8 * 16;
export const workEnd = formerAt + 8 * 16;
/** The bytes 0 to 63. */
const iotaAt = workEnd;
export const keysAt = iotaAt + 64;
/** Tables of Int32, one for each message. The last group of four is hashed whole, and must have lengths and addresses. */
export const lengthsAt = keysAt + maxKeys * keyBytes;
/** Addresses of the messages. */
export const messagesAt = lengthsAt + maxItems * 4;
/** Addresses of their keys. */
export const chosenAt = messagesAt + maxItems * 4;
/** For each message the first 16 bytes of its HMAC, and 16 characters: the first 12 bytes in base64url (RFC 4648, section 5). */
export const resultsAt = chosenAt + maxItems * 4;
/** The messages themselves, up to `textEnd`: blocks are read whole, as much as 64 bytes behind a message's end. */
export const textAt = resultsAt + maxItems * resultBytes;
const pages = 1;
export const textEnd = pages * 65_536 - 64;

/** What hashes the first groups * 4 messages. */
export interface Kernel {
  readonly memory: ArrayBuffer;
  run(groups: number): void;
}

const four = [0, 1, 2, 3];
const eight = [...four, 4, 5, 6, 7];
const sixteen = [...eight, 8, 9, 10, 11, 12, 13, 14, 15];

const zero = i32.constant(0);
const words = (i: number): number => wordsAt + i * 16;
const state = (i: number): number => stateAt + i * 16;
const former = (i: number): number => formerAt + i * 16;
const splat = (value: number): Code => i32x4.splat(i32.constant(value));
const seq = (...parts: readonly Code[]): Code => parts.join("");
const each = (indices: readonly number[], code: (i: number) => Code): Code => indices.map(code).join("");
const sum = (first: Code, ...rest: readonly Code[]): Code => rest.reduce((x, y) => i32x4.add(x, y), first);
const differs = (x: Code, y: Code, z: Code): Code => v128.xor(v128.xor(x, y), z);
const rotate = (x: Code, bits: number): Code => v128.or(i32x4.shrUnsigned(x, bits), i32x4.shl(x, 32 - bits));

/** FIPS 180-4, section 6.2.2: compresses the words into the state, in all four lanes. */
function compress(): Code {
  const rounds = 0;
  const variables = 1;
  const [t, fresh, now, before] = [9, 10, 11, 12] as const;

  /** Round i of 16. The variables are not moved, but change their names. */
  const round = (i: number, w: Code): Code => {
    const named = (k: number): number => variables + ((k + 16 - i) & 7);
    const [a, b, d, e, f, g, h] = [named(0), named(1), named(3), named(4), named(5), named(6), named(7)];
    const sumE = differs(rotate(get(e), 6), rotate(get(e), 11), rotate(get(e), 25));
    const sumA = differs(rotate(get(a), 2), rotate(get(a), 13), rotate(get(a), 22));
    const choice = v128.xor(get(g), v128.and(get(e), v128.xor(get(f), get(g))));
    // b, unless it differs from both a and c; a ^ b is b ^ c of the next round.
    const majority = v128.xor(get(b), v128.and(get(now), get(before)));
    const constant = v128.load(get(rounds), roundsAt + i * 16);
    return seq(
      set(t, sum(get(h), i32x4.add(constant, w), choice, sumE)),
      set(d, i32x4.add(get(d), get(t))),
      set(now, v128.xor(get(a), get(b))),
      set(h, sum(get(t), majority, sumA)),
      set(before, get(now)),
    );
  };
  const scheduled = (i: number): Code => {
    const w = (k: number): Code => v128.load(zero, words((i + k) & 15));
    const small = (x: Code, first: number, second: number, shift: number): Code =>
      differs(rotate(x, first), rotate(x, second), i32x4.shrUnsigned(x, shift));
    return seq(
      set(fresh, w(1)),
      set(t, sum(w(0), w(9), small(get(fresh), 7, 18, 3))),
      set(fresh, w(14)),
      set(fresh, i32x4.add(get(t), small(get(fresh), 17, 19, 10))),
      v128.store(zero, words(i), get(fresh)),
      round(i, get(fresh)),
    );
  };
  return seq(
    each(eight, (i) => set(variables + i, v128.load(zero, state(i)))),
    set(before, v128.xor(get(variables + 1), get(variables + 2))),
    each(sixteen, (i) => round(i, v128.load(zero, words(i)))),
    repeat(
      seq(set(rounds, i32.add(get(rounds), i32.constant(256))), each(sixteen, scheduled)),
      i32.less(get(rounds), i32.constant(768)),
    ),
    each(eight, (i) => v128.store(zero, state(i), i32x4.add(v128.load(zero, state(i)), get(variables + i)))),
  );
}

/** Bytes of words, and of each word in the other order. */
const bytesOf = (...indices: readonly number[]): number[] =>
  indices.flatMap((i) => four.map((byte) => i * 4 + byte));
const swap = (x: Code): Code => v128.shuffle(x, x, [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]);

/** Turns four vectors, and gives each to `store`. Uses eight locals from `v`; the first four hold the vectors. */
function transpose(v: number, store: (i: number, x: Code) => Code): Code {
  const low = bytesOf(0, 4, 1, 5);
  const high = bytesOf(2, 6, 3, 7);
  const front = bytesOf(0, 1, 4, 5);
  const back = bytesOf(2, 3, 6, 7);
  const mixed = (x: number, y: number, lanes: readonly number[]): Code =>
    v128.shuffle(get(v + x), get(v + y), lanes);
  return seq(
    set(v + 4, mixed(0, 1, low)),
    set(v + 5, mixed(2, 3, low)),
    set(v + 6, mixed(0, 1, high)),
    set(v + 7, mixed(2, 3, high)),
    store(0, mixed(4, 5, front)),
    store(1, mixed(4, 5, back)),
    store(2, mixed(6, 7, front)),
    store(3, mixed(6, 7, back)),
  );
}

/** Characters of base64url for bytes of 0 to 63. */
function characters(x: number): Code {
  const above = (limit: number, change: number): Code =>
    v128.and(i8x16.greater(get(x), i8x16.splat(i32.constant(limit))), i8x16.splat(i32.constant(change)));
  // A-Z, a-z, 0-9, -, _
  return [above(25, 6), above(51, -75), above(61, -13), above(62, 49)].reduce(
    (shown, change) => i8x16.add(shown, change),
    i8x16.add(get(x), i8x16.splat(i32.constant(65))),
  );
}

/** Hashes as many groups of four messages as the parameter says, at least one. */
function hashGroups(): Code {
  const groups = 0;
  const [at, result, block, most] = [1, 2, 3, 4] as const;
  const message = 5;
  const rest = 9;
  const v = 13;
  const [lengths, blocks] = [21, 22] as const;

  /** The state of each message's key, behind the inner block (0) or the outer one (32). */
  const begin = (part: number): Code =>
    each([0, 4], (half) =>
      seq(
        each(four, (lane) =>
          set(v + lane, v128.load(i32.load(get(at), chosenAt + lane * 4), part + half * 4)),
        ),
        transpose(v, (i, x) => v128.store(zero, state(half + i), x)),
      ),
    );
  /** 16 bytes of a lane's block: the message, the bit behind it, zeros. */
  const quarter = (lane: number, q: number): Code => {
    const iota = v128.load(zero, iotaAt + q * 16);
    const size = i8x16.splat(get(rest + lane));
    const text = v128.and(v128.load(get(message + lane), q * 16), i8x16.greater(size, iota));
    const bit = v128.and(i8x16.equal(iota, size), i8x16.splat(i32.constant(0x80)));
    return set(v + lane, swap(v128.or(text, bit)));
  };
  const isLast = i32x4.equal(get(blocks), i32x4.splat(i32.add(get(block), i32.constant(1))));
  const inBits = i32x4.shl(i32x4.add(get(lengths), splat(64)), 3);
  const inner = seq(
    each(four, (lane) =>
      seq(
        // What is left of the message: less than 0 where only padding is. A lane that came to its end computes nonsense.
        set(rest + lane, i32.sub(i32.load(get(at), lengthsAt + lane * 4), i32.shl(get(block), 6))),
        set(
          rest + lane,
          i32.select(get(rest + lane), i32.constant(64), i32.less(get(rest + lane), i32.constant(64))),
        ),
        set(message + lane, i32.add(i32.load(get(at), messagesAt + lane * 4), i32.shl(get(block), 6))),
      ),
    ),
    each(four, (q) =>
      seq(
        each(four, (lane) => quarter(lane, q)),
        transpose(v, (i, x) => v128.store(zero, words(q * 4 + i), x)),
      ),
    ),
    v128.store(zero, words(15), v128.or(v128.load(zero, words(15)), v128.and(inBits, isLast))),
    when(
      get(block),
      each(eight, (i) => v128.store(zero, former(i), v128.load(zero, state(i)))),
    ),
    call(0),
    when(
      get(block),
      seq(
        set(v, i32x4.greater(get(blocks), i32x4.splat(get(block)))),
        each(eight, (i) =>
          v128.store(
            zero,
            state(i),
            v128.select(v128.load(zero, state(i)), v128.load(zero, former(i)), get(v)),
          ),
        ),
      ),
    ),
    set(block, i32.add(get(block), i32.constant(1))),
  );
  /** The inner hash as the outer message: 32 bytes behind a block of 64. */
  const outer = seq(
    each(eight, (i) => v128.store(zero, words(i), v128.load(zero, state(i)))),
    v128.store(zero, words(8), splat(0x8000_0000 | 0)),
    each([9, 10, 11, 12, 13, 14], (i) => v128.store(zero, words(i), splat(0))),
    v128.store(zero, words(15), splat((64 + 32) * 8)),
    begin(32),
    call(0),
  );
  const [a, b, c] = [0, 1, 2].map((i) => v128.load(zero, state(i))) as [Code, Code, Code];
  const low = (x: Code, bits: number): Code => v128.and(x, splat(2 ** bits - 1));
  /** Four times 24 bits of three words. */
  const parts = [
    i32x4.shrUnsigned(a, 8),
    v128.or(i32x4.shl(low(a, 8), 16), i32x4.shrUnsigned(b, 16)),
    v128.or(i32x4.shl(low(b, 16), 8), i32x4.shrUnsigned(c, 24)),
    low(c, 24),
  ];
  /** 24 bits as four bytes of six. */
  const spread = (x: Code): Code =>
    v128.or(
      v128.or(i32x4.shrUnsigned(x, 18), v128.and(i32x4.shrUnsigned(x, 4), splat(0x3f00))),
      v128.or(v128.and(i32x4.shl(x, 10), splat(0x3f_0000)), v128.and(i32x4.shl(x, 24), splat(0x3f00_0000))),
    );
  const write = seq(
    each(four, (i) => set(v + i, v128.load(zero, state(i)))),
    transpose(v, (i, x) => v128.store(get(result), resultsAt + i * resultBytes, swap(x))),
    ...parts.map((part, i) =>
      seq(set(v + 4, part), set(v + 4, spread(get(v + 4))), set(v + i, characters(v + 4))),
    ),
    transpose(v, (i, x) => v128.store(get(result), resultsAt + i * resultBytes + 16, x)),
  );
  return repeat(
    seq(
      set(lengths, v128.load(get(at), lengthsAt)),
      set(blocks, i32x4.add(i32x4.shrUnsigned(i32x4.add(get(lengths), splat(8)), 6), splat(1))),
      set(most, zero),
      each(four, (lane) =>
        set(
          most,
          i32.select(
            i32x4.lane(get(blocks), lane),
            get(most),
            i32.greater(i32x4.lane(get(blocks), lane), get(most)),
          ),
        ),
      ),
      set(block, zero),
      begin(0),
      repeat(inner, i32.less(get(block), get(most))),
      outer,
      write,
      set(at, i32.add(get(at), i32.constant(16))),
      set(result, i32.add(get(result), i32.constant(4 * resultBytes))),
      set(groups, i32.sub(get(groups), i32.constant(1))),
    ),
    get(groups),
  );
}

/** The part of the WebAssembly API that is used; Node has it, TypeScript only declares it with the browser's library. */
declare const WebAssembly:
  | {
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
    }
  | undefined;

/** Makes one with a memory of its own; null where WebAssembly, or its vectors, are missing. */
export function createKernel(): Kernel | null {
  if (typeof WebAssembly === "undefined") return null;
  const code = assemble(
    [
      { parameters: 0, i32: 1, v128: 12, body: compress() },
      { parameters: 1, i32: 12, v128: 10, body: hashGroups() },
    ],
    pages,
  );
  // The process compiles WebAssembly without optimization, for the sake of the SQL parser, which is large (sql/parser.ts). These
  // two functions are small: they are compiled well, when they are first called.
  setFlagsFromString("--no-liftoff");
  try {
    const { memory, run } = new WebAssembly.Instance(new WebAssembly.Module(code)).exports;
    const buffer = (memory as { readonly buffer: ArrayBuffer }).buffer;
    const kernel = { memory: buffer, run: run as (groups: number) => void };
    const constants = new Int32Array(buffer, roundsAt, 64 * 4);
    for (const [i, constant] of roundConstants.entries()) constants.fill(constant, i * 4, i * 4 + 4);
    new Uint8Array(buffer, iotaAt, 64).set(Uint8Array.from({ length: 64 }, (_, i) => i));
    kernel.run(1);
    return kernel;
  } catch {
    // No vectors, or no address space for the memory.
    return null;
  } finally {
    setFlagsFromString("--liftoff");
  }
}
