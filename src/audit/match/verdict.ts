/** What a comparison starts from, and what comes of it. */
import { createHash } from "node:crypto";
import type { CopyColumn } from "./files.ts";

/** What the record has of a delivered result. */
export interface DeliveredResult {
  /** It is what COPY TO STDOUT gave, which has no columns. */
  readonly copy: boolean;
  /** null: the record does not name them: of a COPY, or of rows that the client did not have described. */
  readonly columns: readonly CopyColumn[] | null;
  /** Formats of the values as in Bind: none: all text; one: that of all; else of each column. null: not on the record. */
  readonly formats: readonly number[] | null;
  readonly rows: number;
  readonly bytes: number;
  /** false: the client did not get all of it; what it got is what counts. */
  readonly complete: boolean;
  /** The client asked for some rows of a portal: the rest came, or could have come, with later messages. */
  readonly suspended: boolean;
  /** Base64 SHA-256 over messages and salt; null: no digest was recorded. */
  readonly digest: string | null;
  /** 18 bytes; null: sealed and not opened. */
  readonly salt: Buffer | null;
  /** All delivered rows, captured: DataRow messages; null: not captured, or not whole. */
  readonly captured: Buffer | null;
  /** The client may have asked for values in binary form; only looked at where `formats` is null. */
  readonly mayBeBinary: boolean;
}

export interface Match {
  readonly verdict: "match" | "mismatch" | "cannot tell";
  readonly why: string;
}

export const no = (why: string): Match => ({ verdict: "mismatch", why });
export const unknown = (why: string): Match => ({ verdict: "cannot tell", why });
export const yes = (why: string): Match => ({ verdict: "match", why });

/** Base64, as the record has it. */
export function digestOf(parts: readonly Buffer[], salt: Buffer): string {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part);
  return sum.update(salt).digest("base64");
}

/** Why no digest can be compared. */
export function noSalt(result: DeliveredResult): string {
  return result.digest === null
    ? "no digest of this result was recorded"
    : "the salt of the digest is sealed, and its key is not here or was destroyed";
}

/** null: the record does not name them. */
export function namesOf({ columns }: DeliveredResult): readonly string[] | null {
  return columns?.map(({ name }) => name) ?? null;
}

export function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}
