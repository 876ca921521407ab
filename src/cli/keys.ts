/** `postern keys show`: the public key with which anyone can verify the audit log. */
import { join } from "node:path";
import { FileFault, readText } from "../config/files.ts";
import { loadConfig } from "../config/index.ts";
import { configOption, readArgs, UsageError } from "./lib/args.ts";

const usage = `Usage: postern keys show [-c postern.yaml] [--json]

Prints the verifier key of this node's audit log (C2SP signed-note form). Give it to whoever verifies the log:
it is public. Keep a copy where the gateway cannot change it.
`;

/** Gives 0, or 1 when there is no key yet. Throws UsageError, ConfigError. */
export async function keys(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, { ...configOption, json: { type: "boolean" } }, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const [action] = parsed.positionals;
  if (action !== "show") throw new UsageError(`there is no action ${JSON.stringify(action)}`, usage);
  const settings = await loadConfig(parsed.values.config);
  const file = join(settings.audit.keys, "log.vkey");
  let key: string;
  try {
    key = (await readText(file, 4096)).trim();
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    process.stderr.write(
      `postern keys: ${file} ${error.message}; the gateway makes it when it first starts\n`,
    );
    return 1;
  }
  process.stdout.write(parsed.values.json === true ? `${JSON.stringify({ file, key })}\n` : `${key}\n`);
  return 0;
}
