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
  const items = (path: Path): readonly unknown[] => {
    const list = value(path);
    return Array.isArray(list) ? list : [];
  };

  for (const [i, database] of items(["databases"]).entries()) {
    const logins = valueAt(database, ["logins"]);
    for (const [j, login] of (Array.isArray(logins) ? logins : []).entries())
      for (const form of ["vault", "aws_rds_iam"])
        if (valueAt(login, ["password", form]) !== undefined)
          refuse(["databases", i, "logins", j, "password", form], "env, file or command");
  }
  for (const path of withoutEffect(context))
    context.warning(path, "has no effect in this version of Postern yet", "");
}

function withoutEffect(context: Context): Path[] {
  const paths: Path[] = [["limits", "hold_seconds"]];
  return paths.filter((path) => valueAt(context.raw, path) !== undefined);
}
