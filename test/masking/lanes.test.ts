/** Hashing of four values at a time: what it computes, and that rows come out as without it. */
import { createHmac, createSecretKey } from "node:crypto";
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Mask } from "../../src/facts/effects.ts";
import {
  type CopyMaskOptions,
  createCopyMasker,
  createMaskKeys,
  createRowMasker,
  MaskError,
  MaskOutput,
} from "../../src/masking/index.ts";
import { HashAhead } from "../../src/masking/lanes/ahead.ts";
import { createKernel, maxItems, maxKeys, maxMessage } from "../../src/masking/lanes/kernel.ts";
import { type Hmac, hmacSha256 } from "../../src/masking/sha256.ts";
import { dataRow, keys, maskOneText, planOf, secret } from "./support.ts";

afterEach(() => vi.unstubAllGlobals());

function ahead(): HashAhead {
  const kernel = createKernel();
  if (kernel === null) throw new Error("no vectors on this machine");
  return new HashAhead(kernel);
}

/** What node:crypto says: 16 bytes, and the token of 12. */
function expected(key: Buffer, message: Buffer): { digest: string; token: string } {
  const digest = createHmac("sha256", key).update(message).digest();
  return { digest: digest.toString("hex", 0, 16), token: digest.toString("base64url", 0, 12) };
}

function digestAt(lanes: HashAhead, result: number): string {
  const from = lanes.digest(result);
  return lanes.bytes.toString("hex", from, from + 16);
}

/** Hashes the messages ahead, the i-th for place i, and gives what is found. */
function hashed(lanes: HashAhead, messages: readonly { hmac: Hmac; message: Buffer }[]) {
  const source = Buffer.alloc(1);
  lanes.begin(source);
  for (const [i, { hmac, message }] of messages.entries()) lanes.add(hmac, i, i, message, 0, message.length);
  lanes.hash();
  const results = messages.map(({ hmac }, i) => {
    const found = lanes.find(hmac, source, i, i);
    if (found < 0) return null;
    const token = Buffer.alloc(20, "*");
    lanes.token(found, token, 2);
    expect(token.toString("latin1", 0, 2) + token.toString("latin1", 18)).toBe("****");
    return { digest: digestAt(lanes, found), token: token.toString("latin1", 2, 18) };
  });
  lanes.end();
  return results;
}

describe("four at a time", () => {
  const lanes = ahead();

  test("is HMAC-SHA-256 of every length, whatever the other three are", () => {
    const key = Buffer.alloc(32, 0xa5);
    const hmac = hmacSha256(key);
    for (let n = 0; n <= maxMessage; n++) {
      const messages = [0, 61, 122, 183].map((more, lane) => {
        const size = (n + more) % (maxMessage + 1);
        return {
          hmac,
          message: Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + n + lane) & 0xff)),
        };
      });
      expect(hashed(lanes, messages)).toEqual(messages.map(({ message }) => expected(key, message)));
    }
  });

  test("the vectors of RFC 4231, section 4", () => {
    const cases = [
      [Buffer.alloc(20, 0x0b), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b"],
      [Buffer.from("Jefe"), "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c7"],
      [Buffer.alloc(20, 0xaa), Buffer.alloc(50, 0xdd), "773ea91e36800e46854db8ebd09181a7"],
      [
        Buffer.from("0102030405060708090a0b0c0d0e0f10111213141516171819", "hex"),
        Buffer.alloc(50, 0xcd),
        "82558a389a443c0ea4cc819899f2083a",
      ],
      [Buffer.alloc(20, 0x0c), "Test With Truncation", "a3b6167473100ee06e0c796c2955552b"],
    ] as const;
    const messages = cases.map(([key, message]) => ({
      hmac: hmacSha256(key),
      message: Buffer.from(message),
    }));
    expect(hashed(lanes, messages).map((result) => result?.digest)).toEqual(
      cases.map(([, , digest]) => digest),
    );
    for (const [i, { hmac, message }] of messages.entries())
      expect(hmac.digest(message, 0, message.length).toString("hex", 0, 16)).toBe(cases[i]?.[2]);
  });

  test("any number of messages under any of several keys", () => {
    const secrets = Array.from({ length: maxKeys }, (_, i) => Buffer.alloc(i * 4, i + 1));
    const hmacs = secrets.map(hmacSha256);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: maxKeys - 1 }), fc.uint8Array({ maxLength: 130 })), {
          minLength: 2,
          maxLength: 40,
        }),
        (list) => {
          const messages = list.map(([key, bytes]) => ({ key, message: Buffer.from(bytes) }));
          const given = messages.map(({ key, message }) => ({ hmac: hmacs[key] as Hmac, message }));
          expect(hashed(lanes, given)).toEqual(
            messages.map(({ key, message }) => expected(secrets[key] as Buffer, message)),
          );
        },
      ),
    );
  });

  test("finds nothing for another place, key or buffer, and nothing behind the end", () => {
    const [hmac, other] = [hmacSha256(Buffer.alloc(8, 1)), hmacSha256(Buffer.alloc(8, 2))];
    const source = Buffer.from("one two three");
    const collect = (): void => {
      lanes.begin(source);
      lanes.add(hmac, 0, 3, source, 0, 3);
      lanes.add(hmac, 4, 7, source, 4, 7);
      lanes.addText(hmac, 8, 13, "three");
      lanes.hash();
    };
    collect();
    expect(lanes.find(hmac, Buffer.from(source), 0, 3)).toBe(-1);
    expect(lanes.find(other, source, 0, 3)).toBe(-1);
    expect(lanes.find(hmac, source, 0, 2)).toBe(-1);
    expect(lanes.find(hmac, source, 1, 3)).toBe(-1);
    const third = lanes.find(hmac, source, 8, 13);
    expect(digestAt(lanes, third)).toBe(expected(Buffer.alloc(8, 1), Buffer.from("three")).digest);
    expect(lanes.find(hmac, source, 0, 3)).toBe(-1);
    expect(lanes.find(hmac, source, 9, 13)).toBe(-1);
    collect();
    expect(lanes.find(hmac, source, 0, 3)).toBe(0);
    lanes.end();
    expect(lanes.find(hmac, source, 0, 3)).toBe(-1);
    lanes.begin(source);
    lanes.add(hmac, 0, 3, source, 0, 3);
    expect(lanes.find(hmac, source, 0, 3)).toBe(-1);
    lanes.end();
  });

  test("of what is written by the values' type", () => {
    const source = Buffer.from("one two three four");
    const hmac = hmacSha256(Buffer.alloc(8, 3));
    const upper = (b: Buffer, at: number, end: number, text: Buffer, to: number): number =>
      to + text.write(b.toString("latin1", at, end).toUpperCase(), to, "latin1");
    lanes.begin(source);
    expect(lanes.addNormal(hmac, source, 0, 3, upper)).toBe(true);
    expect(lanes.addNormal(hmac, source, 4, 7, () => -1)).toBe(false);
    // Too long: written, but not taken.
    expect(lanes.addNormal(hmac, source, 8, 13, (_b, _at, _end, _text, to) => to + 256)).toBe(true);
    expect(lanes.addNormal(hmac, source, 14, 18, upper)).toBe(true);
    lanes.hash();
    expect(lanes.find(hmac, source, 0, 3)).toBe(0);
    expect(lanes.find(hmac, source, 4, 7)).toBe(-1);
    expect(lanes.find(hmac, source, 8, 13)).toBe(-1);
    expect(lanes.find(hmac, source, 14, 18)).toBe(1);
    expect(digestAt(lanes, 0)).toBe(expected(Buffer.alloc(8, 3), Buffer.from("ONE")).digest);
    expect(digestAt(lanes, 1)).toBe(expected(Buffer.alloc(8, 3), Buffer.from("FOUR")).digest);
    lanes.end();
    // Full of the longest: no more is written, nor is anything behind the memory.
    lanes.begin(source);
    let most = 0;
    for (let i = 0; i < 300; i++)
      lanes.addNormal(hmac, source, i, i, (_b, _at, _end, text, to) => {
        most = Math.max(most, to + 256);
        expect(most).toBeLessThanOrEqual(text.length);
        return to + maxMessage;
      });
    expect(most).toBeGreaterThan(60_000);
    lanes.end();
  });

  test("takes no more than it has room for", () => {
    const source = Buffer.alloc(maxMessage + 1, "x");
    const many = Array.from({ length: maxItems + 10 }, (_, i) => ({
      hmac: hmacSha256(Buffer.from("key")),
      message: source.subarray(0, i % 4),
    }));
    const shared = many.map(({ message }) => ({ hmac: many[0]?.hmac as Hmac, message }));
    expect(hashed(lanes, shared).map((result) => result !== null)).toEqual(
      shared.map((_, i) => i < maxItems),
    );
    expect(hashed(lanes, many).map((result) => result !== null)).toEqual(many.map((_, i) => i < maxKeys));
    const long = Array.from({ length: 300 }, () => ({
      hmac: many[0]?.hmac as Hmac,
      message: source.subarray(1),
    }));
    const found = hashed(lanes, long).map((result) => result?.token ?? null);
    expect(new Set(found)).toEqual(new Set([expected(Buffer.from("key"), source.subarray(1)).token, null]));
    expect(found.indexOf(null)).toBeGreaterThan(150);
    expect(hashed(lanes, [...long.slice(0, 2), { hmac: long[0]?.hmac as Hmac, message: source }])[2]).toBe(
      null,
    );
  });

  test("keeps nothing of what it hashed", () => {
    const kernel = createKernel();
    if (kernel === null) throw new Error("no vectors on this machine");
    const before = Buffer.from(Buffer.from(kernel.memory));
    const own = new HashAhead(kernel);
    const message = Buffer.from("canary canary canary canary canary");
    const hmac = hmacSha256(Buffer.alloc(32, 9));
    expect(
      hashed(
        own,
        [1, 2, 3].map(() => ({ hmac, message })),
      ),
    ).not.toContain(null);
    // What was written and then not wanted, too: it had no form, or was too long.
    for (const size of [-1, 256]) {
      own.begin(message);
      own.addNormal(hmac, message, 0, 9, (_b, _at, _end, text, to) => {
        text.fill("canary ", to, to + 256);
        return size < 0 ? -1 : to + size;
      });
      own.end();
    }
    const after = Buffer.from(kernel.memory);
    const changed = Array.from(after.keys()).filter((i) => after[i] !== before[i]);
    expect(changed.length).toBeGreaterThan(0);
    // Lengths, addresses and results: no text, in whatever order of bytes, and no key.
    for (let i = 0; i + 4 <= message.length; i++) {
      const part = Buffer.from(message.subarray(i, i + 4));
      expect(after.includes(part)).toBe(false);
      expect(after.includes(Buffer.from(part).reverse())).toBe(false);
    }
    for (const word of hmac.states) expect(new Int32Array(kernel.memory)).not.toContain(word);
  });
});

describe("without vectors", () => {
  test("nothing is hashed ahead", () => {
    vi.stubGlobal("WebAssembly", undefined);
    expect(createKernel()).toBe(null);
    vi.stubGlobal("WebAssembly", {
      Module: class {
        constructor() {
          throw new Error("invalid opcode");
        }
      },
    });
    expect(createKernel()).toBe(null);
  });
});

describe("rows", () => {
  const hash: Mask = { kind: "hash" };
  const masks: readonly (Mask | null)[] = [hash, null, { kind: "partial" }];

  /** The same rows with and without lanes, in chunks of several rows. */
  function both(
    types: readonly { type: number; format: 0 | 1; typmod?: number }[],
    rows: readonly Buffer[],
    chosen: readonly (Mask | null)[],
    domain: (column: number) => string = () => "test",
  ): Buffer[] {
    const columns = types.map((column) => ({ typmod: -1, ...column }));
    const plan = planOf(chosen);
    const parted = {
      ...plan,
      columns: plan.columns.map((column, i) => (column === null ? null : { ...column, domain: domain(i) })),
    };
    return [createMaskKeys(secret), createMaskKeys(secret, () => null)].map((session) => {
      const masker = createRowMasker(parted, columns, session);
      const out = new MaskOutput();
      // One buffer for all chunks, as a socket has it.
      const chunk = Buffer.alloc(1 << 20);
      const taken: Buffer[] = [];
      for (let i = 0; i < rows.length; i += 700) {
        const part = Buffer.concat(rows.slice(i, i + 700));
        part.copy(chunk, 5);
        masker.maskInto(chunk, 5, 5 + part.length, out);
        taken.push(out.take());
      }
      return Buffer.concat(taken);
    });
  }

  const text = fc.oneof(
    fc.string({ maxLength: 80 }),
    fc.constantFrom("", "repeated", "x".repeat(55), "x".repeat(56), "x".repeat(247), "x".repeat(248)),
    fc.nat({ max: 3000 }).map((n) => "long ".repeat(n)),
  );
  const value = fc.option(
    fc.oneof(
      text,
      fc.uint8Array({ maxLength: 90 }).map((b) => Buffer.from(b)),
    ),
    {
      freq: 6,
    },
  );

  test("come out as without lanes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(value, value, value, value), { maxLength: 60 }),
        fc.array(fc.constantFrom(...masks), { minLength: 4, maxLength: 4 }),
        fc.boolean(),
        fc.constantFrom<0 | 1>(0, 1),
        (rows, chosen, parted, format) => {
          const types = [
            { type: 25, format },
            { type: 1042, format, typmod: 304 },
            { type: 3802, format },
            { type: 1009, format },
          ];
          const [lanes, plain] = both(
            types,
            rows.map((row) => dataRow(row)),
            chosen,
            parted ? String : undefined,
          );
          expect(lanes).toEqual(plain);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("of every type that is masked by way of its text come out as without lanes", () => {
    const samples: [number, (n: number) => string][] = [
      [23, (n) => String(n - 1000)],
      [20, (n) => String(2n ** 60n + BigInt(n))],
      [1700, (n) => `${n}.${n % 7}0`],
      [701, (n) => `${n}.5`],
      [1082, (n) => `2024-05-${String((n % 40) + 1).padStart(2, "0")}`],
      [1184, (n) => `2024-05-06 07:08:${String(n % 60).padStart(2, "0")}.${n}+02`],
      [2950, (n) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`],
      [17, (n) => `\\x${n.toString(16).padStart(8, "0")}`],
      [869, (n) => `10.0.${n % 256}.1`],
      [829, (n) => `02:00:00:00:00:${(n % 256).toString(16).padStart(2, "0")}`],
    ];
    const rows = Array.from({ length: 1500 }, (_, n) =>
      dataRow(samples.map(([, make]) => (n % 11 === 0 ? null : n % 13 === 0 ? "what is this" : make(n)))),
    );
    const [lanes, plain] = both(
      samples.map(([type]) => ({ type, format: 0 })),
      rows,
      samples.map(() => hash),
    );
    expect(lanes).toEqual(plain);
  });

  test("of arrays come out as without lanes", () => {
    const item = fc.option(
      fc.oneof(
        fc.stringMatching(/^[a-z]{0,8}$/),
        fc.constantFrom("null", 'q"uo\\te', "a,b", "{}", "x".repeat(400)),
      ),
    );
    const literal = (items: readonly (string | null)[], quoteAll: boolean): string =>
      `{${items
        .map((one) =>
          one === null
            ? "NULL"
            : quoteAll || !/^[a-z]+$/.test(one) || one === "null"
              ? `"${one.replace(/["\\]/g, "\\$&")}"`
              : one,
        )
        .join(",")}}`;
    const int32 = (...numbers: number[]): Buffer => {
      const b = Buffer.alloc(numbers.length * 4);
      for (const [i, n] of numbers.entries()) b.writeInt32BE(n, i * 4);
      return b;
    };
    const binary = (items: readonly (string | null)[]): Buffer =>
      Buffer.concat([
        items.length === 0 ? int32(0, 0, 25) : int32(1, 1, 25, items.length, 1),
        ...items.flatMap((one) =>
          one === null ? [int32(-1)] : [int32(Buffer.byteLength(one)), Buffer.from(one)],
        ),
      ]);
    const types = [0, 1, 0].map((format) => ({ type: 1009, format: format as 0 | 1 }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.array(item, { maxLength: 6 }), fc.boolean(), fc.nat({ max: 40 })), {
          maxLength: 30,
        }),
        (rows) => {
          const [lanes, plain] = both(
            types,
            rows.map(([items, quoteAll, cut]) => {
              const text = literal(items, quoteAll);
              return dataRow([
                text,
                binary(items),
                cut < 10 ? text.slice(0, cut) : `[0:${items.length - 1}]=${text}`,
              ]);
            }),
            [hash, hash, hash],
          );
          expect(lanes).toEqual(plain);
        },
      ),
      { numRuns: 300 },
    );
    const lanes = ahead();
    const token = vi.spyOn(lanes, "token");
    const columns = types.map((column) => ({ typmod: -1, ...column }));
    const masker = createRowMasker(
      planOf([hash, hash, hash]),
      columns,
      createMaskKeys(secret, () => lanes),
    );
    masker.mask(dataRow(["{a,b}", binary(["c", null, "d"]), '{"e",f,NULL}']));
    expect(token.mock.calls.length).toBe(6);
  });

  test("are really hashed ahead, but where nearly all values are known already", () => {
    const lanes = ahead();
    const token = vi.spyOn(lanes, "token");
    const session = createMaskKeys(secret, () => lanes);
    const columns = [{ type: 25, typmod: -1, format: 0 as const }];
    const masker = createRowMasker(planOf([hash]), columns, session);
    const out = new MaskOutput();
    const mask = (make: (n: number) => string): number => {
      token.mockClear();
      const chunk = Buffer.concat(Array.from({ length: 5000 }, (_, n) => dataRow([make(n)])));
      masker.maskInto(chunk, 0, chunk.length, out);
      out.take();
      return token.mock.calls.length;
    };
    expect(mask((n) => `different ${n}`)).toBe(5000);
    // The memory is tried again, and is right from then on.
    for (let round = 0; round < 4; round++) mask((n) => `one of four ${n & 3}`);
    expect(mask((n) => `one of four ${n & 3}`)).toBe(0);
    for (let round = 0; round < 2; round++) mask((n) => `different ${round} ${n}`);
    expect(mask((n) => `others again ${n}`)).toBe(5000);
  });

  test("with more columns, and more domains, than fit", () => {
    const width = maxItems + 44;
    const types = Array.from({ length: width }, () => ({ type: 25, format: 0 as const }));
    const rows = [0, 1, 2].map((n) => dataRow(types.map((_, i) => `value ${n} ${i}`)));
    const chosen = types.map(() => hash);
    for (const domain of [() => "one", (i: number) => `domain ${i}`]) {
      const [lanes, plain] = both(types, rows, chosen, domain);
      expect(lanes).toEqual(plain);
    }
  });

  test("that cannot be read end it, and nothing of them is written", () => {
    const columns = [0, 1].map(() => ({ type: 25, typmod: -1, format: 0 as const }));
    const good = dataRow(["secret one", "secret two"]);
    const [torn, short] = [Buffer.from(good), Buffer.from(good)];
    torn.writeInt32BE(1000, 7);
    short.writeInt32BE(2, 1);
    for (const bad of [torn, short, good.subarray(0, 20), dataRow(["secret"])]) {
      const masker = createRowMasker(planOf([hash, hash]), columns, keys());
      const out = new MaskOutput();
      const chunk = Buffer.concat([good, good, bad]);
      expect(() => masker.maskInto(chunk, 0, chunk.length, out)).toThrow(MaskError);
      const written = out.take();
      expect(written.includes("secret")).toBe(false);
      const whole = Buffer.concat([good, good]);
      masker.maskInto(whole, 0, whole.length, out);
      expect(out.take()).toEqual(written);
    }
  });

  test("masked under two keys one after the other keep to their own", () => {
    const columns = [{ type: 25, typmod: -1, format: 0 as const }];
    const out = new MaskOutput();
    const chunk = Buffer.concat(["a", "b", "c"].map((v) => dataRow([v])));
    const shown = [7, 8, 7].map((fill) => {
      const session = createMaskKeys(createSecretKey(Buffer.alloc(32, fill)));
      createRowMasker(planOf([hash]), columns, session).maskInto(chunk, 0, chunk.length, out);
      return out.take().toString("latin1");
    });
    expect(shown[0]).toBe(shown[2]);
    expect(shown[0]).not.toBe(shown[1]);
  });
});

describe("copies", () => {
  const hash: Mask = { kind: "hash" };

  /** CopyData messages of the bytes, cut at the given places. */
  function messages(bytes: Buffer, cuts: readonly number[]): Buffer {
    const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((x, y) => x - y);
    const parts = places.slice(1).map((to, i) => bytes.subarray(places[i], to));
    return Buffer.concat(
      parts.flatMap((part) => {
        const head = Buffer.from("d\0\0\0\0", "latin1");
        head.writeInt32BE(part.length + 4, 1);
        return [head, part];
      }),
    );
  }

  /** The same copy with and without lanes; what is refused is said so. */
  function both(options: Omit<CopyMaskOptions, "keys">, chunks: readonly Buffer[]): (Buffer | string)[] {
    return [createMaskKeys(secret), createMaskKeys(secret, () => null)].map((session) => {
      const masker = createCopyMasker({ ...options, keys: session });
      const out = new MaskOutput();
      const reused = Buffer.alloc(1 << 20);
      const taken: Buffer[] = [];
      try {
        for (const chunk of chunks) {
          chunk.copy(reused, 3);
          masker.maskInto(reused, 3, 3 + chunk.length, out);
          taken.push(out.take());
        }
        taken.push(masker.end() ?? Buffer.alloc(0));
      } catch (error) {
        if (!(error instanceof MaskError)) throw error;
        return error.message;
      }
      return Buffer.concat(taken);
    });
  }

  const field = fc.oneof(
    fc.stringMatching(/^[a-z0-9@ .-]{0,30}$/),
    fc.string({ maxLength: 12 }),
    fc.constantFrom("", "\\N", "repeated", '"quoted, twice"', "a\\tb", "x".repeat(300)),
  );
  const columns = [25, 23, 25].map((type) => ({ type, typmod: -1 }));

  test("come out as without lanes, however they are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(field, { minLength: 3, maxLength: 3 }), { maxLength: 30 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        fc.constantFrom<"text" | "csv">("text", "csv"),
        // Tokens may hold delimiters and quotes, too.
        fc.constantFrom(null, "A", "-", "_"),
        fc.boolean(),
        (rows, cuts, format, delimiter, header) => {
          const separator = delimiter ?? (format === "csv" ? "," : "\t");
          const lines = rows.map((row) => `${row.join(separator)}\n`);
          const whole = messages(Buffer.from(lines.join("")), cuts);
          const single = Buffer.concat(lines.map((line) => messages(Buffer.from(line), [])));
          for (const chunks of [[single], [whole], [single, whole]]) {
            const [lanes, plain] = both(
              { format, delimiter, header, plan: planOf([hash, hash, { kind: "partial" }]), columns },
              chunks,
            );
            expect(lanes).toEqual(plain);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("of many rows are really hashed ahead", () => {
    const lanes = ahead();
    const token = vi.spyOn(lanes, "token");
    const session = createMaskKeys(secret, () => lanes);
    for (const format of ["text", "csv"] as const) {
      token.mockClear();
      const masker = createCopyMasker({ format, plan: planOf([hash, null, hash]), columns, keys: session });
      const separator = format === "csv" ? "," : "\t";
      const lines = Array.from({ length: 1000 }, (_, n) =>
        [`${format} ${n}`, n, `other ${format} ${n}`].join(separator),
      );
      const chunk = Buffer.concat(lines.map((line) => messages(Buffer.from(`${line}\n`), [])));
      const out = new MaskOutput();
      masker.maskInto(chunk, 0, chunk.length, out);
      expect(token.mock.calls.length).toBe(2000);
      expect(masker.counts).toEqual([1000, 0, 1000]);
      const first = out.take().toString("latin1", 5).split("\n")[0]?.split(separator);
      expect(first).toEqual([
        maskOneText(hash, 25, `${format} 0`),
        "0",
        maskOneText(hash, 25, `other ${format} 0`),
      ]);
    }
  });

  test("rows of another number of columns end them", () => {
    for (const format of ["text", "csv"] as const)
      for (const line of ["a", "a,1", "a,1,b,c", ",,,"]) {
        const row = format === "csv" ? line : line.replaceAll(",", "\t");
        const [lanes, plain] = both({ format, plan: planOf([hash, null, hash]), columns }, [
          messages(Buffer.from(`${row}\n`), []),
        ]);
        expect(lanes).toMatch(/number of columns/);
        expect(plain).toBe(lanes);
      }
  });
});
