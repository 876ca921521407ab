/** SASL OAUTHBEARER, the server's side of the messages (RFC 7628 section 3, RFC 6750 section 2.1, PostgreSQL 18). */
import { ProtocolError } from "../errors.ts";

/** PG_MAX_AUTH_TOKEN_LENGTH. */
const maxInitialResponse = 65_535;
/** libpq takes an authentication message of at most 2000 bytes. */
const maxFailure = 1900;
/** kvpair of RFC 7628 section 3.1: a key of letters, a value of visible ASCII and white space. */
const pairPattern = /^([A-Za-z]+)=([\t\n\r\x20-\x7e]*)$/;
/** b64token of RFC 6750 section 2.1 behind the scheme, which RFC 9110 compares without case. */
const bearerPattern = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i;

function malformed(what: string): never {
  throw new ProtocolError(`malformed OAUTHBEARER message: ${what}`);
}

/**
 * Reads the client's initial response.
 * @returns the bearer token; null when the client sent none and asks where to get one (discovery).
 * Throws ProtocolError: "08P01" malformed, "0A000" an authorization identity. Never quotes the message.
 */
export function decodeOauthBearer(data: Buffer): { readonly token: string | null } {
  if (data.length > maxInitialResponse) throw new ProtocolError("OAUTHBEARER message too large", "54000");
  // Bytes above 0x7f stay what they are in latin1, and match nothing that is allowed below.
  const text = data.toString("latin1");
  const first = text.charAt(0);
  if (first === "p") malformed("channel binding is not possible with this mechanism");
  if (first !== "n" && first !== "y") malformed("unexpected channel-binding flag");
  if (text.charAt(1) !== ",") malformed("comma expected");
  if (text.charAt(2) === "a")
    throw new ProtocolError("client uses authorization identity, but it is not supported", "0A000");
  if (text.charAt(2) !== ",") malformed("unexpected attribute");
  if (text.charAt(3) !== "\x01") malformed("key-value separator expected");
  return { token: bearerToken(authorization(text)) };
}

/** Gives the value of the one `auth` pair; other pairs (host, port, …) are checked for form and ignored. */
function authorization(text: string): string {
  let value: string | null = null;
  let at = 4;
  while (text.charAt(at) !== "\x01") {
    const end = text.indexOf("\x01", at);
    if (end < 0) malformed("no final terminator");
    const pair = pairPattern.exec(text.slice(at, end));
    if (pair === null) malformed("invalid key-value pair");
    if (pair[1] === "auth") {
      if (value !== null) malformed("multiple auth values");
      value = pair[2] ?? "";
    }
    at = end + 1;
  }
  if (at + 1 !== text.length) malformed("data behind the final terminator");
  return value ?? malformed("no auth value");
}

function bearerToken(value: string): string | null {
  if (value === "") return null;
  const token = bearerPattern.exec(value)?.[1];
  return token ?? malformed("not a bearer token");
}

/**
 * Gives the JSON of a failure (RFC 7628 section 3.2.2), to be sent as AuthenticationSASLContinue.
 * @param url the issuer's openid-configuration.
 * @param scope scopes to ask for, separated by spaces.
 * Throws ProtocolError "54000" when it would be longer than libpq takes.
 */
export function encodeOauthFailure(url: string, scope: string): Buffer {
  const json = Buffer.from(
    JSON.stringify({ status: "invalid_token", "openid-configuration": url, scope }),
    "utf8",
  );
  if (json.length >= maxFailure) throw new ProtocolError("OAuth failure message too large", "54000");
  return json;
}

/** Whether a client's SASLResponse is the one that may follow a failure: exactly one byte 0x01. */
export function isOauthFailureReply(data: Buffer): boolean {
  return data.length === 1 && data[0] === 1;
}
