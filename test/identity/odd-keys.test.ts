/** Key sets as an attacker, or a tired operator, would publish them. */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createIdentity } from "../../src/identity/index.ts";
import { provider } from "./helpers.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "postern-odd-keys-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const issuer = "https://idp.example";
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ec384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const k256 = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ed = generateKeyPairSync("ed25519");

const jwk = (key: KeyObject, more: object = {}) => ({
  ...createPublicKey(key.export({ type: "pkcs8", format: "pem" })).export({ format: "jwk" }),
  ...more,
});

function token(key: KeyObject, header: object, claims: object = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const all = { iss: issuer, aud: "postern", sub: "agent", iat: now, exp: now + 60, ...claims };
  const input = `${part({ typ: "at+jwt", ...header })}.${part(all)}`;
  const hash = key.asymmetricKeyType === "ed25519" ? null : "sha256";
  return `${input}.${sign(hash, Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

let number = 0;
/** What becomes of a token under a key set: who it is, or why it is refused. */
async function under(keys: unknown, shown: string): Promise<string> {
  const file = join(dir, `${number++}.json`);
  writeFileSync(file, JSON.stringify({ keys }));
  const settings = provider(issuer, {
    jwks: pathToFileURL(file).href,
    algorithms: ["RS256", "ES256", "ES384", "EdDSA"],
  });
  const identity = await createIdentity([settings]);
  try {
    return (await identity.authenticate(shown)).subject;
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    identity.close();
  }
}

describe("of several keys under one id", () => {
  test("the one that signed counts, wherever it stands", async () => {
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const set = [
      jwk(other.privateKey, { kid: "a" }),
      jwk(ec.privateKey, { kid: "a" }),
      jwk(rsa.privateKey, { kid: "a" }),
    ];
    const signed = token(ec.privateKey, { alg: "ES256", kid: "a" });
    expect(await under(set, signed)).toBe("agent");
    expect(await under([...set].reverse(), signed)).toBe("agent");
    const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(await under(set, token(stranger.privateKey, { alg: "ES256", kid: "a" }))).toBe("TOKEN_SIGNATURE");
  });

  test("a point that is not on its curve spoils nothing but itself", async () => {
    const good = jwk(ec.privateKey, { kid: "a" });
    const off = { ...good, y: Buffer.alloc(32, 7).toString("base64url") };
    const zero = {
      ...good,
      x: Buffer.alloc(32).toString("base64url"),
      y: Buffer.alloc(32).toString("base64url"),
    };
    const long = { ...good, x: Buffer.alloc(4096, 1).toString("base64url") };
    const signed = token(ec.privateKey, { alg: "ES256", kid: "a" });
    expect(await under([off, zero, long, good], signed)).toBe("agent");
    for (const alone of [off, zero, long]) expect(await under([alone], signed)).toMatch(/^TOKEN_|^KEYS_/);
  });

  test("no more than eight are tried", async () => {
    const others = Array.from({ length: 8 }, () =>
      jwk(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey, { kid: "a" }),
    );
    const signed = token(ec.privateKey, { alg: "ES256", kid: "a" });
    expect(await under([...others, jwk(ec.privateKey, { kid: "a" })], signed)).toBe("TOKEN_SIGNATURE");
    expect(await under([...others.slice(1), jwk(ec.privateKey, { kid: "a" })], signed)).toBe("agent");
  });
});

describe("no token is let in by a key", () => {
  const named = (key: KeyObject, more: object = {}) => [jwk(key, { kid: "a", ...more })];
  test.each<[string, unknown, () => string]>([
    [
      "of another curve than its algorithm's",
      named(ec384.privateKey),
      () => token(ec384.privateKey, { alg: "ES256", kid: "a" }),
    ],
    [
      "of a curve that only looks alike",
      named(k256.privateKey, { crv: "P-256" }),
      () => token(k256.privateKey, { alg: "ES256", kid: "a" }),
    ],
    ["of secp256k1", named(k256.privateKey), () => token(k256.privateKey, { alg: "ES256", kid: "a" })],
    [
      "that is for another algorithm",
      named(ec.privateKey, { alg: "ES384" }),
      () => token(ec.privateKey, { alg: "ES256", kid: "a" }),
    ],
    [
      "that is for encryption",
      named(ec.privateKey, { use: "enc" }),
      () => token(ec.privateKey, { alg: "ES256", kid: "a" }),
    ],
    [
      "whose operations are others",
      named(ec.privateKey, { key_ops: ["sign"] }),
      () => token(ec.privateKey, { alg: "ES256", kid: "a" }),
    ],
    [
      "that comes with its private part",
      [{ ...ec.privateKey.export({ format: "jwk" }), kid: "a" }],
      () => token(ec.privateKey, { alg: "ES256", kid: "a" }),
    ],
    [
      "of an id in another case",
      named(ec.privateKey, { kid: "A" }),
      () => token(ec.privateKey, { alg: "ES256", kid: "a" }),
    ],
    [
      "of an id that is a number",
      named(ec.privateKey, { kid: 1 }),
      () => token(ec.privateKey, { alg: "ES256", kid: "1" }),
    ],
    [
      "named by a prototype's member",
      named(ec.privateKey),
      () => token(ec.privateKey, { alg: "ES256", kid: "__proto__" }),
    ],
    [
      "of RSA without an odd exponent",
      named(rsa.privateKey, { e: "AQAA" }),
      () => token(rsa.privateKey, { alg: "RS256", kid: "a" }),
    ],
    [
      "of RSA with an endless exponent",
      named(rsa.privateKey, { e: Buffer.alloc(256, 255).toString("base64url") }),
      () => token(rsa.privateKey, { alg: "RS256", kid: "a" }),
    ],
    [
      "of Ed25519 that is not a point",
      named(ed.privateKey, { x: "AA" }),
      () => token(ed.privateKey, { alg: "EdDSA", kid: "a" }),
    ],
  ])("%s", async (_how, keys, make) => {
    expect(await under(keys, make())).toMatch(
      /^(TOKEN_SIGNATURE|TOKEN_ALGORITHM|TOKEN_MALFORMED|KEYS_UNAVAILABLE)$/,
    );
  });

  test("of RSA with the exponent 1, under which everybody can sign", async () => {
    const { n } = jwk(rsa.privateKey) as { n: string };
    const [head = "", claims = ""] = token(rsa.privateKey, { alg: "RS256", kid: "a" }).split(".");
    // With e = 1 the signature is the padded hash itself (RFC 8017 section 9.2).
    const { createHash } = await import("node:crypto");
    const digest = createHash("sha256").update(`${head}.${claims}`).digest();
    const info = Buffer.concat([Buffer.from("3031300d060960864801650304020105000420", "hex"), digest]);
    const padded = Buffer.concat([
      Buffer.from([0, 1]),
      Buffer.alloc(256 - 3 - info.length, 0xff),
      Buffer.from([0]),
      info,
    ]);
    const forged = `${head}.${claims}.${padded.toString("base64url")}`;
    for (const e of ["AQ", "AAAB", "AA", ""])
      expect(await under([{ kty: "RSA", n, e, kid: "a" }], forged)).toBe("TOKEN_SIGNATURE");
  });
});

describe("claims as attackers write them", () => {
  const keys = [jwk(ec.privateKey, { kid: "a" })];
  const signed = (claims: object) => token(ec.privateKey, { alg: "ES256", kid: "a" }, claims);

  test.each<[string, object, string]>([
    [
      "audiences: one of a thousand",
      { aud: [...Array.from({ length: 999 }, (_, i) => `a${i}`), "postern"] },
      "agent",
    ],
    ["audiences: nested", { aud: [["postern"]] }, "TOKEN_CLAIMS|TOKEN_AUDIENCE"],
    ["audiences: an object", { aud: { 0: "postern" } }, "TOKEN_CLAIMS|TOKEN_AUDIENCE"],
    ["audiences: one that begins alike", { aud: "postern.evil.example" }, "TOKEN_AUDIENCE"],
    ["audiences: none", { aud: [] }, "TOKEN_AUDIENCE"],
    ["an end as text", { exp: "9999999999" }, "TOKEN_CLAIMS|TOKEN_MALFORMED"],
    ["an end beyond all time", { exp: 1e300 }, "agent|TOKEN_CLAIMS"],
    ["an end that is negative", { exp: -1 }, "TOKEN_EXPIRED"],
    ["a subject that is a list", { sub: ["agent"] }, "TOKEN_CLAIMS"],
    ["a subject with a line break", { sub: "agent\nadmin" }, "TOKEN_CLAIMS"],
    ["a subject with a NUL", { sub: "agent\u0000" }, "TOKEN_CLAIMS"],
    ["groups that are objects", { groups: [{ name: "dba" }] }, "TOKEN_CLAIMS"],
    ["an actor that is a text", { act: "root" }, "TOKEN_CLAIMS"],
    [
      "actors in a circle's shape",
      { act: { sub: "a", act: { sub: "b", act: { sub: "c", act: { sub: "d", act: { sub: "e" } } } } } },
      "TOKEN_DELEGATION",
    ],
  ])("%s", async (_how, claims, expected) => {
    expect(await under(keys, signed(claims))).toMatch(new RegExp(`^(${expected})$`));
  });

  test("a claim that is called __proto__ gives nobody a group, here or anywhere", async () => {
    const [head = "", ,] = signed({}).split(".");
    const now = Math.floor(Date.now() / 1000);
    const text = `{"iss":"${issuer}","aud":"postern","sub":"agent","iat":${now},"exp":${now + 60},"__proto__":{"groups":["dba"],"polluted":true}}`;
    const input = `${head}.${Buffer.from(text).toString("base64url")}`;
    const shown = `${input}.${sign("sha256", Buffer.from(input), { key: ec.privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    const file = join(dir, "proto.json");
    writeFileSync(file, JSON.stringify({ keys }));
    const identity = await createIdentity([provider(issuer, { jwks: pathToFileURL(file).href })]);
    const outcome = await identity.authenticate(shown).catch((error: { code: string }) => error.code);
    identity.close();
    if (typeof outcome === "string") expect(outcome).toBe("TOKEN_MALFORMED");
    else expect(outcome.groups).toEqual([]);
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });
});
