/** `postern version`. */
import { readArgs } from "./lib/args.ts";
import { packageVersion } from "./lib/version.ts";

const usage = `Usage: postern version [--json]
`;

export async function version(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, { json: { type: "boolean" } });
  if (parsed === null) return 0;
  const postern = packageVersion();
  const text =
    parsed.values.json === true
      ? JSON.stringify({ postern, node: process.versions.node })
      : `postern ${postern}`;
  process.stdout.write(`${text}\n`);
  return 0;
}
