/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the client's side: RFC 5802 (messages in section 7, computation in section 3),
 * RFC 7677 (SHA-256), RFC 5929 (tls-server-end-point); PostgreSQL manual, "SASL Authentication".
 */
import { isAscii } from "node:buffer";
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { ProtocolError } from "../errors.ts";
import { type ScramKeys, scramKeys } from "./scram-keys.ts";

/** What the connection offers to bind to. */
export type ChannelBinding =
  /** TLS, and the server offered SCRAM-SHA-256-PLUS: bind to the hash of its certificate. */
  | { readonly type: "tls-server-end-point"; readonly data: Buffer }
  /** TLS, but the server offered no -PLUS: says so, so that a server that did offer it notices the downgrade. */
  | "tls-without-plus"
  /**
   * No TLS; also where the server offered -PLUS and its certificate has no binding data ("tls-without-plus" would tell it
   * of a downgrade, RFC 5802 section 6).
   */
  | "none";

export interface ScramOptions {
  readonly password: string;
  readonly channelBinding: ChannelBinding;
}

export interface ScramClient {
  readonly mechanism: "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS";
  /** True once the server has proved that it knows the password. AuthenticationOk before that must be refused. */
  readonly verified: boolean;
  /** The client-first-message, for SASLInitialResponse. */
  first(): Buffer;
  /** The client-final-message, for SASLResponse. Rejects with ProtocolError when the server's message is not acceptable. */
  final(serverFirst: Buffer): Promise<Buffer>;
  /** Checks the server-final-message. Throws ProtocolError: malformed, or "28000" when the server does not know the password. */
  verify(serverFinal: Buffer): void;
}

/** RFC 7677 section 4: at least 4096. The upper bound keeps a hostile server from burning our CPU. */
const minIterations = 4096;
const maxIterations = 1_000_000;
/** Far more than any server sends; libpq takes at most 2000. */
const maxServerMessage = 2000;

/** server-first-message of RFC 5802 section 7: nonce, salt, iteration count, extensions. `m=` is mandatory and unknown to us. */
const firstPattern = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9][0-9]{0,9})(?:,.*)?$/s;
const finalPattern = /^v=([A-Za-z0-9+/]{43}=)(?:,.*)?$/s;

function refuse(what: string): never {
  throw new ProtocolError(`SCRAM: ${what}`);
}

/**
 * Starts an exchange. One object is good for one authentication; steps out of order throw ProtocolError, as does a binding
 * without data.
 */
export function scramClient(options: ScramOptions): ScramClient {
  // 18 random bytes as in libpq. PostgreSQL ignores the user name here: it took it from the startup packet.
  return scramExchange(options, "", randomBytes(18).toString("base64"));
}

/** An exchange with a given user name and client nonce, as the published examples need it. */
export function scramExchange(options: ScramOptions, user: string, clientNonce: string): ScramClient {
  const binding = options.channelBinding;
  if (typeof binding !== "string" && binding.data.length === 0) refuse("no channel binding data");
  const gs2 = gs2Header(binding);
  const bindingInput =
    typeof binding === "string"
      ? Buffer.from(gs2, "latin1")
      : Buffer.concat([Buffer.from(gs2, "latin1"), binding.data]);
  const firstBare = `n=${user},r=${clientNonce}`;
  let state: "new" | "first" | "deriving" | "final" | "verified" | "failed" = "new";
  let expected: Buffer | null = null;

  return {
    mechanism: typeof binding === "string" ? "SCRAM-SHA-256" : "SCRAM-SHA-256-PLUS",
    get verified() {
      return state === "verified";
    },
    first() {
      if (state !== "new") refuse("message out of order");
      state = "first";
      return Buffer.from(gs2 + firstBare, "utf8");
    },
    async final(serverFirst) {
      if (state !== "first") refuse("message out of order");
      state = "deriving";
      try {
        const challenge = decodeServerFirst(serverFirst, clientNonce);
        const withoutProof = `c=${bindingInput.toString("base64")},r=${challenge.nonce}`;
        const keys = await scramKeys(options.password, challenge.salt, challenge.iterations);
        const message = `${firstBare},${challenge.text},${withoutProof}`;
        expected = hmac(keys.serverKey, message);
        state = "final";
        return Buffer.from(`${withoutProof},p=${proof(keys, message).toString("base64")}`, "latin1");
      } finally {
        if (state === "deriving") state = "failed";
      }
    },
    verify(serverFinal) {
      if (state !== "final" || expected === null) refuse("message out of order");
      state = "failed";
      if (!timingSafeEqual(decodeServerFinal(serverFinal), expected))
        throw new ProtocolError("SCRAM: incorrect server signature", "28000");
      state = "verified";
    },
  };
}

function gs2Header(binding: ChannelBinding): string {
  switch (binding) {
    case "none":
      return "n,,";
    case "tls-without-plus":
      return "y,,";
    default:
      return "p=tls-server-end-point,,";
  }
}

interface Challenge {
  readonly text: string;
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

function decodeServerFirst(data: Buffer, clientNonce: string): Challenge {
  const text = serverText(data);
  if (text.startsWith("m=")) refuse("the server asks for an extension that is not supported");
  const match = firstPattern.exec(text) ?? refuse("malformed server-first-message");
  const [, nonce = "", saltText = "", iterationText = ""] = match;
  if (!nonce.startsWith(clientNonce) || nonce.length === clientNonce.length) refuse("invalid server nonce");
  const salt = Buffer.from(saltText, "base64");
  if (salt.toString("base64") !== saltText) refuse("malformed salt");
  const iterations = Number(iterationText);
  if (iterations < minIterations || iterations > maxIterations)
    refuse(`iteration count outside ${minIterations} to ${maxIterations}`);
  return { text, nonce, salt, iterations };
}

function decodeServerFinal(data: Buffer): Buffer {
  const text = serverText(data);
  if (text.startsWith("e=")) throw new ProtocolError("SCRAM: the server reports a failure", "28000");
  const match = finalPattern.exec(text) ?? refuse("malformed server-final-message");
  const signature = Buffer.from(match[1] ?? "", "base64");
  if (signature.toString("base64") !== match[1]) refuse("malformed server signature");
  return signature;
}

function serverText(data: Buffer): string {
  if (data.length > maxServerMessage) throw new ProtocolError("SCRAM: message too large", "54000");
  // RFC 5802 section 7: no NUL. Beyond ASCII nothing is needed, and AuthMessage must be the very bytes.
  if (!isAscii(data) || data.includes(0)) refuse("malformed message");
  return data.toString("latin1");
}

function proof(keys: ScramKeys, message: string): Buffer {
  const storedKey = createHash("sha256").update(keys.clientKey).digest();
  const signature = hmac(storedKey, message);
  return Buffer.from(signature.map((byte, i) => byte ^ (keys.clientKey[i] ?? 0)));
}

function hmac(key: Buffer, message: string): Buffer {
  return createHmac("sha256", key).update(message, "utf8").digest();
}
