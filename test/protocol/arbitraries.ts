/** Generators of valid messages for the property tests. */
import fc from "fast-check";
import type { BackendMessage, FrontendMessage } from "../../src/protocol/index.ts";

/** Text that fits a String field: well-formed, no NUL. */
export const text = fc.string({ unit: "grapheme", maxLength: 40 }).map((s) => s.replaceAll("\0", ""));
export const bytes = fc.uint8Array({ maxLength: 200 }).map((b) => Buffer.from(b));
const value = fc.option(bytes);
const oid = fc.nat({ max: 0xffff_ffff });
const int16 = fc.integer({ min: -0x8000, max: 0x7fff });
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const formats = fc.array(fc.constantFrom<(0 | 1)[]>(0, 1), { maxLength: 10 });
const format = fc.constantFrom<(0 | 1)[]>(0, 1);
const key = fc.uint8Array({ minLength: 4, maxLength: 256 }).map((b) => Buffer.from(b));
const target = fc.constantFrom<("statement" | "portal")[]>("statement", "portal");
const statementText = text.map((s) => ({ text: s, bytes: Buffer.from(s) }));

const tag = <T extends string>(type: T) => fc.constant(type);

export const frontendMessage: fc.Arbitrary<FrontendMessage> = fc.oneof(
  statementText.map((s) => ({ type: "query" as const, ...s })),
  fc
    .record({ name: text, statement: statementText, parameterTypes: fc.array(oid, { maxLength: 8 }) })
    .map(({ name, statement, parameterTypes }) => ({
      type: "parse" as const,
      name,
      ...statement,
      parameterTypes,
    })),
  fc.record({
    type: tag("bind"),
    portal: text,
    statement: text,
    parameterFormats: fc.array(int16, { maxLength: 4 }),
    parameters: fc.array(value, { maxLength: 6 }),
    resultFormats: fc.array(int16, { maxLength: 4 }),
  }),
  fc.record({ type: tag("describe"), target, name: text }),
  fc.record({ type: tag("close"), target, name: text }),
  fc.record({ type: tag("execute"), portal: text, maxRows: int32 }),
  fc.record({ type: tag("flush") }),
  fc.record({ type: tag("sync") }),
  fc.record({
    type: tag("functionCall"),
    oid,
    argumentFormats: fc.array(int16, { maxLength: 4 }),
    arguments: fc.array(value, { maxLength: 6 }),
    resultFormat: int16,
  }),
  fc.record({ type: tag("copyData"), data: bytes }),
  fc.record({ type: tag("copyDone") }),
  fc.record({ type: tag("copyFail"), message: text }),
  fc.record({ type: tag("terminate") }),
  fc.record({ type: tag("password"), password: text }),
  fc.record({ type: tag("saslInitialResponse"), mechanism: text, data: value }),
  fc.record({ type: tag("saslResponse"), data: bytes }),
);

const field = fc.record({
  name: text,
  table: oid,
  column: int16,
  typeOid: oid,
  typeSize: int16,
  typeModifier: int32,
  format,
});
const errorFields = fc
  .uniqueArray(fc.tuple(fc.constantFrom(..."SVCMDHPpqWstcdnFLR"), text), { selector: ([letter]) => letter })
  .map((entries) => new Map(entries));
const nonEmpty = text.filter((s) => s !== "");

export const backendMessage: fc.Arbitrary<BackendMessage> = fc.oneof(
  fc.record({
    type: tag("authentication"),
    kind: fc.constantFrom<("ok" | "kerberosV5" | "cleartext" | "scmCredential" | "gss" | "sspi")[]>(
      "ok",
      "kerberosV5",
      "cleartext",
      "scmCredential",
      "gss",
      "sspi",
    ),
  }),
  fc.record({
    type: tag("authentication"),
    kind: tag("md5"),
    salt: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((b) => Buffer.from(b)),
  }),
  fc.record({
    type: tag("authentication"),
    kind: tag("sasl"),
    mechanisms: fc.array(nonEmpty, { maxLength: 3 }),
  }),
  fc.record({
    type: tag("authentication"),
    kind: fc.constantFrom<("gssContinue" | "saslContinue" | "saslFinal")[]>(
      "gssContinue",
      "saslContinue",
      "saslFinal",
    ),
    data: bytes,
  }),
  fc.record({
    type: tag("negotiateProtocolVersion"),
    minor: fc.nat({ max: 0xffff }),
    options: fc.array(text, { maxLength: 4 }),
  }),
  fc.record({ type: tag("backendKeyData"), pid: int32, key }),
  fc.record({ type: tag("parameterStatus"), name: text, value: text }),
  fc.record({ type: tag("readyForQuery"), status: fc.constantFrom<("I" | "T" | "E")[]>("I", "T", "E") }),
  fc.record({ type: tag("rowDescription"), fields: fc.array(field, { maxLength: 6 }) }),
  fc.record({ type: tag("dataRow"), values: fc.array(value, { maxLength: 8 }) }),
  fc.record({ type: tag("commandComplete"), tag: text }),
  fc.record({ type: tag("emptyQueryResponse") }),
  fc.record({ type: tag("noData") }),
  fc.record({ type: tag("parseComplete") }),
  fc.record({ type: tag("bindComplete") }),
  fc.record({ type: tag("closeComplete") }),
  fc.record({ type: tag("portalSuspended") }),
  fc.record({ type: tag("copyDone") }),
  fc.record({ type: tag("parameterDescription"), types: fc.array(oid, { maxLength: 8 }) }),
  fc.record({ type: fc.constantFrom<("error" | "notice")[]>("error", "notice"), fields: errorFields }),
  fc.record({ type: tag("notification"), pid: int32, channel: text, payload: text }),
  fc.record({
    type: fc.constantFrom<("copyInResponse" | "copyOutResponse" | "copyBothResponse")[]>(
      "copyInResponse",
      "copyOutResponse",
      "copyBothResponse",
    ),
    format,
    columnFormats: formats,
  }),
  fc.record({ type: tag("copyData"), data: bytes }),
  fc.record({ type: tag("functionCallResponse"), value }),
);

/** How a 'p' is to be read, for decodeFrontend. */
export function authenticationOf(
  message: FrontendMessage,
): "password" | "saslInitial" | "saslResponse" | undefined {
  switch (message.type) {
    case "password":
    case "saslResponse":
      return message.type;
    case "saslInitialResponse":
      return "saslInitial";
    default:
      return undefined;
  }
}

/** Cuts bytes at the given fractions of their length. */
export function cut(stream: Buffer, at: readonly number[]): Buffer[] {
  const points = [...at.map((f) => Math.floor(f * stream.length)), stream.length].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let from = 0;
  for (const point of points) {
    chunks.push(Buffer.from(stream.subarray(from, point)));
    from = point;
  }
  return chunks;
}

/** "51 00 0a" or "51000a" as bytes. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ""), "hex");
}
