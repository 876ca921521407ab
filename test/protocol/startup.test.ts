import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeStartupPacket,
  encodeCancelRequest,
  encodeGssencRequest,
  encodeSslRequest,
  encodeStartup,
  maxStartupLength,
  ProtocolError,
  parseOptions,
} from "../../src/protocol/index.ts";
import { hex, text } from "./arbitraries.ts";

const body = (packet: Buffer) => packet.subarray(4);
const packet = (version: string, rest: string) => Buffer.concat([hex(version), Buffer.from(rest, "latin1")]);

describe("golden bytes", () => {
  test("SSLRequest and GSSENCRequest", () => {
    expect(encodeSslRequest()).toEqual(hex("00000008 04d2162f"));
    expect(encodeGssencRequest()).toEqual(hex("00000008 04d21630"));
    expect(decodeStartupPacket(hex("04d2162f"))).toEqual({ kind: "ssl" });
    expect(decodeStartupPacket(hex("04d21630"))).toEqual({ kind: "gssenc" });
  });

  test("CancelRequest with keys of 3.0 and 3.2", () => {
    expect(encodeCancelRequest(4711, hex("01020304"))).toEqual(hex("00000010 04d2162e 00001267 01020304"));
    expect(decodeStartupPacket(hex("04d2162e 00001267 01020304"))).toEqual({
      kind: "cancel",
      pid: 4711,
      key: hex("01020304"),
    });
    const long = Buffer.alloc(256, 9);
    expect(decodeStartupPacket(body(encodeCancelRequest(-1, long)))).toEqual({
      kind: "cancel",
      pid: -1,
      key: long,
    });
  });

  test("StartupMessage", () => {
    const parameters = new Map([
      ["user", "ann"],
      ["database", ""],
    ]);
    expect(encodeStartup(parameters)).toEqual(
      hex("0000001c 00030000 7573657200 616e6e00 646174616261736500 00 00"),
    );
    expect(encodeStartup(parameters, 2).readInt32BE(4)).toBe(0x00030002);
    expect(decodeStartupPacket(packet("00030002", "user\0ann\0database\0\0\0"))).toEqual({
      kind: "startup",
      major: 3,
      minor: 2,
      parameters,
    });
    expect(decodeStartupPacket(packet("0003270f", "\0"))).toEqual({
      kind: "startup",
      major: 3,
      minor: 9999,
      parameters: new Map(),
    });
  });
});

describe("StartupMessage", () => {
  test("the last of two values counts, _pq_ names are kept", () => {
    const decoded = decodeStartupPacket(packet("00030000", "user\0a\0_pq_.x\0y\0user\0b\0\0"));
    expect(decoded).toMatchObject({
      parameters: new Map([
        ["user", "b"],
        ["_pq_.x", "y"],
      ]),
    });
  });

  test.each([
    ["no terminator", "user\0ann\0"],
    ["no value", "user\0\0"],
    ["only a name", "user"],
    ["bytes behind the terminator", "user\0ann\0\0x"],
    ["a second terminator", "user\0ann\0\0\0"],
    ["nothing at all", ""],
    ["not UTF-8", "user\0\xff\0\0"],
    ["a name that is not UTF-8", "\xff\0x\0\0"],
  ])("refuses a layout with %s", (_, rest) => {
    expect(() => decodeStartupPacket(packet("00030000", rest))).toThrow(ProtocolError);
  });

  test("refuses other protocols", () => {
    for (const version of ["00020000", "00040000", "04d20000", "00000000", "ffffffff"]) {
      expect(() => decodeStartupPacket(packet(version, "user\0ann\0\0"))).toThrow(
        expect.objectContaining({ code: "0A000" }),
      );
    }
  });

  test("refuses lengths out of bounds", () => {
    expect(() => decodeStartupPacket(hex("000300"))).toThrow(ProtocolError);
    expect(() => decodeStartupPacket(hex(""))).toThrow(ProtocolError);
    const tooLong = packet("00030000", `user\0${"a".repeat(maxStartupLength)}\0\0`);
    expect(() => decodeStartupPacket(tooLong)).toThrow(ProtocolError);
    const fits = packet("00030000", `user\0${"a".repeat(maxStartupLength - 11)}\0\0`);
    expect(fits.length).toBe(maxStartupLength);
    expect(decodeStartupPacket(fits).kind).toBe("startup");
    expect(() => decodeStartupPacket(hex("04d2162f 00"))).toThrow(ProtocolError);
    expect(() => decodeStartupPacket(hex("04d2162e 00001267 010203"))).toThrow(ProtocolError);
    expect(() => decodeStartupPacket(Buffer.concat([hex("04d2162e 00001267"), Buffer.alloc(257)]))).toThrow(
      ProtocolError,
    );
    expect(() => encodeCancelRequest(1, Buffer.alloc(3))).toThrow(ProtocolError);
    expect(() => encodeStartup(new Map([["a", "b".repeat(maxStartupLength)]]))).toThrow(ProtocolError);
    expect(() => encodeStartup(new Map([["", "b"]]))).toThrow(ProtocolError);
    expect(() => encodeStartup(new Map([["a", "b\0c"]]))).toThrow(ProtocolError);
  });

  test("round trip", () => {
    const name = text.filter((s) => s !== "");
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, text), { maxLength: 10 }),
        fc.constantFrom<(0 | 2)[]>(0, 2),
        (entries, minor) => {
          const parameters = new Map(entries);
          expect(decodeStartupPacket(body(encodeStartup(parameters, minor)))).toEqual({
            kind: "startup",
            major: 3,
            minor,
            parameters,
          });
        },
      ),
    );
  });

  test("arbitrary bytes throw nothing but ProtocolError", () => {
    const code = fc.constantFrom("", "00030000", "00030002", "04d2162e", "04d2162f", "04d21630");
    fc.assert(
      fc.property(code, fc.uint8Array({ maxLength: 60 }), (prefix, rest) => {
        try {
          decodeStartupPacket(Buffer.concat([hex(prefix), rest]));
        } catch (caught) {
          expect(caught).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe("parseOptions", () => {
  test.each<[string, [string, string][]]>([
    ["", []],
    ["   ", []],
    ["-c search_path=shop", [["search_path", "shop"]]],
    ["-csearch_path=shop", [["search_path", "shop"]]],
    ["--search_path=shop", [["search_path", "shop"]]],
    ["--statement-timeout=5s", [["statement_timeout", "5s"]]],
    ["-c statement-timeout=5s", [["statement_timeout", "5s"]]],
    ["-c a=", [["a", ""]]],
    ["-c a=b=c", [["a", "b=c"]]],
    ["-c postern.run=7-8", [["postern.run", "7-8"]]],
    [
      "  -c a=1\t--b=2 \n-cc=3 ",
      [
        ["a", "1"],
        ["b", "2"],
        ["c", "3"],
      ],
    ],
    [String.raw`-c a=x\ y`, [["a", "x y"]]],
    [String.raw`-c a=x\\y`, [["a", String.raw`x\y`]]],
    [String.raw`-c a=\-c\ b=2`, [["a", "-c b=2"]]],
    [String.raw`\-c a=1`, [["a", "1"]]],
  ])("%j", (options, expected) => {
    expect(parseOptions(options)).toEqual(expected);
  });

  test.each([
    "-c",
    "-c a",
    "-ca",
    "--",
    "--a",
    "--=x",
    "-c =x",
    "a=1",
    "-d 5",
    "-e",
    "-C a=1",
    "-",
    "-c a=1 b=2",
    String.raw`-c a=1\ -c b=2`,
  ])("refuses %j", (options) => {
    expect(() => parseOptions(options)).toThrow(expect.objectContaining({ code: "42601" }));
  });

  test("arbitrary text gives settings or a ProtocolError", () => {
    const piece = fc.oneof(fc.constantFrom("-c", "--", "=", "\\", " ", "\t", "a", "-"), fc.string());
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          for (const [name] of parseOptions(pieces.join(""))) expect(name).not.toBe("");
        } catch (caught) {
          expect(caught).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("escaped values come back whole", () => {
    const escaped = (s: string) => s.replaceAll(/[\\ \t\n\v\f\r]/g, "\\$&");
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), (values) => {
        const options = values.map((value, i) => `-c n${i}=${escaped(value)}`).join(" ");
        expect(parseOptions(options)).toEqual(values.map((value, i) => [`n${i}`, value]));
      }),
    );
  });
});
