/** A small OIDC issuer inside the test process: discovery, a JWKS, and tokens of any shape. */
import { constants, KeyObject, randomUUID, sign } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, exportSPKI, type GenerateKeyPairResult, generateKeyPair, type JWK, SignJWT } from "jose";

type PrivateKey = GenerateKeyPairResult["privateKey"];
type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface MintOptions {
  /** Laid over the default header; a member set to undefined is left out. */
  readonly header?: Readonly<Record<string, unknown>>;
  /** Signs with this key instead of the issuer's own. */
  readonly key?: PrivateKey;
  /** Seconds from now until `exp`; 300 by default, negative for an expired token. */
  readonly expiresIn?: number;
}

export interface TestIdp {
  readonly issuer: string;
  readonly jwksUri: string;
  /** A signed token. `claims` are laid over the defaults (sub "alice", aud "postern", groups ["agents"]); undefined leaves one out. */
  mint(claims?: Readonly<Record<string, unknown>>, options?: MintOptions): Promise<string>;
  /** Signs header and claims exactly as given, texts included, with the issuer's key: for tokens no honest library makes. */
  signRaw(header: unknown, claims: unknown): string;
  /** Replaces the signing key, under a new kid; the old one is withdrawn. */
  rotateKey(): Promise<void>;
  /** While down every request is answered by a closed connection. */
  setDown(down: boolean): void;
  /** Answers a path otherwise than usual; null ends that. */
  override(path: string, handler: Handler | null): void;
  /** Requests that came in, answered or not. */
  readonly requests: number;
  readonly algorithm: string;
  /** The current public key. */
  publicJwk(): JWK;
  publicPem(): Promise<string>;
  close(): Promise<void>;
}

/** Starts an issuer on 127.0.0.1 on a free port; `algorithm` is ES256 unless told. `path` gives the issuer a path component. */
export async function startTestIdp(options: { algorithm?: string; path?: string } = {}): Promise<TestIdp> {
  const algorithm = options.algorithm ?? "ES256";
  const path = options.path ?? "";
  let key = await newKey(algorithm);
  let down = false;
  let requests = 0;
  const overrides = new Map<string, Handler>();

  const server = createServer((request, response) => {
    requests += 1;
    if (down) {
      request.socket.destroy();
      return;
    }
    const handler = overrides.get(request.url ?? "");
    if (handler !== undefined) {
      handler(request, response);
      return;
    }
    switch (request.url) {
      case `${path}/.well-known/openid-configuration`:
        sendJson(response, {
          issuer,
          jwks_uri: jwksUri,
          authorization_endpoint: `${issuer}/auth`,
          token_endpoint: `${issuer}/token`,
          response_types_supported: ["code"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: [algorithm],
        });
        return;
      case `${path}/jwks`:
        sendJson(response, { keys: [key.jwk] });
        return;
      default:
        response.writeHead(404).end();
    }
  });
  await new Promise<void>((done, fail) => {
    server.once("error", fail);
    server.listen(0, "127.0.0.1", done);
  });
  const { port } = server.address() as AddressInfo;
  const issuer = `http://127.0.0.1:${port}${path}`;
  const jwksUri = `${issuer}/jwks`;

  return {
    issuer,
    jwksUri,
    algorithm,
    async mint(claims = {}, { header = {}, key: foreign, expiresIn = 300 } = {}) {
      const now = Math.floor(Date.now() / 1000);
      const payload = defined({
        iss: issuer,
        aud: "postern",
        sub: "alice",
        groups: ["agents"],
        jti: randomUUID(),
        iat: Math.min(now, now + expiresIn),
        exp: now + expiresIn,
        ...claims,
      });
      return new SignJWT(payload)
        .setProtectedHeader({ alg: algorithm, ...defined({ kid: key.jwk.kid, typ: "at+jwt", ...header }) })
        .sign(foreign ?? key.privateKey);
    },
    signRaw(header, claims) {
      const input = `${part(header)}.${part(claims)}`;
      return `${input}.${rawSignature(algorithm, key.privateKey, input)}`;
    },
    async rotateKey() {
      key = await newKey(algorithm);
    },
    setDown(value) {
      down = value;
      if (down) server.closeAllConnections();
    },
    override(at, handler) {
      if (handler === null) overrides.delete(at);
      else overrides.set(at, handler);
    },
    get requests() {
      return requests;
    },
    publicJwk: () => key.jwk,
    publicPem: () => exportSPKI(key.publicKey),
    async close() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Answers with JSON. */
export function sendJson(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** One part of a token: base64url of a text, or of a value's JSON. */
export function part(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

/** The signature of a JWS with the algorithms of RFC 7518 and RFC 8037. */
function rawSignature(algorithm: string, key: PrivateKey, input: string): string {
  const hash = algorithm.startsWith("Ed") ? null : `sha${algorithm.slice(2)}`;
  const pss = algorithm.startsWith("PS")
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {};
  return sign(hash, Buffer.from(input), {
    key: KeyObject.from(key),
    dsaEncoding: "ieee-p1363",
    ...pss,
  }).toString("base64url");
}

async function newKey(algorithm: string): Promise<GenerateKeyPairResult & { readonly jwk: JWK }> {
  const pair = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: randomUUID(), alg: algorithm, use: "sig" };
  return { ...pair, jwk };
}

function defined(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
