/** Tokens that must not get in, each signed or forged the way an attacker or a confused client would. */
import { createHmac, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { CompactEncrypt, exportJWK, generateKeyPair, importJWK } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createIdentity, type Identity } from "../../src/identity/index.ts";
import { part, startTestIdp, type TestIdp } from "../support/idp.ts";
import { provider, refused } from "./helpers.ts";

let idp: TestIdp;
let rsaIdp: TestIdp;
let identity: Identity;
beforeAll(async () => {
  idp = await startTestIdp();
  rsaIdp = await startTestIdp({ algorithm: "RS256" });
});
beforeEach(async () => {
  identity = await createIdentity([provider(idp.issuer), provider(rsaIdp.issuer, { name: "rsa" })]);
  return () => identity.close();
});
afterAll(async () => {
  await idp.close();
  await rsaIdp.close();
});

const now = () => Math.floor(Date.now() / 1000);
const good = () => ({ iss: idp.issuer, aud: "postern", sub: "alice", iat: now(), exp: now() + 300 });
const header = () => ({ alg: "ES256", typ: "at+jwt", kid: idp.publicJwk().kid });

test("the same token, unforged, gets in", async () => {
  expect((await identity.authenticate(idp.signRaw(header(), good()))).subject).toBe("alice");
  expect((await identity.authenticate(await rsaIdp.mint())).provider).toBe("rsa");
});

describe("algorithm", () => {
  test.each(["none", "None", "NONE", "nOnE"])("alg %s without signature", async (alg) => {
    await refused(identity.authenticate(`${part({ ...header(), alg })}.${part(good())}.`), "TOKEN_ALGORITHM");
  });

  test("alg none with the signature left on", async () => {
    const signature = idp.signRaw(header(), good()).split(".")[2];
    await refused(
      identity.authenticate(`${part({ ...header(), alg: "none" })}.${part(good())}.${signature}`),
      "TOKEN_ALGORITHM",
    );
  });

  test.each(["HS256", "HS384", "HS512"])("%s keyed with the public key", async (alg) => {
    const pem = await rsaIdp.publicPem();
    const claims = { ...good(), iss: rsaIdp.issuer };
    const input = `${part({ alg, typ: "at+jwt", kid: rsaIdp.publicJwk().kid })}.${part(claims)}`;
    for (const secret of [pem, pem.trim(), JSON.stringify(rsaIdp.publicJwk())]) {
      const mac = createHmac(`sha${alg.slice(2)}`, secret)
        .update(input)
        .digest("base64url");
      await refused(identity.authenticate(`${input}.${mac}`), "TOKEN_ALGORITHM");
    }
  });

  test("an algorithm that is not listed, though the key is good for it", async () => {
    const strict = await createIdentity([provider(rsaIdp.issuer, { algorithms: ["ES256"] })]);
    const before = rsaIdp.requests;
    await refused(strict.authenticate(await rsaIdp.mint()), "TOKEN_ALGORITHM");
    expect(rsaIdp.requests).toBe(before);
  });

  test("an algorithm the named key is not for", async () => {
    await refused(
      identity.authenticate(idp.signRaw({ ...header(), alg: "RS256" }, good())),
      "TOKEN_ALGORITHM",
    );
  });
});

describe("keys", () => {
  test("an unknown kid", async () => {
    await refused(identity.authenticate(await idp.mint({}, { header: { kid: "other" } })), "TOKEN_SIGNATURE");
  });

  test("a foreign key under the right kid", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    await refused(identity.authenticate(await idp.mint({}, { key: privateKey })), "TOKEN_SIGNATURE");
  });

  test("a foreign key and no kid", async () => {
    const { privateKey } = await generateKeyPair("ES256");
    const token = await idp.mint({}, { key: privateKey, header: { kid: undefined } });
    await refused(identity.authenticate(token), "TOKEN_SIGNATURE");
  });

  test("another provider's key", async () => {
    const token = await rsaIdp.mint({ iss: idp.issuer }, {});
    await refused(identity.authenticate(token), "TOKEN_SIGNATURE");
  });

  test("a key embedded in the header is not used, a URL in it not fetched", async () => {
    let calls = 0;
    const pair = await generateKeyPair("ES256", { extractable: true });
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: "evil", alg: "ES256", use: "sig" };
    const attacker = createServer((_request, response) => {
      calls += 1;
      response.end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((done) => attacker.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${(attacker.address() as AddressInfo).port}/jwks`;
    try {
      const privateKey = await importJWK(await exportJWK(pair.privateKey), "ES256");
      if (privateKey instanceof Uint8Array) throw new Error("not a private key");
      for (const extra of [
        { jwk },
        { jku: url },
        { x5u: url },
        { x5c: ["AAAA"] },
        { jku: url, jwk, x5u: url },
      ]) {
        for (const kid of ["evil", idp.publicJwk().kid, undefined]) {
          const token = await idp.mint({}, { key: privateKey, header: { kid, ...extra } });
          await refused(identity.authenticate(token), "TOKEN_SIGNATURE");
        }
      }
      // A good token that carries them is judged by the provider's own keys.
      await identity.authenticate(await idp.mint({}, { header: { jku: url, x5u: url } }));
      expect(calls).toBe(0);
    } finally {
      await new Promise((done) => attacker.close(done));
    }
  });

  test("every changed byte of the signature and the claims", async () => {
    const token = await idp.mint();
    const dot = token.indexOf(".") + 1;
    for (let at = dot; at < token.length; at += 7) {
      if (token[at] === ".") continue;
      const changed = `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
      await expect(identity.authenticate(changed)).rejects.toMatchObject({ name: "IdentityError" });
    }
  });

  test("another spelling of the same signature bytes", async () => {
    const token = await idp.mint();
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const last = alphabet.indexOf(token.slice(-1));
    // 64 bytes leave four unused bits in the last character.
    const twin = `${token.slice(0, -1)}${alphabet[last ^ 1]}`;
    expect(Buffer.from(twin.split(".")[2] ?? "", "base64url")).toEqual(
      Buffer.from(token.split(".")[2] ?? "", "base64url"),
    );
    await refused(identity.authenticate(twin), "TOKEN_MALFORMED");
    await refused(identity.authenticate(`${token}=`), "TOKEN_MALFORMED");
  });
});

describe("times", () => {
  test("expired", async () => {
    await refused(identity.authenticate(await idp.mint({}, { expiresIn: -31 })), "TOKEN_EXPIRED");
  });
  test("expired within the tolerance of 30 s gets in and is not cached", async () => {
    const token = await idp.mint({}, { expiresIn: -10 });
    await identity.authenticate(token);
    await identity.authenticate(token);
    expect(identity.metrics).toMatchObject({ verified: 2, cached: 0 });
  });
  test("not yet valid", async () => {
    await refused(identity.authenticate(await idp.mint({ nbf: now() + 60 })), "TOKEN_NOT_YET_VALID");
    await identity.authenticate(await idp.mint({ nbf: now() + 10 }));
  });
  test("issued in the future", async () => {
    await refused(identity.authenticate(await idp.mint({ iat: now() + 60 })), "TOKEN_NOT_YET_VALID");
  });
  test.each(["exp", "iat", "sub"])("no %s", async (claim) => {
    await refused(identity.authenticate(await idp.mint({ [claim]: undefined })), "TOKEN_CLAIMS");
  });
  test.each([
    ["exp as a text", { exp: `${now() + 300}` }],
    ["exp null", { exp: null }],
    ["exp beyond the calendar", { exp: 1e15 }],
    ["iat before the epoch", { iat: -1 }],
    ["iat as a text", { iat: "0" }],
    ["nbf as a text", { nbf: "0" }],
  ])("%s", async (_what, claims) => {
    await refused(identity.authenticate(idp.signRaw(header(), { ...good(), ...claims })), "TOKEN_CLAIMS");
  });
  test("older than max_token_age", async () => {
    const strict = await createIdentity([provider(idp.issuer, { maxTokenAge: 600 })]);
    await refused(strict.authenticate(await idp.mint({ iat: now() - 700 })), "TOKEN_EXPIRED");
    const principal = await strict.authenticate(await idp.mint({ iat: now() - 500, exp: now() + 3000 }));
    expect(principal.token.expires - (principal.token.issued ?? 0)).toBe(600);
  });
});

describe("issuer and audience", () => {
  test.each(["https://evil.example", "", "{issuer}/", "{ISSUER}"])(
    "issuer %j causes no request",
    async (template) => {
      const iss = template.replace("{issuer}", idp.issuer).replace("{ISSUER}", idp.issuer.toUpperCase());
      const before = idp.requests;
      await refused(identity.authenticate(await idp.mint({ iss })), "TOKEN_ISSUER");
      expect(idp.requests).toBe(before);
    },
  );
  test.each([undefined, null, 7, ["x"]])("issuer %j", async (iss) => {
    const token = idp.signRaw(header(), { ...good(), iss });
    await refused(identity.authenticate(token), "TOKEN_ISSUER");
  });
  test.each([
    undefined,
    null,
    "other",
    "postern2",
    ["other"],
    [],
    [["postern"]],
    ["postern", 1],
    { postern: true },
    "",
  ])("audience %j", async (aud) => {
    const before = idp.requests;
    await refused(identity.authenticate(idp.signRaw(header(), { ...good(), aud })), "TOKEN_AUDIENCE");
    expect(idp.requests).toBe(before);
  });
  test("one of several audiences is enough", async () => {
    await identity.authenticate(await idp.mint({ aud: ["other", "postern"] }));
  });
});

describe("kind of token", () => {
  test.each([
    "logout+jwt",
    "dpop+jwt",
    "secevent+jwt",
    "oauth-id-jag+jwt",
    "application/logout+jwt",
    "at+jwt2",
    "JOSE",
    "text/JWT",
  ])("typ %s", async (typ) => {
    await refused(identity.authenticate(await idp.mint({}, { header: { typ } })), "TOKEN_TYPE");
  });
  test.each(["at+JWT", "application/at+jwt", "jwt", "JWT", undefined])("typ %s gets in", async (typ) => {
    await identity.authenticate(await idp.mint({}, { header: { typ } }));
  });
  test("typ JWT, and none, only where configured", async () => {
    const strict = await createIdentity([provider(idp.issuer, { tokenTypes: ["at+jwt"] })]);
    await refused(strict.authenticate(await idp.mint({}, { header: { typ: "JWT" } })), "TOKEN_TYPE");
    await refused(strict.authenticate(await idp.mint({}, { header: { typ: undefined } })), "TOKEN_TYPE");
  });
  test.each([
    { nonce: "n" },
    { at_hash: "h" },
    { c_hash: "h" },
    { s_hash: "h" },
    { typ: "ID" },
    { token_use: "id" },
  ])("an ID token: %j", async (claims) => {
    await refused(identity.authenticate(await idp.mint(claims, { header: { typ: "JWT" } })), "TOKEN_TYPE");
    await refused(
      identity.authenticate(await idp.mint(claims, { header: { typ: undefined } })),
      "TOKEN_TYPE",
    );
  });
  test("a logout token without its typ", async () => {
    const events = { "http://schemas.openid.net/event/backchannel-logout": {} };
    await refused(
      identity.authenticate(await idp.mint({ events }, { header: { typ: "JWT" } })),
      "TOKEN_TYPE",
    );
  });
  test.each([{ cnf: { jkt: "x" } }, { cnf: { "x5t#S256": "x" } }, { cnf: null }])(
    "bound to a key: %j",
    async (claims) => {
      await refused(identity.authenticate(await idp.mint(claims)), "TOKEN_BOUND");
    },
  );
  test("encrypted", async () => {
    const { publicKey } = await generateKeyPair("ECDH-ES");
    const jwe = await new CompactEncrypt(Buffer.from(JSON.stringify(good())))
      .setProtectedHeader({ alg: "ECDH-ES", enc: "A128GCM" })
      .encrypt(publicKey);
    await refused(identity.authenticate(jwe), "TOKEN_TYPE");
    await refused(identity.authenticate(idp.signRaw({ ...header(), enc: "A128GCM" }, good())), "TOKEN_TYPE");
  });
});

describe("header and form", () => {
  test.each([
    { crit: ["exp"] },
    { crit: ["b64"], b64: false },
    { crit: [] },
    { b64: false },
    { b64: true },
    { zip: "DEF" },
    { cty: "JWT" },
    { kid: 7 },
    { kid: "" },
  ])("header %j", async (extra) => {
    await refused(identity.authenticate(idp.signRaw({ ...header(), ...extra }, good())), "TOKEN_HEADER");
  });
  test.each([
    [
      "duplicate claim",
      `{"iss":"{iss}","aud":"postern","sub":"alice","sub":"root","iat":1,"exp":9999999999}`,
    ],
    [
      "duplicate claim, escaped",
      `{"iss":"{iss}","aud":"postern","sub":"alice","\\u0073ub":"root","iat":1,"exp":9999999999}`,
    ],
    ["lone surrogate", `{"iss":"{iss}","aud":"postern","sub":"\\ud800","iat":1,"exp":9999999999}`],
    [
      "__proto__",
      `{"iss":"{iss}","aud":"postern","sub":"a","iat":1,"exp":9999999999,"__proto__":{"groups":["dba"]}}`,
    ],
    ["infinite number", `{"iss":"{iss}","aud":"postern","sub":"a","iat":1,"exp":1e999}`],
    ["no object", `["{iss}"]`],
    ["trailing text", `{"iss":"{iss}"} x`],
    ["deep", `{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`],
  ])("claims with %s", async (_what, template) => {
    const token = idp.signRaw(header(), template.replace("{iss}", idp.issuer));
    await refused(identity.authenticate(token), "TOKEN_MALFORMED");
  });
  test("a duplicate header member", async () => {
    const token = idp.signRaw(`{"alg":"ES256","alg":"none","typ":"at+jwt"}`, good());
    await refused(identity.authenticate(token), "TOKEN_MALFORMED");
  });
  test("claims that are not UTF-8", async () => {
    const claims = Buffer.from([...Buffer.from('{"sub":"'), 0xff, ...Buffer.from('"}')]).toString(
      "base64url",
    );
    await refused(identity.authenticate(`${part(header())}.${claims}.${part("x")}`), "TOKEN_MALFORMED");
  });
  test.each(["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e.f", "not a token", "\0", "é.é.é"])(
    "the text %j",
    async (text) => {
      await refused(identity.authenticate(text), "TOKEN_MALFORMED");
    },
  );

  test("a Postern token where none are issued", async () => {
    await refused(identity.authenticate("pgt_abc"), "TOKEN_UNKNOWN");
  });
  test("too large, also when signed", async () => {
    const padding = randomBytes(14_000).toString("base64url");
    await refused(identity.authenticate(await idp.mint({ padding })), "TOKEN_TOO_LARGE");
    await refused(identity.authenticate("x".repeat(16_385)), "TOKEN_TOO_LARGE");
  });
  test("errors do not repeat the token", async () => {
    const token = await idp.mint({ iss: "https://evil.example/\n\u001b[31m", secret: "hunter2" });
    const error = await refused(identity.authenticate(token), "TOKEN_ISSUER");
    expect(error.cause).not.toMatch(/\p{Cc}/u);
    for (const piece of token.split("."))
      expect(`${error.message} ${error.cause} ${error.stack}`).not.toContain(piece);
    expect(error.message).toBe("token refused: TOKEN_ISSUER");
  });
});
