/** Where keys come from, and what happens when they change or cannot be had. */
import { mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createIdentity, IdentityConfigError, type IdentityOptions } from "../../src/identity/index.ts";
import type { OidcProviderSettings } from "../../src/identity/settings.ts";
import { sendJson, startTestIdp, type TestIdp } from "../support/idp.ts";
import { clock, provider, refused } from "./helpers.ts";

const discoveryPath = "/.well-known/openid-configuration";
let idp: TestIdp;
beforeEach(async () => {
  idp = await startTestIdp();
  return () => idp.close();
});

const open = (changes: Partial<OidcProviderSettings> = {}, options: IdentityOptions = {}) =>
  createIdentity([provider(idp.issuer, changes)], options);

describe("discovery", () => {
  test("finds the keys, once for any number of first tokens", async () => {
    const identity = await open();
    expect(idp.requests).toBe(0);
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, index) => idp.mint({ sub: `user-${index}` })),
    );
    await Promise.all(tokens.map((token) => identity.authenticate(token)));
    expect(idp.requests).toBe(2);
    expect(identity.discovery).toEqual({
      configurationUrl: `${idp.issuer}${discoveryPath}`,
      scope: "openid",
    });
  });

  test("an explicit JWKS URL needs no discovery", async () => {
    const identity = await open({ jwks: idp.jwksUri });
    await identity.authenticate(await idp.mint());
    expect(idp.requests).toBe(1);
  });

  test("falls back to the form of RFC 8414, for an issuer with a path", async () => {
    const tenant = await startTestIdp({ path: "/tenant" });
    try {
      tenant.override("/tenant/.well-known/openid-configuration", (_request, response) =>
        response.writeHead(404).end(),
      );
      tenant.override("/.well-known/oauth-authorization-server/tenant", (_request, response) =>
        sendJson(response, { issuer: tenant.issuer, jwks_uri: tenant.jwksUri }),
      );
      const identity = await createIdentity([provider(tenant.issuer)]);
      await identity.authenticate(await tenant.mint());
      expect(tenant.requests).toBe(3);
    } finally {
      await tenant.close();
    }
  });

  test.each([
    ["another issuer", (own: TestIdp) => ({ issuer: `${own.issuer}/`, jwks_uri: own.jwksUri })],
    ["no issuer", (own: TestIdp) => ({ jwks_uri: own.jwksUri })],
    ["no jwks_uri", (own: TestIdp) => ({ issuer: own.issuer })],
    [
      "plain http elsewhere",
      (own: TestIdp) => ({ issuer: own.issuer, jwks_uri: "http://keys.example/jwks" }),
    ],
    ["a file", (own: TestIdp) => ({ issuer: own.issuer, jwks_uri: "file:///etc/passwd" })],
    ["a list", () => []],
  ])("metadata with %s gives no keys", async (_what, metadata) => {
    idp.override(discoveryPath, (_request, response) => sendJson(response, metadata(idp)));
    await refused((await open()).authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
    expect(idp.requests).toBe(1);
  });

  test("an issuer behind TLS cannot send us to plain http", async () => {
    const asked: string[] = [];
    const identity = await createIdentity([provider("https://idp.example")], {
      fetch: async (url) => {
        asked.push(String(url));
        return Response.json({ issuer: "https://idp.example", jwks_uri: idp.jwksUri });
      },
    });
    const error = await refused(
      identity.authenticate(await idp.mint({ iss: "https://idp.example" })),
      "KEYS_UNAVAILABLE",
    );
    expect(error.cause).toContain("https is required");
    expect(asked).toEqual(["https://idp.example/.well-known/openid-configuration"]);
    expect(idp.requests).toBe(0);
  });

  test("redirects are not followed", async () => {
    idp.override("/jwks", (_request, response) => response.writeHead(302, { location: "/moved" }).end());
    idp.override("/moved", (_request, response) => sendJson(response, { keys: [idp.publicJwk()] }));
    const error = await refused((await open()).authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
    expect(error.cause).toContain("redirects are not followed");
    expect(idp.requests).toBe(2);
  });
});

describe("hostile answers", () => {
  test.each([
    ["not JSON", "keys"],
    ["no set", "{}"],
    ["keys of another shape", `{"keys":[1]}`],
    ["keys twice", `{"keys":[],"keys":[]}`],
    ["too many keys", JSON.stringify({ keys: Array.from({ length: 101 }, () => ({})) })],
    ["an empty answer", ""],
  ])("%s", async (_what, body) => {
    idp.override("/jwks", (_request, response) => response.end(body));
    await refused((await open()).authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
  });

  test("an endless key set is cut off", async () => {
    let sent = 0;
    let closed = false;
    idp.override("/jwks", (_request, response) => {
      const chunk = " ".repeat(65_536);
      const more = () => {
        while (!closed && sent < 50_000_000) {
          sent += chunk.length;
          if (!response.write(chunk)) break;
        }
      };
      response.on("drain", more).on("close", () => {
        closed = true;
      });
      more();
    });
    const error = await refused((await open()).authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
    expect(error.cause).toContain("larger than");
    await expect.poll(() => closed).toBe(true);
    expect(sent).toBeLessThan(50_000_000);
  });

  test.each([
    ["answers nothing", () => {}],
    [
      "stops in the middle",
      (_request: unknown, response: { write(text: string): unknown }) => void response.write('{"keys":['),
    ],
  ])("a provider that %s runs into the time limit", async (_what, handler) => {
    idp.override("/jwks", handler);
    const identity = await open({}, { fetchTimeoutMs: 100 });
    const error = await refused(identity.authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
    expect(error.cause).toContain("timed out");
  });

  test("close() ends a fetch under way", async () => {
    const arrived = Promise.withResolvers<void>();
    idp.override("/jwks", () => arrived.resolve());
    const identity = await open();
    const attempt = refused(identity.authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
    await arrived.promise;
    identity.close();
    expect((await attempt).cause).toContain("aborted");
  });

  test("unusable keys are passed over: encryption, secrets, weak, private", async () => {
    const own = idp.publicJwk();
    const { alg: _alg, ...anyAlg } = own;
    const weak = await exportJWK((await generateKeyPair("RS256", { modulusLength: 2048 })).publicKey);
    const short = Buffer.from(weak.n ?? "", "base64url")
      .subarray(128)
      .toString("base64url");
    const serve = (...keys: unknown[]) =>
      idp.override("/jwks", (_request, response) => sendJson(response, { keys }));
    const attempt = async () => (await open()).authenticate(await idp.mint());
    for (const bad of [
      { ...own, use: "enc" },
      { ...own, key_ops: ["sign"] },
      { ...own, alg: "ES384" },
      { ...own, d: "AAAA" },
      { ...own, x: "AAAA" },
      { ...own, kty: "oct", k: "AAAA" },
      { ...own, crv: "P-384" },
      { ...anyAlg, kty: "RSA", n: short, e: "AQAB" },
    ]) {
      serve(bad);
      await expect(attempt()).rejects.toMatchObject({ name: "IdentityError" });
      // Beside a good key of the same id it does no harm.
      serve(bad, anyAlg);
      await attempt();
    }
  });

  test("an RSA key below 2048 bits verifies nothing", async () => {
    const { generateKeyPairSync, sign } = await import("node:crypto");
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
    idp.override("/jwks", (_request, response) =>
      sendJson(response, { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "weak" }] }),
    );
    const [, claims] = (await idp.mint()).split(".");
    const input = `${Buffer.from('{"alg":"RS256","typ":"at+jwt","kid":"weak"}').toString("base64url")}.${claims}`;
    const token = `${input}.${sign("sha256", Buffer.from(input), privateKey).toString("base64url")}`;
    await refused((await open()).authenticate(token), "TOKEN_SIGNATURE");
  });
});

describe("rotation and outage", () => {
  test("a rotated key is found at once, the old one ends", async () => {
    const { now, advance } = clock();
    const identity = await open({}, { now });
    const old = await idp.mint({ sub: "old" });
    await identity.authenticate(old);
    await idp.rotateKey();
    expect(await identity.authenticate(old)).toMatchObject({ subject: "old" });
    expect(identity.metrics.cached).toBe(1);
    const fresh = await Promise.all([1, 2, 3].map((index) => idp.mint({ sub: `new-${index}` })));
    await Promise.all(fresh.map((token) => identity.authenticate(token)));
    expect(idp.requests).toBe(4);
    // The withdrawn key no longer vouches for a token, not even for one in the cache.
    await refused(identity.authenticate(old), "TOKEN_SIGNATURE");
    advance(1000);
    await idp.rotateKey();
    await refused(identity.authenticate(await idp.mint()), "TOKEN_SIGNATURE");
    expect(idp.requests).toBe(4);
    advance(29_000);
    await identity.authenticate(await idp.mint());
    expect(idp.requests).toBe(6);
  });

  test("unknown key ids cause one fetch in 30 s", async () => {
    const { now, advance } = clock();
    const identity = await open({}, { now });
    await identity.authenticate(await idp.mint());
    for (let index = 0; index < 20; index += 1) {
      await refused(
        identity.authenticate(await idp.mint({}, { header: { kid: `k${index}` } })),
        "TOKEN_SIGNATURE",
      );
    }
    expect(idp.requests).toBe(4);
    advance(30_000);
    await refused(identity.authenticate(await idp.mint({}, { header: { kid: "k" } })), "TOKEN_SIGNATURE");
    expect(idp.requests).toBe(6);
  });

  test("a clock that was set back does not keep a new key waiting", async () => {
    const { now, advance } = clock(Date.now() + 3_600_000);
    const identity = await open({}, { now });
    const mint = (kid?: string) =>
      idp.mint({}, { expiresIn: 100_000, ...(kid === undefined ? {} : { header: { kid } }) });
    await identity.authenticate(await mint());
    await refused(identity.authenticate(await mint("unknown")), "TOKEN_SIGNATURE");
    advance(-3_600_000);
    await identity.authenticate(await mint());
    await idp.rotateKey();
    await identity.authenticate(await mint());
  });

  test("an unknown key id in the very first token causes no second fetch", async () => {
    const identity = await open();
    await refused(identity.authenticate(await idp.mint({}, { header: { kid: "k" } })), "TOKEN_SIGNATURE");
    expect(idp.requests).toBe(2);
  });

  test("tokens without kid: any fitting key, rotation found", async () => {
    const { now } = clock();
    const identity = await open({}, { now });
    await identity.authenticate(await idp.mint({}, { header: { kid: undefined } }));
    await idp.rotateKey();
    await identity.authenticate(await idp.mint({}, { header: { kid: undefined } }));
    expect(idp.requests).toBe(4);
  });

  test("keys are refreshed every ten minutes", async () => {
    const { now, advance } = clock();
    const identity = await open({}, { now });
    await identity.authenticate(await idp.mint());
    advance(599_999);
    await identity.authenticate(await idp.mint({}, { expiresIn: 3600 }));
    expect(idp.requests).toBe(2);
    advance(1);
    await identity.authenticate(await idp.mint({}, { expiresIn: 3600 }));
    expect(idp.requests).toBe(4);
  });

  test("a withdrawn key is noticed by tokens in the cache alone", async () => {
    const { now, advance } = clock();
    const identity = await open({}, { now });
    const token = await idp.mint({}, { expiresIn: 3600 });
    await identity.authenticate(token);
    await idp.rotateKey();
    advance(600_000);
    await identity.authenticate(token);
    expect(identity.metrics.cached).toBe(1);
    await expect.poll(() => idp.requests).toBe(4);
    await expect
      .poll(() => identity.authenticate(token).catch((error: unknown) => error))
      .toMatchObject({ code: "TOKEN_SIGNATURE" });
  });

  test("through an outage the last good keys serve, for a day", async () => {
    const { now, advance } = clock();
    const identity = await open({}, { now });
    const mint = () => idp.mint({}, { expiresIn: 200_000 });
    await identity.authenticate(await mint());
    idp.setDown(true);
    advance(600_000);
    await identity.authenticate(await mint());
    expect(identity.metrics.keysStale).toBe(1);
    const afterFirst = idp.requests;
    await identity.authenticate(await mint());
    // It does not ask again for every login.
    expect(idp.requests).toBe(afterFirst);
    expect(identity.metrics).toMatchObject({ keysStale: 2, verified: 3, refused: 0 });
    await refused(identity.authenticate(await idp.mint({}, { header: { kid: "new" } })), "KEYS_UNAVAILABLE");
    advance(86_400_000 - 600_000 - 1);
    await identity.authenticate(await mint());
    advance(1);
    await refused(identity.authenticate(await mint()), "KEYS_UNAVAILABLE");
    idp.setDown(false);
    advance(30_000);
    await identity.authenticate(await mint());
    expect(identity.metrics.keysStale).toBe(3);
  });

  test("a broken answer does not replace good keys", async () => {
    const { now, advance } = clock();
    const identity = await open({}, { now });
    await identity.authenticate(await idp.mint());
    idp.override("/jwks", (_request, response) => response.end("<html>maintenance</html>"));
    advance(600_000);
    await identity.authenticate(await idp.mint({}, { expiresIn: 3600 }));
    expect(identity.metrics.keysStale).toBe(1);
  });

  test("a provider that is down at start comes in later", async () => {
    const { now, advance } = clock();
    idp.setDown(true);
    const identity = await open({}, { now });
    await refused(identity.authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
    idp.setDown(false);
    const before = idp.requests;
    await refused(identity.authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
    expect(idp.requests).toBe(before);
    advance(2000);
    await identity.authenticate(await idp.mint());
  });

  test("one provider's outage does not touch another", async () => {
    const other = await startTestIdp();
    try {
      const identity = await createIdentity([
        provider(idp.issuer),
        provider(other.issuer, { name: "other" }),
      ]);
      idp.setDown(true);
      await refused(identity.authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
      await identity.authenticate(await other.mint());
    } finally {
      await other.close();
    }
  });

  test("an address nobody listens at", async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as AddressInfo;
    await new Promise((done) => server.close(done));
    const identity = await open({ jwks: `http://127.0.0.1:${port}/jwks` });
    const error = await refused(identity.authenticate(await idp.mint()), "KEYS_UNAVAILABLE");
    expect(error.cause).toBe("keys of provider corp: JWKS: ECONNREFUSED");
  });
});

describe("keys in a file", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "postern-jwks-"));
    path = join(folder, "jwks.json");
    await write();
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function write(): Promise<void> {
    await writeFile(`${path}.new`, JSON.stringify({ keys: [idp.publicJwk()] }));
    await rename(`${path}.new`, path);
  }

  test.each(["file://", "file:"])("%s: read again when it changes, no request made", async (prefix) => {
    const identity = await open({ jwks: `${prefix}${path}` });
    const old = await idp.mint();
    await identity.authenticate(old);
    await idp.rotateKey();
    await refused(identity.authenticate(await idp.mint()), "TOKEN_SIGNATURE");
    await write();
    await identity.authenticate(await idp.mint());
    await refused(identity.authenticate(old), "TOKEN_SIGNATURE");
    expect(idp.requests).toBe(0);
  });

  test("a change of nothing but the time is read too", async () => {
    const identity = await open({ jwks: `file://${path}` });
    await identity.authenticate(await idp.mint());
    await utimes(path, 1, 1);
    await identity.authenticate(await idp.mint());
    expect(identity.metrics.keysStale).toBe(0);
  });

  test("while it is missing or broken the last good keys serve, counted", async () => {
    const { now, advance } = clock();
    const identity = await open({ jwks: `file://${path}` }, { now });
    await identity.authenticate(await idp.mint());
    await writeFile(path, "{");
    await identity.authenticate(await idp.mint());
    await rm(path);
    await identity.authenticate(await idp.mint());
    expect(identity.metrics.keysStale).toBe(2);
    await refused(identity.authenticate(await idp.mint({}, { header: { kid: "new" } })), "KEYS_UNAVAILABLE");
    advance(86_400_000);
    await refused(identity.authenticate(await idp.mint({}, { expiresIn: 200_000 })), "KEYS_UNAVAILABLE");
    await write();
    await identity.authenticate(await idp.mint({}, { expiresIn: 200_000 }));
  });

  test("a path that cannot be used shows at start", async () => {
    await expect(open({ jwks: `file://${folder}/none.json` })).rejects.toThrow(
      /jwks: the key file cannot be used: ENOENT/,
    );
    await expect(open({ jwks: `file://${folder}` })).rejects.toThrow(IdentityConfigError);
    await writeFile(path, "x");
    await expect(open({ jwks: `file://${path}` })).rejects.toThrow(/unexpected text/);
  });
});
