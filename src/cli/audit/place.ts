/** Where the audit trail lies: `--dir`, or what postern.yaml says. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { findLogs, type LogPlace } from "../../audit/read/leaves.ts";
import { parseVerifierKey } from "../../audit/verify/index.ts";
import { UsageError } from "../lib/args.ts";

export const placeOptions = {
  config: { type: "string", short: "c" },
  dir: { type: "string" },
} as const;

export const placeUsage = `  -c, --config FILE  the gateway's configuration (default postern.yaml)
      --dir DIR      the audit folder itself, or one log in it
`;

export interface AuditPlace {
  readonly logs: readonly LogPlace[];
  /** Folder of the keys. */
  readonly keys: string;
}

/** Throws UsageError when there is no log, ConfigError when the configuration is wrong. */
export async function findPlace(
  values: { readonly config?: string | undefined; readonly dir?: string | undefined },
  usage: string,
): Promise<AuditPlace> {
  if (values.dir !== undefined && values.config !== undefined)
    throw new UsageError("--dir and --config exclude each other", usage);
  if (values.dir !== undefined) {
    const dir = resolve(values.dir);
    const logs = logsIn(dir, usage);
    // A log's own folder is <audit dir>/<node>/<worker>; the keys lie beside the audit folder unless postern.yaml says otherwise.
    const top = logs[0]?.name === "" ? dirname(dirname(dir)) : dir;
    return { logs, keys: join(dirname(top), "keys") };
  }
  const { loadConfig } = await import("../../config/index.ts");
  const { audit } = await loadConfig(values.config ?? "postern.yaml");
  return { logs: logsIn(audit.dir, usage), keys: audit.keys };
}

/** The logs in a folder. Throws UsageError when it has none. */
export function logsIn(dir: string, usage: string): LogPlace[] {
  if (!existsSync(dir) || !statSync(dir).isDirectory()) throw new UsageError(`${dir} is no folder`, usage);
  const logs = findLogs(dir);
  if (logs.length === 0) throw new UsageError(`${dir} holds no audit log`, usage);
  return logs;
}

/** A log's origin and verifier key, as its folder says; null when the file is missing or damaged. */
export function ownKey(log: LogPlace): { readonly origin: string; readonly vkey: string } | null {
  const path = join(log.dir, "log.vkey");
  if (!existsSync(path)) return null;
  const vkey = readFileSync(path, "utf8").trim();
  const key = parseVerifierKey(vkey);
  return key.ok ? { origin: key.value.name, vkey } : null;
}

/** A verifier key given as text or as a file. Throws UsageError when it is neither. */
export function givenKey(value: string, usage: string): string {
  const text = existsSync(value) ? readFileSync(value, "utf8").trim() : value.trim();
  const key = parseVerifierKey(text);
  if (!key.ok) throw new UsageError(`--key: ${key.problem} (a file with a verifier key, or its text)`, usage);
  return text;
}
