/**
 * Writes WebAssembly modules: as much of the binary format (WebAssembly Core Specification 2.0, chapter 5) as kernel.ts needs.
 * Instructions leave what they compute on the stack, so that they nest as expressions do.
 */

/** Bytes, one a character: text is the cheapest thing to join. */
export type Code = string;

const bytes = (...values: readonly number[]): Code => String.fromCharCode(...values);

/** Unsigned LEB128 (section 5.2.2). */
function unsigned(value: number): Code {
  let code = "";
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) code += bytes((rest & 0x7f) | 0x80);
  return code + bytes(rest);
}

/** Signed LEB128 of 32 bits. */
function signed(value: number): Code {
  let code = "";
  let rest = value;
  for (; rest < -0x40 || rest > 0x3f; rest >>= 7) code += bytes((rest & 0x7f) | 0x80);
  return code + bytes(rest & 0x7f);
}

const vectors = (opcode: number): Code => bytes(0xfd) + unsigned(opcode);

/** An instruction that takes two values. */
function binary(code: Code): (x: Code, y: Code) => Code {
  return (x, y) => x + y + code;
}

/** One that reads memory: at the address that `base` computes, plus `offset`. Nothing is promised of its alignment. */
function reading(code: Code): (base: Code, offset: number) => Code {
  return (base, offset) => base + code + bytes(0) + unsigned(offset);
}

function shifting(code: Code): (x: Code, bits: number) => Code {
  return (x, bits) => x + i32.constant(bits) + code;
}

function splatting(code: Code): (x: Code) => Code {
  return (x) => x + code;
}

export const i32 = {
  constant: (value: number): Code => bytes(0x41) + signed(value),
  load: reading(bytes(0x28)),
  less: binary(bytes(0x48)),
  greater: binary(bytes(0x4a)),
  add: binary(bytes(0x6a)),
  sub: binary(bytes(0x6b)),
  shl: shifting(bytes(0x74)),
  /** The first where the condition is not 0. */
  select: (yes: Code, no: Code, condition: Code): Code => yes + no + condition + bytes(0x1b),
};

export const v128 = {
  load: reading(vectors(0x00)),
  store: (base: Code, offset: number, value: Code): Code =>
    base + value + vectors(0x0b) + bytes(0) + unsigned(offset),
  /** Takes the 16 bytes that `lanes` names: 0 to 15 of x, 16 to 31 of y. */
  shuffle: (x: Code, y: Code, lanes: readonly number[]): Code => x + y + vectors(0x0d) + bytes(...lanes),
  and: binary(vectors(0x4e)),
  or: binary(vectors(0x50)),
  xor: binary(vectors(0x51)),
  /** Bits of x where the mask's are set, else of y. */
  select: (x: Code, y: Code, mask: Code): Code => x + y + mask + vectors(0x52),
};

/** Comparisons are signed, and give all bits or none. */
export const i8x16 = {
  splat: splatting(vectors(0x0f)),
  equal: binary(vectors(0x23)),
  greater: binary(vectors(0x27)),
  add: binary(vectors(0x6e)),
};

export const i32x4 = {
  splat: splatting(vectors(0x11)),
  lane: (x: Code, lane: number): Code => x + vectors(0x1b) + bytes(lane),
  equal: binary(vectors(0x37)),
  greater: binary(vectors(0x3b)),
  shl: shifting(vectors(0xab)),
  shrUnsigned: shifting(vectors(0xad)),
  add: binary(vectors(0xae)),
};

export const get = (local: number): Code => bytes(0x20) + unsigned(local);
export const set = (local: number, value: Code): Code => value + bytes(0x21) + unsigned(local);
export const call = (routine: number): Code => bytes(0x10) + unsigned(routine);
export const when = (condition: Code, body: Code): Code => condition + bytes(0x04, 0x40) + body + bytes(0x0b);
/** Runs the body, and again while the condition is not 0. */
export const repeat = (body: Code, condition: Code): Code =>
  bytes(0x03, 0x40) + body + condition + bytes(0x0d, 0, 0x0b);

/** A function without a result. Its locals are numbered: parameters, others of i32, then those of v128. */
export interface Routine {
  /** All are i32. */
  readonly parameters: number;
  readonly i32: number;
  readonly v128: number;
  readonly body: Code;
}

const typeI32 = bytes(0x7f);
const typeV128 = bytes(0x7b);

/** Gives a module with one memory of `pages` * 64 KiB, exported as "memory"; its last routine is exported as "run". */
export function assemble(routines: readonly Routine[], pages: number): Uint8Array<ArrayBuffer> {
  const vector = (items: readonly Code[]): Code => unsigned(items.length) + items.join("");
  const sized = (content: Code): Code => unsigned(content.length) + content;
  const section = (id: number, items: readonly Code[]): Code => bytes(id) + sized(vector(items));
  const types = routines.map(
    ({ parameters }) => bytes(0x60) + vector(Array<Code>(parameters).fill(typeI32)) + vector([]),
  );
  const codes = routines.map((routine) => {
    const locals = [unsigned(routine.i32) + typeI32, unsigned(routine.v128) + typeV128];
    return sized(vector(locals) + routine.body + bytes(0x0b));
  });
  const text =
    "\0asm\x01\0\0\0" +
    section(1, types) +
    section(
      3,
      routines.map((_, i) => unsigned(i)),
    ) +
    section(5, [bytes(1) + unsigned(pages) + unsigned(pages)]) +
    section(7, [sized("memory") + bytes(2, 0), sized("run") + bytes(0) + unsigned(routines.length - 1)]) +
    section(10, codes);
  return Uint8Array.from(Buffer.from(text, "latin1"));
}
