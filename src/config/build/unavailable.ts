/**
 * The schema is whole from the first version on; what this version cannot do is refused where ignoring it would leave the
 * owner less protected than the file says, and pointed out where it would merely have no effect.
 */
import { valueAt } from "../explain.ts";
import type { Path } from "../problem.ts";
import type { Context } from "./context.ts";

const what = "is not available in this version of Postern";

export function refuseUnavailable(context: Context): void {
  const refuse = (path: Path, expected: string) => context.problem(path, what, expected, "key");
  const value = (path: Path) => valueAt(context.raw, path);

  const store = value(["store"]);
  if (typeof store === "string" && /^postgres(ql)?:/.test(store)) refuse(["store"], "sqlite:PATH");
  for (const path of withoutEffect(context))
    context.warning(path, "has no effect in this version of Postern yet", "");
}

function withoutEffect(context: Context): Path[] {
  const paths: Path[] = [["store"], ["admin"], ["audit", "analysis"], ["limits", "hold_seconds"]];
  const providers = valueAt(context.raw, ["identity", "providers"]);
  if (Array.isArray(providers))
    for (const index of providers.keys()) paths.push(["identity", "providers", index, "client"]);
  return paths.filter((path) => valueAt(context.raw, path) !== undefined);
}
