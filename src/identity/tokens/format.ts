/** The text of a Postern token: `pgt_ID_SECRETCHECK`, base62 throughout, so that it needs no quoting anywhere and a double click takes it whole. */
import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { IdentityError } from "../errors.ts";

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const idLength = 12;
/** 62^43 is just above 2^256. */
const secretLength = 43;
/** 62^6 is above 2^32. */
const checkLength = 6;

const tokenPattern = /^(pgt_[0-9A-Za-z]{12}_[0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;
const userPattern = /^pgt_([0-9A-Za-z]{12})$/;

/** What every Postern token begins with. */
export const tokenPrefix = "pgt_";

/** A new token: 256 random bits behind a public id, and a CRC-32 by which scanners and typing errors are told without asking anybody. */
export function newToken(): { readonly token: string; readonly id: string } {
  const id = base62(BigInt(`0x${randomBytes(16).toString("hex")}`) % 62n ** BigInt(idLength), idLength);
  const secret = base62(BigInt(`0x${randomBytes(32).toString("hex")}`), secretLength);
  const body = `${tokenPrefix}${id}_${secret}`;
  return { token: body + checkOf(body), id };
}

/** The public id of a token. Throws IdentityError TOKEN_MALFORMED; nothing is asked of the store for what cannot be a token. */
export function readToken(token: string): string {
  const match = tokenPattern.exec(token);
  if (match === null) throw new IdentityError("TOKEN_MALFORMED", "not a Postern token: wrong form");
  const [, body = "", check] = match;
  if (checkOf(body) !== check)
    throw new IdentityError(
      "TOKEN_MALFORMED",
      "the checksum of the Postern token is wrong: it was cut or mistyped",
    );
  return body.slice(tokenPrefix.length, tokenPrefix.length + idLength);
}

/** Whether a text has the form of a Postern token and its checksum is right. */
export function isToken(text: string): boolean {
  const match = tokenPattern.exec(text);
  return match !== null && checkOf(match[1] ?? "") === match[2];
}

/** The startup `user` that names a token for SCRAM: the token up to its second underscore. */
export function userOf(id: string): string {
  return tokenPrefix + id;
}

/** The token's id out of such a user; null for any other user. */
export function idOfUser(user: string): string | null {
  return userPattern.exec(user)?.[1] ?? null;
}

export function isId(text: string): boolean {
  return /^[0-9A-Za-z]{12}$/.test(text);
}

/** Takes the secret part out of whatever holds a token by mistake, as a `user` that should have been a password. */
export function hideTokens(text: string): string {
  return text.replaceAll(/pgt_([0-9A-Za-z]{12})_[0-9A-Za-z]+/g, "pgt_$1");
}

function checkOf(body: string): string {
  return base62(BigInt(crc32(body)), checkLength);
}

function base62(value: bigint, length: number): string {
  let text = "";
  let rest = value;
  for (let at = 0; at < length; at++) {
    text = (alphabet[Number(rest % 62n)] ?? "0") + text;
    rest /= 62n;
  }
  return text;
}
