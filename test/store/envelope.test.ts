import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createEnvelope, EnvelopeError, readEnvelopeKey } from "../../src/store/envelope.ts";

const key = () => randomBytes(32);

describe("envelope", () => {
  test("what was sealed opens under the same key and context only", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), fc.string(), (plain, context, other) => {
        const envelope = createEnvelope([key()]);
        const sealed = envelope.seal(plain, context);
        expect([...envelope.open(sealed, context)]).toEqual([...plain]);
        if (other !== context) expect(() => envelope.open(sealed, other)).toThrow(EnvelopeError);
        expect(() => createEnvelope([key()]).open(sealed, context)).toThrow(EnvelopeError);
      }),
      { numRuns: 50 },
    );
  });

  test("equal texts seal differently, and show nothing", () => {
    const envelope = createEnvelope([key()]);
    const text = Buffer.from("a secret that is a secret");
    const [a, b] = [envelope.seal(text, "x"), envelope.seal(text, "x")];
    expect(a).not.toBe(b);
    expect(a).not.toContain(text.toString("base64url"));
  });

  test("every changed byte is found", () => {
    const envelope = createEnvelope([key()]);
    const sealed = envelope.seal(Buffer.from("hello"), "x");
    for (let at = 0; at < sealed.length; at++) {
      const was = sealed[at] ?? "";
      // The last character of a part may hold bits that base64url does not use: skip what decodes alike.
      const changed = `${sealed.slice(0, at)}${was === "A" ? "B" : "A"}${sealed.slice(at + 1)}`;
      const same = changed
        .split(".")
        .every((part, i) =>
          Buffer.from(part, "base64url").equals(Buffer.from(sealed.split(".")[i] ?? "", "base64url")),
        );
      if (!same || was === ".") expect(() => envelope.open(changed, "x")).toThrow(EnvelopeError);
    }
    for (const odd of ["", "e1", "e1.a.b", `${sealed}.x`, "e2.a.b.c"])
      expect(() => envelope.open(odd, "x")).toThrow(EnvelopeError);
  });

  test("turning the key over: the old one opens, the new one seals", () => {
    const [old, next] = [key(), key()];
    const sealed = createEnvelope([old]).seal(Buffer.from("x"), "c");
    const both = createEnvelope([next, old]);
    expect(both.open(sealed, "c").toString()).toBe("x");
    expect(both.isOld(sealed)).toBe(true);
    const again = both.seal(Buffer.from("x"), "c");
    expect(both.isOld(again)).toBe(false);
    expect(createEnvelope([next]).open(again, "c").toString()).toBe("x");
  });

  test("keys as they are written", () => {
    const one = key();
    for (const text of [one.toString("base64"), one.toString("base64url"), `${one.toString("hex")}\n`])
      expect(readEnvelopeKey(text)).toEqual(one);
    for (const text of ["", "short", one.toString("hex").slice(1), "é".repeat(32)])
      expect(() => readEnvelopeKey(text)).toThrow(TypeError);
    expect(() => createEnvelope([])).toThrow(TypeError);
    expect(() => createEnvelope([randomBytes(16)])).toThrow(TypeError);
  });
});
