/** `store_keys:` → the keys under which Postern seals what it must store. */
import type { SecretSource } from "../../facts/secret.ts";
import { storeKeys as schema } from "../schema/vault.ts";
import { secretSource } from "../secrets.ts";
import { type Context, isGiven, take } from "./context.ts";
import { checkSecret } from "./secret.ts";

export function buildStoreKeys(context: Context): readonly SecretSource[] | null {
  const input = isGiven(context, ["store_keys"]) ? take(context, ["store_keys"], schema) : null;
  if (input === null) return null;
  return input.map((given, index) => {
    const source = secretSource(given, context.folder, context.env);
    const path = ["store_keys", index];
    checkSecret(context, path, source, (text) => {
      // The form only: src/store reads it.
      if (!/^([0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$/.test(text.trim()))
        context.problem(
          path,
          "holds no key",
          "32 bytes in base64 or hex, such as `openssl rand -base64 32` prints",
        );
    });
    return source;
  });
}
