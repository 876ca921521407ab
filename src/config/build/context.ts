/** What the builders share: the checked value, a place to put problems, checks that read files. */
import { resolve } from "node:path";
import type { z } from "zod";
import { valueAt } from "../explain.ts";
import { FileFault, readText } from "../files.ts";
import type { Path } from "../problem.ts";

export interface Context {
  /** Absolute folder of the configuration file. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly raw: unknown;
  problem(path: Path, what: string, expected: string, at?: "key" | "value"): void;
  warning(path: Path, what: string, expected: string): void;
  /** A check that reads files or runs programs; all run, a few at a time, before the settings are handed out. */
  later(check: () => Promise<void>): void;
}

/** The value at `path` as `schema` gives it; null when it is not valid there (the schema pass has said why). */
export function take<S extends z.ZodType>(context: Context, path: Path, schema: S): z.output<S> | null {
  const result = schema.safeParse(valueAt(context.raw, path));
  return result.success ? result.data : null;
}

/** The items of the list at `path`, each null when not valid; [] when it is no list. */
export function takeItems<S extends z.ZodType>(
  context: Context,
  path: Path,
  schema: S,
): (z.output<S> | null)[] {
  const list = valueAt(context.raw, path);
  return Array.isArray(list) ? list.map((_, index) => take(context, [...path, index], schema)) : [];
}

export function isGiven(context: Context, path: Path): boolean {
  return valueAt(context.raw, path) !== undefined;
}

/** Reads a file that the configuration names; "" (and a problem) when that fails. */
export async function readNamed(
  context: Context,
  path: Path,
  name: string,
  expected: string,
  maxBytes = 1024 * 1024,
): Promise<string> {
  try {
    return await readText(resolve(context.folder, name), maxBytes);
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    context.problem(path, `the file ${error.message}`, expected);
    return "";
  }
}
