import { createHash } from "node:crypto";

/**
 * The answer to AuthenticationMD5Password (PostgreSQL manual, "Message Flow", Start-up):
 * "md5" and the hex of md5(hex of md5(password, user), salt).
 * @param salt the four bytes of the request.
 */
export function md5Password(user: string, password: string, salt: Buffer): string {
  const inner = createHash("md5").update(password, "utf8").update(user, "utf8").digest("hex");
  return `md5${createHash("md5").update(inner, "latin1").update(salt).digest("hex")}`;
}
