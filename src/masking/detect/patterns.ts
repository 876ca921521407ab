/**
 * The patterns behind the gate, as scanners over ASCII text: each looks at a byte a bounded number of times, whatever the cell
 * holds. Text comes as latin1, so that a byte is a character.
 */

import { iban, luhn } from "./checksums.ts";
import { bits } from "./gate.ts";

/** Gives those of the kinds `wanted` that `text` holds. */
export function matchKinds(text: string, wanted: number): number {
  let found = 0;
  if ((wanted & bits.email) !== 0 && hasEmail(text)) found |= bits.email;
  if ((wanted & (bits.card | bits.ssn | bits.phone | bits.ipv4)) !== 0) found |= numbers(text) & wanted;
  if ((wanted & bits.iban) !== 0 && hasIban(text)) found |= bits.iban;
  if ((wanted & bits.jwt) !== 0 && hasJwt(text)) found |= bits.jwt;
  if ((wanted & bits.cloud_key) !== 0 && hasCloudKey(text)) found |= bits.cloud_key;
  return found;
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39;
}
function isLetter(c: number): boolean {
  const lower = c | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}
function isWord(c: number): boolean {
  return isDigit(c) || isLetter(c) || c === 0x5f;
}

const localMarks = new Set(Array.from("._%+-'!#$&*/=?^`{|}~", (c) => c.charCodeAt(0)));
const maxLocal = 64;
const maxDomain = 253;

/** local@domain (RFC 5321, section 4.1.2, without quoted strings), the last label of two letters or more. */
function hasEmail(text: string): boolean {
  for (let sign = text.indexOf("@"); sign >= 0; sign = text.indexOf("@", sign + 1)) {
    let start = sign;
    // Letters of other scripts may stand in a name.
    while (start > 0 && sign - start < maxLocal && isLocal(text.charCodeAt(start - 1))) start--;
    let end = sign + 1;
    let labelAt = end;
    let labels = 0;
    while (end < text.length && end - sign <= maxDomain) {
      const c = text.charCodeAt(end);
      if (c === 0x2e) {
        if (end === labelAt) break;
        labels++;
        labelAt = end + 1;
      } else if (!isLetter(c) && !isDigit(c) && c !== 0x2d && c < 0x80) break;
      end++;
    }
    // A full stop that ends the sentence.
    const lastLabel = end === labelAt ? lastLabelBefore(text, labelAt - 1) : text.slice(labelAt, end);
    const dots = end === labelAt ? labels - 1 : labels;
    if (start < sign && dots >= 1 && lastLabel.length >= 2 && !/^\d/.test(lastLabel)) return true;
  }
  return false;
}

function lastLabelBefore(text: string, end: number): string {
  return text.slice(text.lastIndexOf(".", end - 1) + 1, end);
}

function isLocal(c: number): boolean {
  return isLetter(c) || isDigit(c) || localMarks.has(c) || c >= 0x80;
}

/** Most digits and separators of one number. */
const maxNumber = 40;

/** Numbers in groups: cards, social security numbers, phones and IPv4 addresses. */
function numbers(text: string): number {
  let found = 0;
  for (let i = 0; i < text.length; ) {
    const c = text.charCodeAt(i);
    const starts = isDigit(c) || ((c === 0x2b || c === 0x28) && i + 1 < text.length);
    if (!starts || (i > 0 && isBefore(text.charCodeAt(i - 1)))) {
      i++;
      continue;
    }
    let end = i + 1;
    let last = isDigit(c) ? end : i;
    while (end < text.length && end - i <= maxNumber) {
      const d = text.charCodeAt(end);
      if (isDigit(d)) last = end + 1;
      // One mark between groups, or a bracket and a space.
      else if (!isSeparator(d) || end - last >= 2) break;
      end++;
    }
    const whole = last > i && (last >= text.length || !isWord(text.charCodeAt(last)));
    if (whole) found |= tokenKinds(text.slice(i, last));
    i = Math.max(last, i + 1);
    // Behind a number that goes on, nothing begins.
    while (!whole && i < text.length && isWord(text.charCodeAt(i))) i++;
  }
  return found;
}

/** A number, or one that stands among others ("2 x 4111 1111 1111 1111"): each run of its groups is tried. */
function tokenKinds(token: string): number {
  const found = numberKinds(token);
  if (found !== 0 || token.length < 11) return found;
  let inside = 0;
  const starts = Array.from(token.matchAll(/(?<!\d)\d/g), (match) => match.index);
  const ends = Array.from(token.matchAll(/\d(?!\d)/g), (match) => match.index + 1);
  for (const start of starts)
    for (const end of ends) if (end - start >= 11) inside |= numberKinds(token.slice(start, end));
  return inside & (bits.card | bits.ssn);
}

function isBefore(c: number): boolean {
  return isWord(c) || c === 0x2b;
}
function isSeparator(c: number): boolean {
  return c === 0x20 || c === 0x2d || c === 0x2e || c === 0x28 || c === 0x29 || c === 0x2f;
}

const cardForm =
  /^[2-6]\d{3}([ -]?)\d{4}\1\d{4}\1\d{1,7}$|^3[47]\d\d([ -]?)\d{6}\2\d{5}$|^3[0689]\d\d([ -]?)\d{6}\3\d{4}$/;
const ssnForm = /^(\d{3})([- ])(\d\d)\2(\d{4})$/;
const ipv4Form = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
/** +49 151 23456789 · (212) 555-0123 · 212-555-0123 · 0151 2345678 */
const phoneForm =
  /^\+\d[\d ().-]*$|^\(\d{2,5}\)[ -]?\d[\d -]*$|^\d{3}[-. ]\d{3}[-. ]\d{4}$|^1[-. ]\d{3}[-. ]\d{3}[-. ]\d{4}$|^0\d{1,4}[ /-]\d[\d -]*$/;
const dateForm = /^\d{4}[-./]\d\d?[-./]\d\d?|^\d\d?[-./]\d\d?[-./]\d{4}/;

/** All forms here are short and have no nested repetition. */
function numberKinds(text: string): number {
  let found = 0;
  const digits = text.replace(/\D/g, "");
  if (ipv4Form.test(text))
    return text.split(".").every((part) => Number(part) < 256 && (part === "0" || part[0] !== "0"))
      ? bits.ipv4
      : 0;
  if (
    digits.length >= 13 &&
    digits.length <= 19 &&
    cardForm.test(text) &&
    luhn(digits) &&
    // Test data and padding: all digits equal.
    /[^0]/.test(digits.slice(1)) &&
    new Set(digits).size > 1
  )
    found |= bits.card;
  const ssn = ssnForm.exec(text);
  if (ssn !== null) {
    const [, area = "", , group, serial] = ssn;
    const issued = area !== "000" && area !== "666" && area[0] !== "9" && group !== "00" && serial !== "0000";
    return issued ? found | bits.ssn : found;
  }
  if (
    digits.length >= 7 &&
    digits.length <= 15 &&
    phoneForm.test(text) &&
    !dateForm.test(text) &&
    found === 0
  )
    found |= bits.phone;
  return found;
}

const ibanStart = /(?:^|[^A-Z0-9])([A-Z]{2}\d\d(?:[ ]?[A-Z0-9]){11,30})(?![A-Z0-9])/g;

/** With or without a space after every four. */
function hasIban(text: string): boolean {
  for (const match of text.matchAll(ibanStart)) {
    const joined = (match[1] ?? "").replaceAll(" ", "");
    if (iban(joined)) return true;
    // Words behind the number were taken for groups of it.
    for (let length = joined.length - 1; length >= 15; length--)
      if (iban(joined.slice(0, length))) return true;
  }
  return false;
}

const jwtForm = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g;

/** header.payload.signature (RFC 7519), the header a JSON object with "alg". */
function hasJwt(text: string): boolean {
  for (const match of text.matchAll(jwtForm)) {
    try {
      const header: unknown = JSON.parse(
        Buffer.from(match[0].split(".")[0] ?? "", "base64url").toString("utf8"),
      );
      if (typeof header === "object" && header !== null && ("alg" in header || "enc" in header)) return true;
    } catch {
      // No JSON: no token.
    }
  }
  return false;
}

/** Forms that the services document; fixed lengths or one bounded class behind a prefix. */
const cloudForms: readonly RegExp[] = [
  /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])/, // AWS
  /(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/, // Google
  /(?<![A-Za-z0-9_])gh[opsur]_[A-Za-z0-9]{36,255}/, // GitHub
  /(?<![A-Za-z0-9_])github_pat_[A-Za-z0-9_]{22,255}/,
  /(?<![A-Za-z0-9_])glpat-[A-Za-z0-9_-]{20,}/, // GitLab
  /(?<![A-Za-z0-9_])xox[abeoprs]-[A-Za-z0-9-]{10,250}/, // Slack
  /(?<![A-Za-z0-9_])(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,250}/, // Stripe
  /(?<![A-Za-z0-9_])sk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,250}/, // model providers
  /-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----/,
];

function hasCloudKey(text: string): boolean {
  return cloudForms.some((form) => form.test(text));
}
