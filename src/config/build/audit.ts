/** `audit:` → where and how the trail is kept. */
import { hostname } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import type { AuditSettings } from "../../audit/settings.ts";
import { audit as auditSchema } from "../schema/root.ts";
import { type Context, take } from "./context.ts";

export function buildAudit(context: Context): AuditSettings | null {
  const input = take(context, ["audit"], auditSchema);
  if (input === null) return null;
  const dir = resolve(context.folder, input.dir);
  const keys = input.keys === undefined ? join(dirname(dir), "keys") : resolve(context.folder, input.keys);
  // Who copies the trail for an auditor must not hand out its keys with it.
  if (isWithin(keys, dir))
    context.problem(
      ["audit", "keys"],
      "lies inside audit.dir",
      "a folder outside of it, readable by Postern only",
    );
  return {
    dir,
    keys,
    cluster: input.cluster,
    node: input.node ?? nodeName(hostname()),
    durability: input.durability,
    parameters: input.parameters,
    results: { digest: input.results.digest, captureRows: input.results.capture_rows },
  };
}

/** A host's name as part of a log's name: a-z, 0-9 and -, at most 63. */
export function nodeName(host: string): string {
  const name = host
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "");
  return name === "" ? "node" : name;
}

function isWithin(path: string, folder: string): boolean {
  const rest = relative(folder, path);
  return rest === "" || (rest !== ".." && !rest.startsWith(`..${sep}`) && !rest.startsWith(sep));
}
