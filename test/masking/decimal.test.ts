/** Decimals read and written without strings: as JavaScript does, or not at all. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { readDecimal, writeDecimal } from "../../src/masking/types/decimal.ts";

const bits = new DataView(new ArrayBuffer(8));
function next(x: number, steps: bigint): number {
  bits.setFloat64(0, x);
  bits.setBigUint64(0, bits.getBigUint64(0) + steps);
  return bits.getFloat64(0);
}
const b = Buffer.alloc(64);

/** Whether it was written; if so, rightly. */
function writes(x: number): boolean {
  const end = writeDecimal(x, b, 3);
  if (end < 0) return false;
  const shown = b.toString("latin1", 3, end);
  if (shown !== String(x)) expect(shown).toBe(String(x));
  return true;
}

function reads(text: string): boolean {
  const value = readDecimal(Buffer.from(`7${text}7`), 1, 1 + text.length);
  if (Number.isNaN(value)) return false;
  if (!Object.is(value, Number(text))) expect([text, value]).toEqual([text, Number(text)]);
  return true;
}

function bothWays(x: number): boolean {
  const all = [String(x), ...[14, 15, 16, 17, 18].map((n) => x.toPrecision(n)), x.toExponential()];
  return [writes(x), ...all.map(reads)].every((good) => good);
}

test("any double", () => {
  const any = fc.oneof(
    fc.double(),
    fc.double({ min: -1e6, max: 1e6 }),
    fc.float(),
    fc.tuple(fc.integer(), fc.integer({ min: 0, max: 12 })).map(([n, power]) => n / 10 ** power),
  );
  fc.assert(
    fc.property(any, (x) => {
      bothWays(x);
    }),
    { numRuns: 20_000 },
  );
});

test("around powers of two and of ten, and in the middle between two", () => {
  for (let power = -40; power < 110; power++)
    for (let steps = -9n; steps <= 9n; steps++) bothWays(next(2 ** power, steps));
  for (let power = -9; power < 24; power++)
    for (let steps = -9n; steps <= 9n; steps++) bothWays(next(Number(`1e${power}`), steps));
  // Written out, the middles have as many digits as are taken.
  for (let power = 50; power < 57; power++)
    for (let n = 0n; n < 40n; n++) {
      const middle = 2n ** BigInt(power) + n;
      for (const text of [middle, middle * 2n + 1n, middle * 10n + 5n]) {
        reads(String(text));
        reads(`${text}.5`);
        reads(`${text}e+05`);
        reads(`${text}e-05`);
      }
    }
});

test("nearly all that tables hold is surely known", () => {
  let known = 0;
  for (let n = 1; n <= 10_000; n++) {
    const x = ((Math.imul(n, 0x9e37_79b1) >>> 0) / 2 ** 32) * 10 ** ((n % 12) - 4);
    if (writes(x) && reads(String(x))) known++;
    for (const short of [n / 100, -n / 8, n * 1000, 2 ** (n % 40) / 2 ** 15])
      if (!writes(short) || !reads(String(short))) expect(short).toBe("known");
  }
  expect(known).toBeGreaterThan(9_900);
});

test("what is no decimal", () => {
  const texts = [
    "",
    "-",
    "+1",
    ".5",
    "5.",
    "1..2",
    "1.2.3",
    "1e5",
    "1e+",
    "1e+1234",
    "e+5",
    "0x10",
    "1 ",
    "NaN",
    "--1",
    "1e+5x",
  ];
  for (const text of texts) expect([text, reads(text)]).toEqual([text, false]);
  for (const text of ["0", "-0", "007", "0.0", "-0.00", "1e+05", "1.5e-7", "00.10"])
    expect([text, reads(text)]).toEqual([text, true]);
  for (const x of [Number.NaN, Number.POSITIVE_INFINITY, 1e-7, 5e-324, 2 ** 60, Number.MAX_VALUE])
    expect([x, writes(x)]).toEqual([x, false]);
});
