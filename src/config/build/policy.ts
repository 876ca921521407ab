/** `policy:` → where the policy lies. Its content is policy/'s to read. */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { policy as policySchema } from "../schema/root.ts";
import { type Context, isGiven, take } from "./context.ts";

export interface PolicyPlace {
  /** Absolute path of a file or folder, or the name of a built-in policy. */
  readonly path: string;
}

/** Names that stand for a policy of Postern's own; a folder of that name is written ./agent-safe. */
const builtin: readonly string[] = ["agent-safe"];

/** null: no policy is configured (or its path is not valid: a problem says so). */
export function buildPolicy(context: Context): PolicyPlace | null {
  if (!isGiven(context, ["policy"])) return null;
  const path = take(context, ["policy"], policySchema);
  if (path === null) return null;
  if (builtin.includes(path)) return { path };
  const absolute = resolve(context.folder, path);
  context.later(async () => {
    const fault = await faultOf(absolute);
    if (fault !== null)
      context.problem(["policy"], fault, "a policy file, a folder with *.yaml, or agent-safe");
  });
  return { path: absolute };
}

async function faultOf(path: string): Promise<string | null> {
  try {
    const found = await stat(path);
    if (!found.isFile() && !found.isDirectory()) return "the path is neither a file nor a folder";
    await access(path, found.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EACCES" || code === "EPERM"
      ? "the path may not be read by this user"
      : "the path does not exist";
  }
}
