/**
 * The schema is whole from the first version on; what this version cannot do is refused where ignoring it would leave the
 * owner less protected than the file says, and pointed out where it would merely have no effect.
 */
import { valueAt } from "../explain.ts";
import type { Path } from "../problem.ts";
import type { Context } from "./context.ts";

export function refuseUnavailable(context: Context): void {
  for (const path of withoutEffect(context))
    context.warning(path, "has no effect in this version of Postern yet", "");
}

function withoutEffect(context: Context): Path[] {
  const paths: Path[] = [["limits", "hold_seconds"]];
  return paths.filter((path) => valueAt(context.raw, path) !== undefined);
}
