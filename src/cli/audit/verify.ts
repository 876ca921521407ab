/** `postern audit verify [DIR]`: whether a log is what its signer wrote, and the first bad place if not. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { readMasterKey, tailKey } from "../../audit/keys.ts";
import type { LogPlace } from "../../audit/read/leaves.ts";
import {
  describeReport,
  type KeptCheckpoint,
  readKept,
  type VerifyOptions,
  type VerifyReport,
  verifyLog,
} from "../../audit/verify/index.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { findPlace, givenKey, logsIn, ownKey, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit verify [DIR | -c FILE] [--key KEY] [--checkpoint FILE] [--anchors DIR] [--keys DIR] [--json]

Checks every log in DIR (an audit folder, or one log in it): each leaf, root, signature and byte. Needs no secret.
Without DIR it is the folder that the gateway's configuration names.
Without a key and a checkpoint from elsewhere it cannot see a log that was cut at a checkpoint, or written anew with
the stolen signing key.

${placeUsage}      --key KEY          the log's verifier key, or a file with it (default: the log's own log.vkey)
      --checkpoint FILE  a checkpoint kept elsewhere: the log must continue it
      --anchors DIR      checkpoints kept elsewhere, as the file anchor keeps them (*.checkpoint, *.jsonl): the log must
                         continue each, or have recorded a fork
      --keys DIR         this machine's audit keys: checks also the last records, which no checkpoint covers yet
      --json             the whole report

Exit code 0: all is well. 1: something is wrong. 2: DIR holds no log.
`;

export async function verify(args: string[]): Promise<number> {
  const word = { type: "string" } as const;
  const options = {
    ...placeOptions,
    key: word,
    checkpoint: word,
    anchors: word,
    keys: word,
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options, { least: 0, most: 1 });
  if (parsed === null) return 0;
  const { key, keys } = parsed.values;
  const [dir] = parsed.positionals;
  if (dir !== undefined && (parsed.values.dir !== undefined || parsed.values.config !== undefined))
    throw new UsageError("DIR excludes --dir and --config", usage);
  const logs = dir === undefined ? (await findPlace(parsed.values, usage)).logs : logsIn(resolve(dir), usage);
  const vkey = key === undefined ? undefined : givenKey(key, usage);
  const checkpoint = parsed.values.checkpoint === undefined ? undefined : readNote(parsed.values.checkpoint);
  const kept = checkpoint?.toString("utf8").split("\n", 1)[0];
  const anchored = parsed.values.anchors === undefined ? [] : readNotes(parsed.values.anchors);
  const reports: { log: string; dir: string; report: VerifyReport }[] = [];
  for (const log of logs) {
    const origin = ownKey(log)?.origin;
    const report = await patiently(log, {
      ...(vkey === undefined ? {} : { vkey }),
      ...(checkpoint !== undefined && (logs.length === 1 || origin === kept) ? { checkpoint } : {}),
      ...(anchored.length > 0 ? { anchors: anchored.filter((a) => a.origin === origin) } : {}),
      ...(keys === undefined ? {} : { tailKey: tailKeyIn(keys, origin ?? "") }),
    });
    reports.push({ log: report.origin ?? log.name, dir: log.dir, report });
  }
  const lost = checkpoint !== undefined && reports.every(({ report }) => report.continues === null);
  // An anchor of a log that is not here is a log that is gone.
  const single = logs.length === 1 && logs[0]?.name === "";
  const gone = new Set(
    anchored.map((a) => a.origin).filter((o) => !single && !reports.some((r) => r.log === o)),
  );
  const ok = !lost && gone.size === 0 && reports.every(({ report }) => report.ok);
  if (parsed.values.json === true) {
    const list = reports.map(({ log, dir, report }) => ({ log, dir, ...report }));
    process.stdout.write(
      `${JSON.stringify({ ok, checkpoint_found: checkpoint === undefined ? null : !lost, missing_logs: [...gone], logs: list })}\n`,
    );
  } else {
    for (const { dir, report } of reports) process.stdout.write(describeReport(dir, report));
    for (const origin of gone)
      process.stdout.write(`BAD  no log here is ${origin}, of which an anchor has checkpoints\n`);
    if (lost) process.stdout.write(`BAD  no log here is ${kept}, which the checkpoint speaks of\n`);
  }
  return ok ? 0 : 1;
}

function tailKeyIn(keys: string, origin: string): Buffer {
  try {
    return tailKey(readMasterKey(keys), origin);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : `cannot read ${keys}`, usage);
  }
}

function readNote(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    throw new UsageError(`cannot read ${path}`, usage);
  }
}

function readNotes(dir: string): KeptCheckpoint[] {
  let notes: KeptCheckpoint[];
  try {
    notes = readKept(dir);
  } catch {
    throw new UsageError(`cannot read ${dir}`, usage);
  }
  if (notes.length === 0) throw new UsageError(`${dir} holds no checkpoints`, usage);
  return notes;
}

/** Verifies; a log that is being written may end in half a batch at the very moment: then once more. */
async function patiently(log: LogPlace, options: VerifyOptions): Promise<VerifyReport> {
  const terminal = process.stderr.isTTY === true;
  const progress = (leaves: number) => void process.stderr.write(`\r${leaves} records …`);
  for (let attempt = 1; ; attempt++) {
    const report = verifyLog(log.dir, terminal ? { ...options, progress } : options);
    if (terminal) process.stderr.write("\r\x1b[K");
    if (report.ok || report.firstBadPlace?.torn !== true || attempt === 3) return report;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
