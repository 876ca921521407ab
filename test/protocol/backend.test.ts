import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type BackendMessage,
  decodeAuthentication,
  decodeBackend,
  decodeBackendKeyData,
  decodeCommandComplete,
  decodeCopyResponse,
  decodeDataRow,
  decodeErrorFields,
  decodeNegotiate,
  decodeParameterDescription,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
  encodeAuthenticationCleartext,
  encodeAuthenticationOk,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeBackend,
  encodeBackendKeyData,
  encodeError,
  encodeNegotiate,
  encodeNotice,
  encodeParameterStatus,
  encodeReadyForQuery,
  ProtocolError,
} from "../../src/protocol/index.ts";
import { backendMessage, hex } from "./arbitraries.ts";

const golden: [BackendMessage, string][] = [
  [{ type: "authentication", kind: "ok" }, "52 00000008 00000000"],
  [{ type: "authentication", kind: "kerberosV5" }, "52 00000008 00000002"],
  [{ type: "authentication", kind: "cleartext" }, "52 00000008 00000003"],
  [{ type: "authentication", kind: "md5", salt: hex("01020304") }, "52 0000000c 00000005 01020304"],
  [{ type: "authentication", kind: "scmCredential" }, "52 00000008 00000006"],
  [{ type: "authentication", kind: "gss" }, "52 00000008 00000007"],
  [{ type: "authentication", kind: "gssContinue", data: hex("0a") }, "52 00000009 00000008 0a"],
  [{ type: "authentication", kind: "sspi" }, "52 00000008 00000009"],
  [
    { type: "authentication", kind: "sasl", mechanisms: ["OAUTHBEARER"] },
    "52 00000015 0000000a 4f4155544842454152455200 00",
  ],
  [
    { type: "authentication", kind: "sasl", mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] },
    "52 0000002a 0000000a 534352414d2d5348412d3235362d504c555300 534352414d2d5348412d32353600 00",
  ],
  [{ type: "authentication", kind: "saslContinue", data: Buffer.from("r=x") }, "52 0000000b 0000000b 723d78"],
  [{ type: "authentication", kind: "saslFinal", data: Buffer.from("v=") }, "52 0000000a 0000000c 763d"],
  [
    { type: "negotiateProtocolVersion", minor: 2, options: ["_pq_.x"] },
    "76 00000013 00030002 00000001 5f70715f2e7800",
  ],
  [{ type: "backendKeyData", pid: 4711, key: hex("01020304") }, "4b 0000000c 00001267 01020304"],
  [{ type: "backendKeyData", pid: -2, key: Buffer.alloc(32, 1) }, `4b 00000028 fffffffe ${"01".repeat(32)}`],
  [{ type: "parameterStatus", name: "TimeZone", value: "UTC" }, "53 00000011 54696d655a6f6e6500 55544300"],
  [{ type: "readyForQuery", status: "I" }, "5a 00000005 49"],
  [{ type: "readyForQuery", status: "T" }, "5a 00000005 54"],
  [{ type: "readyForQuery", status: "E" }, "5a 00000005 45"],
  [
    {
      type: "rowDescription",
      fields: [
        {
          name: "id",
          table: 16_384,
          column: 1,
          typeOid: 23,
          typeSize: 4,
          typeModifier: -1,
          format: 1,
        },
        {
          name: "?column?",
          table: 0,
          column: 0,
          typeOid: 25,
          typeSize: -1,
          typeModifier: -1,
          format: 0,
        },
      ],
    },
    "54 00000036 0002 696400 00004000 0001 00000017 0004 ffffffff 0001 3f636f6c756d6e3f00 00000000 0000 00000019 ffff ffffffff 0000",
  ],
  [
    { type: "dataRow", values: [Buffer.from("42"), null, hex("")] },
    "44 00000014 0003 00000002 3432 ffffffff 00000000",
  ],
  [{ type: "commandComplete", tag: "SELECT 1" }, "43 0000000d 53454c454354203100"],
  [{ type: "emptyQueryResponse" }, "49 00000004"],
  [{ type: "noData" }, "6e 00000004"],
  [{ type: "parseComplete" }, "31 00000004"],
  [{ type: "bindComplete" }, "32 00000004"],
  [{ type: "closeComplete" }, "33 00000004"],
  [{ type: "portalSuspended" }, "73 00000004"],
  [{ type: "copyDone" }, "63 00000004"],
  [{ type: "parameterDescription", types: [23, 25] }, "74 0000000e 0002 00000017 00000019"],
  [
    {
      type: "error",
      fields: new Map([
        ["S", "ERROR"],
        ["C", "42P01"],
        ["M", "no"],
      ]),
    },
    "45 00000017 53 4552524f5200 43 343250303100 4d 6e6f00 00",
  ],
  [{ type: "notice", fields: new Map([["M", "hi"]]) }, "4e 00000009 4d 686900 00"],
  [{ type: "notification", pid: 7, channel: "c", payload: "" }, "41 0000000b 00000007 6300 00"],
  [{ type: "copyInResponse", format: 0, columnFormats: [0, 0] }, "47 0000000b 00 0002 0000 0000"],
  [{ type: "copyOutResponse", format: 1, columnFormats: [1] }, "48 00000009 01 0001 0001"],
  [{ type: "copyBothResponse", format: 0, columnFormats: [] }, "57 00000007 00 0000"],
  [{ type: "copyData", data: Buffer.from("x") }, "64 00000005 78"],
  [{ type: "functionCallResponse", value: hex("2a") }, "56 00000009 00000001 2a"],
  [{ type: "functionCallResponse", value: null }, "56 00000008 ffffffff"],
];

describe("golden bytes", () => {
  test.each(golden)("$0.type: $1", (message, bytes) => {
    const packet = hex(bytes);
    expect(encodeBackend(message)).toEqual(packet);
    expect(packet.readInt32BE(1)).toBe(packet.length - 1);
    expect(decodeBackend(packet[0] ?? 0, packet.subarray(5))).toEqual(message);
  });

  test("shortcuts give the same bytes", () => {
    expect(encodeAuthenticationOk()).toEqual(hex("52 00000008 00000000"));
    expect(encodeAuthenticationCleartext()).toEqual(hex("52 00000008 00000003"));
    expect(encodeAuthenticationSasl(["X"])).toEqual(hex("52 0000000b 0000000a 5800 00"));
    expect(encodeAuthenticationSaslContinue(hex(""))).toEqual(hex("52 00000008 0000000b"));
    expect(encodeNegotiate(0, [])).toEqual(hex("76 0000000c 00030000 00000000"));
    expect(encodeBackendKeyData(1, hex("01020304"))).toEqual(hex("4b 0000000c 00000001 01020304"));
    expect(encodeParameterStatus("a", "b")).toEqual(hex("53 00000008 6100 6200"));
    expect(encodeReadyForQuery("T")).toEqual(hex("5a 00000005 54"));
  });

  test("errors and notices: S, V, C, M, and D and H where given", () => {
    expect(encodeError({ code: "42501", message: "policy: no" })).toEqual(
      hex("45 00000026 53 4552524f5200 56 4552524f5200 43 343235303100 4d 706f6c6963793a206e6f00 00"),
    );
    const full = encodeError({ severity: "FATAL", code: "28000", message: "m", detail: "d", hint: "h" });
    expect([...decodeErrorFields(full.subarray(5))]).toEqual([
      ["S", "FATAL"],
      ["V", "FATAL"],
      ["C", "28000"],
      ["M", "m"],
      ["D", "d"],
      ["H", "h"],
    ]);
    const notice = encodeNotice({ severity: "WARNING", code: "01000", message: "m" });
    expect(notice[0]).toBe(0x4e);
    expect(decodeErrorFields(notice.subarray(5)).get("V")).toBe("WARNING");
  });

  test("an error can be said whatever its text", () => {
    const packet = encodeError({ code: "XX000", message: "a\0b", detail: "\0", hint: "\0\0" });
    expect(decodeErrorFields(packet.subarray(5)).get("M")).toBe("a\uFFFDb");
  });
});

test("round trip of every kind", () => {
  const kinds = new Set<string>();
  fc.assert(
    fc.property(backendMessage, (message) => {
      kinds.add(message.type);
      const packet = encodeBackend(message);
      expect(packet.readInt32BE(1)).toBe(packet.length - 1);
      expect(decodeBackend(packet[0] ?? 0, packet.subarray(5))).toEqual(message);
    }),
    { numRuns: 1500 },
  );
  expect(kinds.size).toBe(24);
});

test("exact consumption: a byte too many or too few is refused", () => {
  fc.assert(
    fc.property(backendMessage, fc.nat({ max: 255 }), (message, byte) => {
      // These take whatever length their body has.
      const data = message.type === "authentication" && "data" in message;
      fc.pre(message.type !== "copyData" && !data);
      const packet = encodeBackend(message);
      const body = packet.subarray(5);
      const longer = Buffer.concat([body, Buffer.from([byte])]);
      const decode = (bytes: Buffer) => () => decodeBackend(packet[0] ?? 0, bytes);
      if (message.type === "backendKeyData") {
        // One key is as good as another, within 4 to 256 bytes.
        if (message.key.length === 256) expect(decode(longer)).toThrow(ProtocolError);
        if (message.key.length === 4) expect(decode(body.subarray(0, -1))).toThrow(ProtocolError);
        return;
      }
      expect(decode(longer)).toThrow(ProtocolError);
      if (body.length > 0) expect(decode(body.subarray(0, -1))).toThrow(ProtocolError);
    }),
    { numRuns: 800 },
  );
});

describe("hostile servers", () => {
  test.each([
    ["RowDescription: more fields than bytes", () => decodeRowDescription(hex("ffff 00"))],
    [
      "RowDescription: an unknown format",
      () => decodeRowDescription(hex("0001 00 00000000 0000 00000019 ffff ffffffff 0002")),
    ],
    ["DataRow: more values than bytes", () => decodeDataRow(hex("ffff ffffffff"))],
    ["DataRow: a negative length", () => decodeDataRow(hex("0001 fffffffe"))],
    ["DataRow: a length too great", () => decodeDataRow(hex("0001 00000002 31"))],
    ["ParameterDescription: more types than bytes", () => decodeParameterDescription(hex("ffff 00000017"))],
    ["CopyResponse: an unknown format", () => decodeCopyResponse(hex("02 0000"))],
    ["CopyResponse: an unknown column format", () => decodeCopyResponse(hex("00 0001 0002"))],
    ["CopyResponse: more columns than bytes", () => decodeCopyResponse(hex("00 ffff"))],
    ["BackendKeyData: a key of 3", () => decodeBackendKeyData(hex("00000001 010203"))],
    [
      "BackendKeyData: a key of 257",
      () => decodeBackendKeyData(Buffer.concat([hex("00000001"), Buffer.alloc(257)])),
    ],
    ["Negotiate: a negative count", () => decodeNegotiate(hex("00030000 ffffffff"))],
    ["Negotiate: a count beyond the bytes", () => decodeNegotiate(hex("00030000 7fffffff 00"))],
    ["ReadyForQuery: an unknown status", () => decodeReadyForQuery(hex("58"))],
    ["Error: no terminator", () => decodeErrorFields(hex("4d 6100"))],
    ["Error: nothing", () => decodeErrorFields(hex(""))],
    ["md5: a salt of 3", () => decodeAuthentication(hex("00000005 010203"))],
    ["ok with a tail", () => decodeAuthentication(hex("00000000 00"))],
    ["sasl: no final terminator", () => decodeAuthentication(hex("0000000a 5800"))],
  ])("%s", (_, run) => {
    expect(run).toThrow(expect.objectContaining({ code: "08P01" }));
  });

  test("authentication and protocol versions that are not known", () => {
    for (const code of ["00000001", "00000004", "0000000d", "ffffffff"])
      expect(() => decodeAuthentication(hex(code))).toThrow(expect.objectContaining({ code: "0A000" }));
    expect(() => decodeNegotiate(hex("00000002 00000000"))).toThrow(
      expect.objectContaining({ code: "0A000" }),
    );
  });

  test("an error without SQLSTATE is readable", () => {
    expect(decodeErrorFields(hex("4d 6100 00")).get("C")).toBeUndefined();
    expect(decodeErrorFields(hex("00")).size).toBe(0);
  });

  test("text in another encoding is readable", () => {
    expect(decodeErrorFields(hex("4d e9ff00 00")).get("M")).toBe("\uFFFD\uFFFD");
    expect(decodeCommandComplete(hex("e900")).tag).toBe("\uFFFD");
    expect(decodeParameterStatus(hex("6100 e900")).value).toBe("\uFFFD");
    expect(
      decodeRowDescription(hex("0001 e900 00000000 0000 00000019 ffff ffffffff 0000")).fields[0]?.name,
    ).toBe("\uFFFD");
  });

  test("65535 columns", () => {
    const values = Array.from({ length: 65_535 }, () => null);
    const packet = encodeBackend({ type: "dataRow", values });
    expect(decodeDataRow(packet.subarray(5)).values.length).toBe(65_535);
  });

  test("the types of more parameters than ParameterDescription can count", () => {
    const body = (told: number, sent: number) => {
      const bytes = Buffer.alloc(2 + 4 * sent, 1);
      bytes.writeUInt16BE(told, 0);
      return bytes;
    };
    expect(decodeParameterDescription(body(65_535, 65_535)).types.length).toBe(65_535);
    expect(decodeParameterDescription(body(1, 65_537)).types.length).toBe(65_537);
    expect(() => decodeParameterDescription(body(1, 65_536))).toThrow(ProtocolError);
    expect(() => decodeParameterDescription(body(1, 2))).toThrow(ProtocolError);
  });

  test("a type that is not known", () => {
    expect(() => decodeBackend(0x71, hex(""))).toThrow("invalid backend message type 113");
  });
});

describe("what cannot be sent", () => {
  test.each<[string, () => Buffer]>([
    ["a NUL in a value", () => encodeParameterStatus("a", "b\0")],
    ["a key of 3", () => encodeBackendKeyData(1, Buffer.alloc(3))],
    ["a key of 257", () => encodeBackendKeyData(1, Buffer.alloc(257))],
    ["an empty mechanism", () => encodeAuthenticationSasl([""])],
    ["a salt of 3", () => encodeBackend({ type: "authentication", kind: "md5", salt: Buffer.alloc(3) })],
    ["an error field of two letters", () => encodeBackend({ type: "error", fields: new Map([["MM", ""]]) })],
    ["an error field 0", () => encodeBackend({ type: "error", fields: new Map([["\0", ""]]) })],
  ])("%s", (_, run) => {
    expect(run).toThrow(ProtocolError);
  });
});

test("arbitrary bytes into every decoder throw nothing but ProtocolError", () => {
  const types = [..."RvKSZTDCIn123sctENAGHWdVq"].map((c) => c.charCodeAt(0));
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 80 }).map((b) => Buffer.from(b)),
    fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3, 10, 0x49, 0xff), { maxLength: 50 }).map((b) => Buffer.from(b)),
  );
  fc.assert(
    fc.property(fc.constantFrom(...types), bodies, (type, body) => {
      try {
        decodeBackend(type, body);
      } catch (caught) {
        expect(caught).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: 5000 },
  );
});
