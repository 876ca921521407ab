/** `postern keys new|show|rotate`: the keys of the audit log. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AuditOpenError, makeAnchors, openAuditLog, startAnchoring } from "../audit/index.ts";
import { loadKeys, nextKeyPath, prepareNextKey, publicText, readKeyHistory } from "../audit/keys.ts";
import { logOrigin } from "../audit/open.ts";
import { loadConfig, type Settings } from "../config/index.ts";
import { configOption, readArgs, UsageError } from "./lib/args.ts";
import { packageVersion } from "./lib/version.ts";

const usage = `Usage: postern keys new|show|rotate [-c postern.yaml] [--json]

  new     make the keys of this node's audit log before it first starts, so that the public one can be handed out
  show    print the verifier key (C2SP signed-note form). Give it to whoever verifies the log: it is public.
          It stays the same when the signing key is rotated: each key certifies the next one in the log.
  rotate  sign with a new key from now on; the old one certifies it in the log and is then destroyed.
          A gateway that is running takes the new key over within seconds.

      --json  all public keys, and the file

Keep a copy of the verifier key where the gateway cannot change it, and a backup of the folder of the keys.
Exit code 0: done. 1: there is no key yet, there are keys already, or the log does not open.
`;

/** Throws UsageError, ConfigError. */
export async function keys(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, { ...configOption, json: { type: "boolean" } }, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const [action = ""] = parsed.positionals;
  const run = Object.hasOwn(actions, action) ? actions[action] : undefined;
  if (run === undefined) throw new UsageError(`there is no action ${JSON.stringify(action)}`, usage);
  const settings = await loadConfig(parsed.values.config);
  try {
    return await run(settings, parsed.values.json === true);
  } catch (error) {
    if (!(error instanceof AuditOpenError)) throw error;
    process.stderr.write(`postern keys: ${error.message}\n`);
    return 1;
  }
}

const actions: Readonly<Record<string, (settings: Settings, json: boolean) => Promise<number>>> = {
  new: makeKeys,
  show: showKeys,
  rotate: rotateKeys,
};

function tell(folder: string, json: boolean): void {
  const all = readKeyHistory(folder);
  const file = join(folder, "log.vkey");
  process.stdout.write(
    json ? `${JSON.stringify({ file, key: all[0], signing: all.at(-1), keys: all })}\n` : `${all[0] ?? ""}\n`,
  );
}

async function makeKeys({ audit }: Settings, json: boolean): Promise<number> {
  if (existsSync(join(audit.keys, "signing.key")) || existsSync(join(audit.keys, "log.vkey"))) {
    process.stderr.write(
      `postern keys: ${audit.keys} holds keys already; "postern keys rotate" changes them\n`,
    );
    return 1;
  }
  loadKeys(audit.keys, logOrigin(audit), true);
  tell(audit.keys, json);
  return 0;
}

async function showKeys({ audit }: Settings, json: boolean): Promise<number> {
  if (readKeyHistory(audit.keys).length === 0) {
    process.stderr.write(
      `postern keys: ${join(audit.keys, "log.vkey")} does not exist; the gateway makes it when it first starts, "postern keys new" makes it now\n`,
    );
    return 1;
  }
  tell(audit.keys, json);
  return 0;
}

/** How long a running gateway may take to notice. */
const noticeMs = 20_000;

async function rotateKeys({ audit, anchors: anchorSettings }: Settings, json: boolean): Promise<number> {
  if (!existsSync(join(audit.keys, "signing.key"))) {
    process.stderr.write(`postern keys: there is no key in ${audit.keys} yet\n`);
    return 1;
  }
  const next = publicText(logOrigin(audit), prepareNextKey(audit.keys));
  const anchors = makeAnchors(anchorSettings, () => {});
  try {
    // Opening the log takes over the key that waits.
    const log = await openAuditLog(audit, { version: packageVersion(), anchors });
    const anchoring = startAnchoring(log, anchors, () => {});
    await log.close();
    await anchoring.stop();
  } catch (error) {
    if (!(error instanceof AuditOpenError) || error.code !== "AUDIT_LOCKED") throw error;
    for (let waited = 0; waited < noticeMs && existsSync(nextKeyPath(audit.keys)); waited += 200)
      await sleep(200);
  } finally {
    await Promise.all(anchors.map((anchor) => anchor.close()));
  }
  if (readKeyHistory(audit.keys).at(-1) !== next) {
    process.stderr.write(
      "postern keys: the new key waits; the gateway that has the log open did not take it over yet\n",
    );
    return 1;
  }
  if (!json) process.stdout.write(`The log is signed with the new key ${next}\nIt is still verified with:\n`);
  tell(audit.keys, json);
  return 0;
}
