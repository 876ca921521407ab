import type { SecretSource } from "../../facts/secret.ts";
import type { Path } from "../problem.ts";
import { secretForms } from "../schema/scalars.ts";
import { SecretFault } from "../secrets.ts";
import type { Context } from "./context.ts";

/** Reads a secret once, before anything starts, and throws it away; `use` may look at it first. */
export function checkSecret(
  context: Context,
  path: Path,
  source: SecretSource,
  use?: (secret: string) => void,
): void {
  context.later(async () => {
    try {
      const secret = await source.read();
      use?.(secret);
    } catch (error) {
      if (!(error instanceof SecretFault)) throw error;
      context.problem(path, error.message, `a secret that can be read: ${secretForms}`);
    }
  });
}
