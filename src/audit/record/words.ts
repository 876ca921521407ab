/** The fixed parts of statement records as ready bytes, and short variable parts. */
import { putNumber, putUtf8 } from "./bytes.ts";

function ascii(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** How every leaf line begins, up to the id; and what stands between id and time. */
export const head = ascii('L {"v":1,"id":"');
export const intentType = ascii('","type":"statement.intent","time":"');
export const outcomeType = ascii('","type":"statement.outcome","time":"');
/** Room for the fixed words of a record and its sealed place, generously. */
export const wordsRoom = 1024;

/** What stands between the variable parts of a record. */
export const words = {
  transaction: ascii('","id":'),
  name: ascii('},"name":'),
  portal: ascii(',"portal":'),
  parameters: ascii('},"parameters":'),
  tag: ascii(',"tag":'),
  result: ascii(',"result":{"columns":'),
  rows: ascii(',"rows":'),
  bytes: ascii(',"bytes":'),
  complete: ascii(',"complete":true,"digests":{"delivered":'),
  incomplete: ascii(',"complete":false,"digests":{"delivered":'),
  digest: ascii('{"alg":"sha256-salted-v1","value":"'),
  affected: ascii(',"source":null},"capture":null},"rows_affected":'),
  duration: ascii(',"duration_us":'),
  firstRow: ascii(',"first_row_us":'),
  sealed: ascii(',"sealed":'),
  sealedDigest: ascii(',"digest":"'),
} as const;

export const protocolText = {
  simple: ascii(',"statement":{"protocol":"simple","index":'),
  extended: ascii(',"statement":{"protocol":"extended","index":'),
  "sql-execute": ascii(',"statement":{"protocol":"sql-execute","index":'),
  copy: ascii(',"statement":{"protocol":"copy","index":'),
  cursor: ascii(',"statement":{"protocol":"cursor","index":'),
  function: ascii(',"statement":{"protocol":"function","index":'),
} as const;

export const statusText = {
  ok: ascii('},"status":"ok","sqlstate":'),
  error: ascii('},"status":"error","sqlstate":'),
  denied: ascii('},"status":"denied","sqlstate":'),
  cancelled: ascii('},"status":"cancelled","sqlstate":'),
  cut: ascii('},"status":"cut","sqlstate":'),
  unknown: ascii('},"status":"unknown","sqlstate":'),
} as const;

/** An SQLSTATE as JSON; what is none comes from a server that does not keep to the protocol. */
export function stateText(sqlstate: string): string {
  return /^[0-9A-Z]{5}$/.test(sqlstate) ? `"${sqlstate}"` : '"XX000"';
}

/** Short ASCII text character by character, other text by a call that costs more than a dozen of them. */
export function putText(buf: Buffer, text: string, at: number): number {
  const { length } = text;
  if (length > 24) return putUtf8(buf, text, at);
  for (let i = 0; i < length; i++) {
    const c = text.charCodeAt(i);
    if (c > 0x7f) return putUtf8(buf, text, at);
    buf[at + i] = c;
  }
  return length;
}

export function putNullable(buf: Buffer, value: number | null, at: number): number {
  return value === null ? putText(buf, "null", at) : putNumber(buf, value, at);
}
