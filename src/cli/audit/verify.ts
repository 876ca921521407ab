/** `postern audit verify [DIR]`: whether a log is what its signer wrote, and the first bad place if not. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { noteOfLine } from "../../audit/anchors/file.ts";
import { readMasterKey, tailKey } from "../../audit/keys.ts";
import type { LogPlace } from "../../audit/read/leaves.ts";
import { printable } from "../../audit/read/sentence.ts";
import { type VerifyOptions, type VerifyReport, verifyLog } from "../../audit/verify/index.ts";
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
    for (const { dir, report } of reports) process.stdout.write(describe(dir, report));
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

interface KeptCheckpoint {
  readonly name: string;
  readonly origin: string;
  readonly note: Buffer;
}

/** The checkpoints in a folder that a file anchor has filled; each text once. */
function readNotes(dir: string): KeptCheckpoint[] {
  const notes = new Map<string, KeptCheckpoint>();
  try {
    for (const name of readdirSync(dir).sort()) {
      const path = join(dir, name);
      if (!statSync(path).isFile()) continue;
      const found = name.endsWith(".checkpoint")
        ? [readFileSync(path)]
        : name.endsWith(".jsonl")
          ? readFileSync(path, "utf8").split("\n").map(noteOfLine)
          : [];
      for (const note of found) {
        if (note === null) continue;
        const text = note.toString("utf8");
        notes.set(text, { name, origin: text.slice(0, text.indexOf("\n")), note });
      }
    }
  } catch {
    throw new UsageError(`cannot read ${dir}`, usage);
  }
  if (notes.size === 0) throw new UsageError(`${dir} holds no checkpoints`, usage);
  return [...notes.values()];
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

function describe(dir: string, r: VerifyReport): string {
  const lines: string[] = [];
  const what = `${r.size} records under ${r.checkpoints} checkpoints, ${r.sealedFrames} sealed frames, ${r.segments} segments`;
  lines.push(`${r.ok ? "OK  " : "BAD "} ${r.origin ?? dir}: ${what}`);
  if (r.firstBadPlace !== null) {
    const { file, offset, leaf, problem, torn } = r.firstBadPlace;
    const where = file === "" ? "" : `${file}, byte ${offset}${leaf === null ? "" : `, record ${leaf}`}: `;
    lines.push(`     first bad place: ${where}${problem}`);
    if (torn)
      lines.push("     A crash can leave this behind; opening the log repairs it and says so in the log.");
  }
  if (r.root !== null) lines.push(`     root ${r.root}, signed ${r.time ?? "?"}`);
  if (r.continues === true) lines.push("     continues the checkpoint given");
  if (r.anchors !== null) {
    const { checked, newest, givenUp } = r.anchors;
    const latest = newest === null ? "" : `, the newest of ${newest.size} records, signed ${newest.time}`;
    lines.push(`     continues ${checked} checkpoints of its anchors${latest}`);
    if (newest !== null && r.leaves > newest.size)
      lines.push(`     ${r.leaves - newest.size} records came after it and are not anchored`);
    if (givenUp > 0) lines.push(`     ${givenUp} checkpoints of its anchors were given up by a fork`);
  }
  for (const { index, time, reason, size, largest } of r.forks)
    lines.push(
      `     FORK at record ${index}, ${time}: the log went on from ${size} records, ${Math.max(0, largest - size)} of its ${largest} were given up. Reason: ${printable(reason)}`,
    );
  if (r.pruned !== null) lines.push(`     its first ${r.pruned} records were pruned, which is on the record`);
  if (r.keys.length > 1)
    lines.push(
      `     signed with ${r.keys.length} keys one after the other, each certified by the one before`,
    );
  if (r.unsignedTail !== null)
    lines.push(
      `     ${r.unsignedTail.leaves} records (${r.unsignedTail.bytes} bytes) behind the last checkpoint are not signed yet`,
    );
  if (r.key !== null)
    lines.push(
      `     key ${r.key}${r.keyFrom === "folder" ? " (from the log's own folder: compare it)" : ""}`,
    );
  return `${lines.join("\n")}\n`;
}
