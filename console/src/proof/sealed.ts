/** Whether what a seal held is what the record promised: a salted digest (docs/audit-format.md section 7). */

import { bad, CannotCheck, fine, join, type Read, sameBytes, sha256, strictBase64, utf8 } from "./bytes.ts";
import { isObject } from "./file.ts";
import { firstDifference } from "./same.ts";

/** Checks `SHA-256(salt ‖ json)` against the digest in the leaf; both base64. Throws CannotCheck. */
export async function checkSealed(salt: string, json: string, digest: string): Promise<Read<true>> {
  const saltBytes = strictBase64(salt);
  const wanted = strictBase64(digest);
  const bytes = utf8(json);
  if (saltBytes?.length !== 18 || wanted?.length !== 32 || bytes === null) return bad("it is malformed");
  const found = await sha256(join(saltBytes, bytes));
  return sameBytes(found, wanted)
    ? fine(true)
    : bad("the text shown is not the one that the record was made for");
}

export interface Unsealed {
  readonly seal: { readonly salt: string; readonly json: string } | null;
  /** As shown. */
  readonly sql: string | null;
  readonly parameters: unknown;
}

/**
 * Whether what a page shows of a seal is what the record's digest says. `unknown`: nothing was unsealed, or the browser cannot
 * check. Never throws.
 */
export async function isSealed(
  { seal, sql, parameters }: Unsealed,
  digest: string | null,
): Promise<"same" | "other" | "unknown"> {
  if (seal === null || digest === null) return "unknown";
  try {
    if (!(await checkSealed(seal.salt, seal.json, digest)).ok) return "other";
    const held: unknown = JSON.parse(seal.json);
    if (!isObject(held)) return "other";
    const sameText = typeof held.sql !== "string" || held.sql === sql;
    const sameValues = parameters === null || (await firstDifference(parameters, held.parameters)) === null;
    return sameText && sameValues ? "same" : "other";
  } catch (error) {
    return error instanceof CannotCheck ? "unknown" : "other";
  }
}
