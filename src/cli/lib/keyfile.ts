/** Keys that Postern makes for itself, beside the audit log's. */
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const keyBytes = 32;

/** The key in `dir`/`name`, made the first time (mode 0600). Throws the file system's errors, and an Error for a file that holds no key. */
export function keyFile(dir: string, name: string): KeyObject {
  const file = join(dir, name);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(file, `${randomBytes(keyBytes).toString("base64")}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const key = Buffer.from(readFileSync(file, "utf8").trim(), "base64");
  if (key.length !== keyBytes) throw new Error(`${file}: not a key of ${keyBytes} bytes`);
  return createSecretKey(key);
}
