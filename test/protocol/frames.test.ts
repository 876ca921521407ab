import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import {
  backendLimits,
  decodeBackend,
  decodeFrontend,
  encodeBackend,
  encodeFrontend,
  encodeQuery,
  FrameReader,
  frontendLimits,
  ProtocolError,
  sync,
} from "../../src/protocol/index.ts";
import { authenticationOf, backendMessage, cut, frontendMessage, hex } from "./arbitraries.ts";

function drain(reader: FrameReader): { type: number; body: Buffer }[] {
  const frames: { type: number; body: Buffer }[] = [];
  for (let frame = reader.next(); frame !== null; frame = reader.next())
    frames.push({ type: frame.type, body: Buffer.from(frame.body) });
  return frames;
}

function error(run: () => unknown): ProtocolError {
  try {
    run();
  } catch (caught) {
    if (caught instanceof ProtocolError) return caught;
    throw caught;
  }
  throw new Error("nothing was thrown");
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 });

describe("FrameReader", () => {
  test("gives the same frontend messages for any chunking", () => {
    fc.assert(
      fc.property(fc.array(frontendMessage, { maxLength: 12 }), cuts, (messages, at) => {
        const reader = new FrameReader("frontend");
        const seen: unknown[] = [];
        for (const chunk of cut(Buffer.concat(messages.map(encodeFrontend)), at)) {
          reader.push(chunk);
          for (const { type, body } of drain(reader)) {
            const expected = messages[seen.length];
            if (expected === undefined) throw new Error("too many messages");
            seen.push(decodeFrontend(type, body, authenticationOf(expected)));
          }
        }
        expect(seen).toEqual(messages);
        expect(reader.buffered).toBe(0);
      }),
    );
  });

  test("gives the same backend messages for any chunking, also when pushed before they are read", () => {
    fc.assert(
      fc.property(
        fc.array(backendMessage, { maxLength: 12 }),
        cuts,
        fc.nat({ max: 5 }),
        (messages, at, every) => {
          const reader = new FrameReader("backend");
          const frames: { type: number; body: Buffer }[] = [];
          for (const [i, chunk] of cut(Buffer.concat(messages.map(encodeBackend)), at).entries()) {
            reader.push(chunk);
            if (i % (every + 1) === 0) frames.push(...drain(reader));
          }
          frames.push(...drain(reader));
          expect(frames.map(({ type, body }) => decodeBackend(type, body))).toEqual(messages);
        },
      ),
    );
  });

  test("one byte at a time", () => {
    const reader = new FrameReader("frontend");
    const seen: string[] = [];
    for (const byte of Buffer.concat([encodeQuery("select 1"), sync, encodeQuery("")])) {
      reader.push(Buffer.from([byte]));
      for (const { type, body } of drain(reader))
        seen.push(String.fromCharCode(type) + body.toString("latin1"));
    }
    expect(seen).toEqual(["Qselect 1\0", "S", "Q\0"]);
  });

  test("bodies given out stay valid until the next push, also while a split message is put together", () => {
    const reader = new FrameReader("frontend");
    const first = encodeQuery("a".repeat(300));
    const second = encodeQuery("b".repeat(5000));
    reader.push(Buffer.from(first.subarray(0, 100)));
    expect(reader.next()).toBeNull();
    reader.push(Buffer.concat([first.subarray(100), second, second.subarray(0, 4000)]));
    const a = reader.next();
    const b = reader.next();
    expect(reader.next()).toBeNull();
    expect(a?.body.toString()).toBe(`${"a".repeat(300)}\0`);
    expect(b?.body.toString()).toBe(`${"b".repeat(5000)}\0`);
    reader.push(Buffer.from(second.subarray(4000)));
    expect(reader.next()?.body.length).toBe(5001);
    expect(reader.buffered).toBe(0);
  });

  test("a message of many chunks is copied a bounded number of times", () => {
    const reader = new FrameReader("backend");
    const size = 24 * 1024 * 1024;
    const head = Buffer.alloc(5, "d");
    head.writeInt32BE(size + 4, 1);
    reader.push(head);
    const chunk = Buffer.alloc(8192, 7);
    const allocated = vi.spyOn(Buffer, "allocUnsafeSlow");
    for (let i = 0; i < size / 8192; i++) {
      if (reader.next() !== null) throw new Error("came too early");
      reader.push(chunk);
    }
    const frame = reader.next();
    const allocations = allocated.mock.calls.length;
    allocated.mockRestore();
    // From 8 KiB to 24 MiB by doubling.
    expect(allocations).toBeGreaterThan(0);
    expect(allocations).toBeLessThan(20);
    expect(frame?.body.length).toBe(size);
    expect(frame?.body.every((byte) => byte === 7)).toBe(true);
  });

  test("a great length alone allocates nothing", () => {
    const readers = Array.from({ length: 200 }, () => {
      const reader = new FrameReader("frontend");
      reader.push(hex("51 3f ff ff fe"));
      expect(reader.next()).toBeNull();
      reader.push(Buffer.from("select"));
      expect(reader.next()).toBeNull();
      return reader;
    });
    expect(readers.every((reader) => reader.buffered === 11)).toBe(true);
    // 200 declared gigabytes: had they been reserved, the process would not be here.
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(1024 * 1024 * 1024);
  });

  test("takeRest gives what no message was made of", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), fc.boolean(), (tail, split) => {
        const rest = Buffer.from([...hex("51 00 00 10 00"), ...tail]);
        const reader = new FrameReader("frontend");
        if (split) {
          const all = Buffer.concat([sync, rest]);
          for (const byte of all) {
            reader.push(Buffer.from([byte]));
            reader.next();
          }
        } else {
          reader.push(Buffer.concat([sync, rest]));
          expect(reader.next()?.type).toBe(0x53);
          expect(reader.next()).toBeNull();
        }
        expect(reader.buffered).toBe(rest.length);
        expect(reader.takeRest()).toEqual(rest);
        expect(reader.buffered).toBe(0);
        reader.push(Buffer.from(sync));
        expect(reader.next()?.type).toBe(0x53);
      }),
    );
  });
});

describe("limits", () => {
  test("lengths below four and above the type's limit", () => {
    for (const side of ["frontend", "backend"] as const) {
      for (const [type, limit] of Object.entries(side === "frontend" ? frontendLimits : backendLimits)) {
        const head = (length: number) => {
          const b = Buffer.alloc(5);
          b[0] = Number(type);
          b.writeUInt32BE(length, 1);
          return b;
        };
        for (const length of [0, 3, limit + 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
          const reader = new FrameReader(side);
          reader.push(head(length));
          expect(error(() => reader.next())).toMatchObject({
            code: "08P01",
            message: "invalid message length",
          });
        }
        const reader = new FrameReader(side);
        reader.push(head(limit));
        expect(reader.next()).toBeNull();
      }
    }
  });

  test("the tables: PostgreSQL's and libpq's", () => {
    const of = (table: Readonly<Record<number, number>>, limit: number) =>
      Object.entries(table)
        .filter(([, l]) => l === limit)
        .map(([type]) => String.fromCharCode(Number(type)))
        .sort()
        .join("");
    expect(of(frontendLimits, 0x3fff_fffe)).toBe("BFPQd");
    expect(of(frontendLimits, 10_000)).toBe("CDEHSXcf");
    expect(of(frontendLimits, 65_539)).toBe("p");
    expect(of(backendLimits, 0x3fff_fffe)).toBe("ADENTVd");
    expect(of(backendLimits, 30_000)).toBe("123CGHIKRSWZcnsv");
    expect(of(backendLimits, 6 + 4 * 1_048_576)).toBe("t");
  });

  test("a lower bound for all types", () => {
    const reader = new FrameReader("frontend", { maxMessage: 1000 });
    reader.push(hex("51 00 00 03 e8"));
    expect(reader.next()).toBeNull();
    const other = new FrameReader("frontend", { maxMessage: 1000 });
    other.push(hex("51 00 00 03 e9"));
    expect(error(() => other.next()).code).toBe("54000");
  });

  test("an unknown type is refused at its first byte, and the reader stays refused", () => {
    const reader = new FrameReader("frontend");
    reader.push(Buffer.from("y"));
    expect(error(() => reader.next()).message).toBe("invalid frontend message type 121");
    reader.push(Buffer.from(sync));
    expect(error(() => reader.next()).message).toBe("invalid frontend message type 121");
    const behind = new FrameReader("backend");
    behind.push(Buffer.concat([encodeBackend({ type: "noData" }), Buffer.from("q")]));
    expect(behind.next()?.type).toBe(0x6e);
    expect(error(() => behind.next()).message).toBe("invalid backend message type 113");
  });

  test("arbitrary bytes give messages or a ProtocolError", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<("frontend" | "backend")[]>("frontend", "backend"),
        fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 10 }),
        (side, chunks) => {
          const reader = new FrameReader(side);
          try {
            for (const chunk of chunks) {
              reader.push(Buffer.from(chunk));
              drain(reader);
            }
          } catch (caught) {
            expect(caught).toBeInstanceOf(ProtocolError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
