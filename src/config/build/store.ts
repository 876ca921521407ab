/** `store:` → where nodes keep what they share. */
import { resolve } from "node:path";
import type { SecretSource } from "../../facts/secret.ts";
import { store as storeSchema } from "../schema/approvals.ts";
import { secretSource } from "../secrets.ts";
import { type Context, take } from "./context.ts";
import { checkSecret } from "./secret.ts";

export type StoreSettings =
  | {
      readonly kind: "sqlite";
      /** Absolute. */
      readonly path: string;
    }
  | { readonly kind: "postgres"; readonly url: SecretSource };

export function buildStore(context: Context): StoreSettings | null {
  const input = take(context, ["store"], storeSchema);
  if (input === null) return null;
  if (typeof input === "string") {
    if (input.startsWith("sqlite:"))
      return { kind: "sqlite", path: resolve(context.folder, input.slice("sqlite:".length)) };
    if (!URL.canParse(input)) context.problem(["store"], "is not a URL", "a postgres:// URL");
    // What it is called tells no password when settings are compared or printed.
    return { kind: "postgres", url: { label: "postern.yaml", read: async () => input } };
  }
  const url = secretSource(input, context.folder, context.env);
  checkSecret(context, ["store"], url, (text) => {
    if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text))
      context.problem(["store"], "is not a connection URL", "a secret that is a postgres:// URL");
  });
  return { kind: "postgres", url };
}
