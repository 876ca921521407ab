import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeBind,
  decodeClose,
  decodeCopyFail,
  decodeDescribe,
  decodeExecute,
  decodeFrontend,
  decodeFunctionCall,
  decodeParse,
  decodePassword,
  decodeQuery,
  decodeSaslInitialResponse,
  encodeClose,
  encodeCopyFail,
  encodeDescribe,
  encodeFrontend,
  encodeQuery,
  type FrontendMessage,
  flush,
  formatOf,
  ProtocolError,
  sync,
  terminate,
} from "../../src/protocol/index.ts";
import { authenticationOf, frontendMessage, hex } from "./arbitraries.ts";

const query = (sql: string): FrontendMessage => ({ type: "query", text: sql, bytes: Buffer.from(sql) });

const golden: [FrontendMessage, string][] = [
  [query("SELECT 1"), "51 0000000d 53454c4543542031 00"],
  [query(""), "51 00000005 00"],
  [
    { type: "parse", name: "s", text: "é", bytes: hex("c3a9"), parameterTypes: [23, 0xffff_ffff] },
    "50 00000013 7300 c3a900 0002 00000017 ffffffff",
  ],
  [
    {
      type: "bind",
      portal: "p",
      statement: "s",
      parameterFormats: [1],
      parameters: [hex("0000002a"), null, hex("")],
      resultFormats: [0, 1],
    },
    "42 00000024 7000 7300 0001 0001 0003 00000004 0000002a ffffffff 00000000 0002 0000 0001",
  ],
  [
    { type: "bind", portal: "", statement: "", parameterFormats: [], parameters: [], resultFormats: [] },
    "42 0000000c 00 00 0000 0000 0000",
  ],
  [{ type: "describe", target: "statement", name: "s" }, "44 00000007 53 7300"],
  [{ type: "describe", target: "portal", name: "" }, "44 00000006 50 00"],
  [{ type: "close", target: "portal", name: "c1" }, "43 00000008 50 633100"],
  [{ type: "execute", portal: "", maxRows: 0 }, "45 00000009 00 00000000"],
  [{ type: "execute", portal: "p", maxRows: -1 }, "45 0000000a 7000 ffffffff"],
  [{ type: "flush" }, "48 00000004"],
  [{ type: "sync" }, "53 00000004"],
  [
    { type: "functionCall", oid: 952, argumentFormats: [1], arguments: [hex("01"), null], resultFormat: 1 },
    "46 00000019 000003b8 0001 0001 0002 00000001 01 ffffffff 0001",
  ],
  [{ type: "copyData", data: Buffer.from("1\t2\n") }, "64 00000008 3109320a"],
  [{ type: "copyDone" }, "63 00000004"],
  [{ type: "copyFail", message: "no" }, "66 00000007 6e6f00"],
  [{ type: "terminate" }, "58 00000004"],
  [{ type: "password", password: "pw" }, "70 00000007 707700"],
  [
    { type: "saslInitialResponse", mechanism: "OAUTHBEARER", data: Buffer.from("n,,") },
    "70 00000017 4f4155544842454152455200 00000003 6e2c2c",
  ],
  [{ type: "saslInitialResponse", mechanism: "X", data: null }, "70 0000000a 5800 ffffffff"],
  [{ type: "saslResponse", data: hex("01") }, "70 00000005 01"],
];

describe("golden bytes", () => {
  test.each(golden)("$0.type: $1", (message, bytes) => {
    const packet = hex(bytes);
    expect(encodeFrontend(message)).toEqual(packet);
    expect(packet.readInt32BE(1)).toBe(packet.length - 1);
    expect(decodeFrontend(packet[0] ?? 0, packet.subarray(5), authenticationOf(message))).toEqual(message);
  });

  test("ready-made messages and shortcuts", () => {
    expect(sync).toEqual(hex("5300000004"));
    expect(flush).toEqual(hex("4800000004"));
    expect(terminate).toEqual(hex("5800000004"));
    expect(encodeQuery("SELECT 1")).toEqual(hex("510000000d53454c454354203100"));
    expect(encodeDescribe("statement", "s")).toEqual(hex("4400000007537300"));
    expect(encodeClose("statement", "s")).toEqual(hex("4300000007537300"));
    expect(encodeCopyFail("no")).toEqual(hex("66000000076e6f00"));
  });
});

test("round trip of every kind", () => {
  const kinds = new Set<string>();
  fc.assert(
    fc.property(frontendMessage, (message) => {
      kinds.add(message.type);
      const packet = encodeFrontend(message);
      expect(packet.readInt32BE(1)).toBe(packet.length - 1);
      expect(decodeFrontend(packet[0] ?? 0, packet.subarray(5), authenticationOf(message))).toEqual(message);
    }),
    { numRuns: 800 },
  );
  expect(kinds.size).toBe(16);
});

describe("exact consumption", () => {
  test("a missing byte and a byte too many are refused, for every kind", () => {
    // CopyData and SASLResponse are their body, whatever its length.
    const open = new Set(["copyData", "saslResponse"]);
    fc.assert(
      fc.property(frontendMessage, fc.nat({ max: 255 }), (message, byte) => {
        fc.pre(!open.has(message.type));
        const packet = encodeFrontend(message);
        const type = packet[0] ?? 0;
        const body = packet.subarray(5);
        const as = authenticationOf(message);
        expect(() => decodeFrontend(type, Buffer.concat([body, Buffer.from([byte])]), as)).toThrow(
          ProtocolError,
        );
        if (body.length > 0)
          expect(() => decodeFrontend(type, body.subarray(0, -1), as)).toThrow(ProtocolError);
      }),
      { numRuns: 500 },
    );
  });

  test("Query text that ends before the message does", () => {
    expect(() => decodeQuery(Buffer.from("select 1\0; drop table t\0"))).toThrow(
      expect.objectContaining({ code: "08P01", message: "invalid message format" }),
    );
    expect(() => decodeQuery(Buffer.from("select 1"))).toThrow(
      expect.objectContaining({ code: "08P01", message: "invalid string in message" }),
    );
    expect(() => decodeQuery(Buffer.from("select 1\0\0"))).toThrow(ProtocolError);
    const long = "x".repeat(100);
    expect(() => decodeQuery(Buffer.from(`${long}\0${long}\0`))).toThrow(ProtocolError);
    expect(decodeQuery(Buffer.from(`${long}\0`)).text).toBe(long);
  });
});

describe("counts and lengths", () => {
  test("65535 parameters, formats and types", () => {
    const parameters = Array.from({ length: 65_535 }, () => null);
    const parameterFormats = Array.from({ length: 65_535 }, () => 1);
    const bind = encodeFrontend({
      type: "bind",
      portal: "",
      statement: "",
      parameterFormats,
      parameters,
      resultFormats: [],
    });
    const decoded = decodeBind(bind.subarray(5));
    expect(decoded.parameters.length).toBe(65_535);
    expect(decoded.parameterFormats.length).toBe(65_535);
    const parse = encodeFrontend({
      type: "parse",
      name: "",
      text: "",
      bytes: Buffer.alloc(0),
      parameterTypes: parameterFormats,
    });
    expect(decodeParse(parse.subarray(5)).parameterTypes.length).toBe(65_535);
    expect(() =>
      encodeFrontend({
        type: "bind",
        portal: "",
        statement: "",
        parameterFormats: [],
        parameters: [...parameters, null],
        resultFormats: [],
      }),
    ).toThrow(ProtocolError);
  });

  test.each([
    ["Bind: more formats than bytes", () => decodeBind(hex("00 00 ffff 0000"))],
    ["Bind: more values than bytes", () => decodeBind(hex("00 00 0000 ffff 00000000"))],
    ["Bind: a value of length -2", () => decodeBind(hex("00 00 0000 0001 fffffffe 0000 0000"))],
    ["Bind: a value of length -2^31", () => decodeBind(hex("00 00 0000 0001 80000000 0000 0000"))],
    ["Bind: a value longer than the message", () => decodeBind(hex("00 00 0000 0001 7fffffff 0000"))],
    ["Parse: more types than bytes", () => decodeParse(hex("00 00 ffff 00000017"))],
    ["FunctionCall: a negative length", () => decodeFunctionCall(hex("00000001 0000 0001 fffffff0 0000"))],
    ["SASLInitialResponse: length -2", () => decodeSaslInitialResponse(hex("5800 fffffffe"))],
    ["SASLInitialResponse: a length too great", () => decodeSaslInitialResponse(hex("5800 00000002 01"))],
    ["SASLInitialResponse: a length too small", () => decodeSaslInitialResponse(hex("5800 00000001 0102"))],
    ["Execute: a short row count", () => decodeExecute(hex("00 0000"))],
    ["Describe: an unknown subtype", () => decodeDescribe(hex("58 00"))],
    ["Close: an empty message", () => decodeClose(hex(""))],
  ])("%s", (_, run) => {
    expect(run).toThrow(expect.objectContaining({ code: "08P01" }));
  });
});

describe("text", () => {
  test("SQL that is not UTF-8 has no text, but its bytes", () => {
    expect(decodeQuery(hex("27 82a0 27 00"))).toEqual({ text: null, bytes: hex("27 82a0 27") });
    expect(decodeParse(hex("00 27ff27 00 0000"))).toMatchObject({ text: null, bytes: hex("27ff27") });
    // Surrogates and overlong forms are no UTF-8.
    expect(decodeQuery(hex("eda080 00")).text).toBeNull();
    expect(decodeQuery(hex("c080 00")).text).toBeNull();
  });

  test("a byte order mark stays", () => {
    expect(decodeQuery(hex("efbbbf 31 00")).text).toBe("\uFEFF1");
  });

  test("names and passwords must be UTF-8", () => {
    expect(() => decodeParse(hex("ff00 00 0000"))).toThrow(ProtocolError);
    expect(() => decodeBind(hex("ff00 00 0000 0000 0000"))).toThrow(ProtocolError);
    expect(() => decodeBind(hex("00 ff00 0000 0000 0000"))).toThrow(ProtocolError);
    expect(() => decodeDescribe(hex("53 ff00"))).toThrow(ProtocolError);
    expect(() => decodeExecute(hex("ff00 00000000"))).toThrow(ProtocolError);
    expect(() => decodePassword(hex("ff00"))).toThrow(ProtocolError);
    expect(() => decodeSaslInitialResponse(hex("ff00 ffffffff"))).toThrow(ProtocolError);
  });

  test("a CopyFail text may be anything", () => {
    expect(decodeCopyFail(hex("61ff00")).message).toBe("a\uFFFD");
  });

  test("a password that ends early", () => {
    expect(() => decodePassword(hex("6100 6200"))).toThrow(
      expect.objectContaining({ message: "invalid password packet size" }),
    );
    expect(() => decodePassword(hex("61"))).toThrow(ProtocolError);
    expect(decodePassword(hex("00")).password).toBe("");
  });

  test("no encoder lets a NUL through", () => {
    expect(() => encodeQuery("a\0b")).toThrow(ProtocolError);
    expect(() => encodeFrontend({ type: "query", text: null, bytes: hex("6100") })).toThrow(ProtocolError);
    expect(() => encodeDescribe("portal", "\0")).toThrow(ProtocolError);
    expect(() => encodeFrontend({ type: "password", password: "a\0" })).toThrow(ProtocolError);
  });

  test("an error quotes nothing of the message", () => {
    fc.assert(
      fc.property(fc.constantFrom(..."QPBDCEFHScfX"), (type) => {
        try {
          decodeFrontend(type.charCodeAt(0), Buffer.from("hunter2-hunter2\xff\0hunter2"));
        } catch (caught) {
          expect(String(caught)).not.toContain("hunter2");
        }
      }),
    );
  });
});

test("formatOf: none is text, one is for all, else each its own", () => {
  expect(formatOf([], 3)).toBe(0);
  expect(formatOf([1], 3)).toBe(1);
  expect(formatOf([0, 1, 0], 1)).toBe(1);
  expect(formatOf([0, 1], 5)).toBe(0);
});

describe("unknown and ambiguous messages", () => {
  test("a type that is not known", () => {
    expect(() => decodeFrontend(121, Buffer.alloc(0))).toThrow("invalid frontend message type 121");
  });
  test("'p' needs to be told what it is", () => {
    expect(() => decodeFrontend(0x70, hex("00"))).toThrow(ProtocolError);
  });
});

test("arbitrary bytes into every decoder throw nothing but ProtocolError", () => {
  const types = [..."QPBDECHSFdcfXpy"].map((c) => c.charCodeAt(0));
  const as = fc.constantFrom<("password" | "saslInitial" | "saslResponse")[]>(
    "password",
    "saslInitial",
    "saslResponse",
  );
  const smallBytes = fc.array(fc.constantFrom(0, 0, 0, 1, 2, 4, 0x53, 0x50, 0x7f, 0xff), { maxLength: 40 });
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 80 }).map((b) => Buffer.from(b)),
    smallBytes.map((b) => Buffer.from(b)),
  );
  fc.assert(
    fc.property(fc.constantFrom(...types), bodies, as, (type, body, kind) => {
      try {
        decodeFrontend(type, body, kind);
      } catch (caught) {
        expect(caught).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: 5000 },
  );
});

test("a changed byte in a valid message throws nothing but ProtocolError", () => {
  fc.assert(
    fc.property(frontendMessage, fc.nat(), fc.nat({ max: 255 }), (message, at, byte) => {
      const packet = Buffer.from(encodeFrontend(message));
      if (packet.length > 5) packet[5 + (at % (packet.length - 5))] = byte;
      try {
        decodeFrontend(packet[0] ?? 0, packet.subarray(5), authenticationOf(message));
      } catch (caught) {
        expect(caught).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: 1000 },
  );
});
