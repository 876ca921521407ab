/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side: RFC 5802 (messages in section 7, computation in section 3),
 * RFC 7677, RFC 5929; PostgreSQL's auth-scram.c for what its clients send.
 */
import { isAscii } from "node:buffer";
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { ProtocolError } from "../errors.ts";

/** What the server knows of a password. */
export interface ScramVerifier {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export interface ScramServer {
  /** Takes the client-first-message, gives the server-first-message. Throws ProtocolError. */
  first(clientFirst: Buffer): Buffer;
  /** Takes the client-final-message; null: the proof is wrong. Else the server-final-message. Throws ProtocolError. */
  final(clientFinal: Buffer): Buffer | null;
}

/** PostgreSQL's limit (PG_MAX_SASL_MESSAGE_LENGTH). */
const maxMessage = 1024;
const printable = "[\\x21-\\x2b\\x2d-\\x7e]+";
/** gs2-header, then n=user and r=nonce. PostgreSQL's clients leave the user empty: it stands in the startup packet. */
const firstPattern = new RegExp(
  `^(?<gs2>(?<flag>n|y|p=[A-Za-z0-9.-]+),(?<authzid>[^,]*),)(?<bare>(?<ext>m=)?n=[^,]*,r=(?<nonce>${printable})(?:,.*)?)$`,
  "s",
);
const finalPattern = new RegExp(
  `^(?<without>c=(?<binding>[A-Za-z0-9+/]+={0,2}),r=(?<nonce>${printable})(?:,.*)?),p=(?<proof>[A-Za-z0-9+/]{43}=)$`,
  "s",
);

/** The mechanisms to offer, in order of preference; `binding`: tls-server-end-point data of our certificate, null without. */
export function scramMechanisms(binding: Buffer | null): readonly string[] {
  return binding === null ? ["SCRAM-SHA-256"] : ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
}

/**
 * One exchange. `mechanism` is what the client chose of scramMechanisms(binding); messages out of order throw ProtocolError.
 * @param nonce the server's part, for the published examples alone.
 */
export function scramServer(
  mechanism: string,
  verifier: ScramVerifier,
  binding: Buffer | null,
  nonce: string = randomBytes(18).toString("base64"),
): ScramServer {
  if (!scramMechanisms(binding).includes(mechanism))
    throw new ProtocolError("client selected an invalid SASL authentication mechanism");
  const plus = mechanism === "SCRAM-SHA-256-PLUS";
  let state: { readonly gs2: string; readonly nonce: string; readonly message: string } | null = null;
  let begun = false;

  return {
    first(clientFirst) {
      if (begun) refuse("message out of order");
      begun = true;
      const groups =
        firstPattern.exec(textOf(clientFirst))?.groups ?? refuse("malformed client-first-message");
      const { gs2 = "", flag = "", authzid = "", bare = "", ext } = groups;
      if (ext !== undefined) refuse("client requires an unsupported extension");
      if (authzid !== "") refuse("client uses authorization identity, but it is not supported");
      if (plus !== flag.startsWith("p=")) refuse("channel binding does not match the mechanism");
      if (plus && flag !== "p=tls-server-end-point") refuse("unsupported channel-binding type");
      // The client could bind and believes that we cannot: somebody took -PLUS out of our offer (RFC 5802 section 6).
      if (flag === "y" && binding !== null)
        throw new ProtocolError(
          "SCRAM: channel binding was offered; the negotiation was tampered with",
          "28000",
        );
      const whole = (groups.nonce ?? "") + nonce;
      const answer = `r=${whole},s=${verifier.salt.toString("base64")},i=${verifier.iterations}`;
      state = { gs2, nonce: whole, message: `${bare},${answer}` };
      return Buffer.from(answer, "latin1");
    },
    final(clientFinal) {
      const started = state ?? refuse("message out of order");
      state = null;
      const groups =
        finalPattern.exec(textOf(clientFinal))?.groups ?? refuse("malformed client-final-message");
      const input = Buffer.concat([
        Buffer.from(started.gs2, "latin1"),
        plus && binding !== null ? binding : Buffer.alloc(0),
      ]);
      if (groups.binding !== input.toString("base64"))
        throw new ProtocolError("SCRAM channel binding check failed", "28000");
      if (groups.nonce !== started.nonce) refuse("wrong nonce");
      const message = `${started.message},${groups.without ?? ""}`;
      const signature = hmac(verifier.storedKey, message);
      const proof = Buffer.from(groups.proof ?? "", "base64");
      const clientKey = Buffer.from(signature.map((byte, at) => byte ^ (proof[at] ?? 0)));
      const stored = createHash("sha256").update(clientKey).digest();
      if (verifier.storedKey.length !== stored.length || !timingSafeEqual(stored, verifier.storedKey))
        return null;
      return Buffer.from(`v=${hmac(verifier.serverKey, message).toString("base64")}`, "latin1");
    },
  };
}

function refuse(what: string): never {
  throw new ProtocolError(`SCRAM: ${what}`);
}

function textOf(data: Buffer): string {
  if (data.length > maxMessage) throw new ProtocolError("SCRAM: message too large");
  if (!isAscii(data) || data.includes(0)) refuse("malformed message");
  return data.toString("latin1");
}

function hmac(key: Buffer, message: string): Buffer {
  return createHmac("sha256", key).update(message, "latin1").digest();
}
