/** Whether what a seal held is what the record promised: a salted digest (docs/audit-format.md section 7). */
import { bad, fine, join, type Read, sameBytes, sha256, strictBase64, utf8 } from "./bytes.ts";

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
