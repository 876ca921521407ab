/** The verifier as a program of its own: `postern audit verifier` prints it as one file, for another machine. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readKept } from "./kept.ts";
import { verifyProof } from "./prove.ts";
import type { VerifyOptions } from "./report.ts";
import { describeReport } from "./say.ts";
import { verifyLog } from "./verify.ts";

const usage = `Usage: node verify.mjs DIR [--key KEY] [--checkpoint FILE] [--anchors DIR] [--json]
       node verify.mjs --proof FILE [--key KEY] [--json]

Verifies the audit logs of Postern in DIR (an audit folder, or one log in it), or an inclusion proof. Needs nothing but
Node 24 and this file.

  --key KEY          the log's first verifier key, or a file with it (default: the one in the folder or the proof,
                     which proves nothing against who made them)
  --checkpoint FILE  a checkpoint kept elsewhere: the log must continue it
  --anchors DIR      a folder of kept checkpoints (*.checkpoint, *.jsonl): the log must continue each
  --json             the whole report

Exit code 0: all is well. 1: something is wrong. 2: wrong usage.
`;

const say = (text: string): void => void process.stdout.write(text);

/** Gives the exit code; never throws. */
export function main(args: readonly string[]): number {
  try {
    const word = { type: "string" } as const;
    const flag = { type: "boolean" } as const;
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        key: word,
        checkpoint: word,
        anchors: word,
        proof: word,
        json: flag,
        help: { ...flag, short: "h" },
      },
      allowPositionals: true,
    });
    if (values.help === true) {
      say(usage);
      return 0;
    }
    const vkey =
      values.key === undefined
        ? undefined
        : existsSync(values.key)
          ? readFileSync(values.key, "utf8").trim()
          : values.key;
    if (values.proof !== undefined) return proof(values.proof, vkey, values.json === true);
    const [dir] = positionals;
    if (dir === undefined || positionals.length > 1) throw new Error("one folder is needed");
    const logs = findLogs(dir);
    if (logs.length === 0) throw new Error(`${dir} holds no audit log`);
    const checkpoint = values.checkpoint === undefined ? undefined : readFileSync(values.checkpoint);
    const anchors = values.anchors === undefined ? [] : readKept(values.anchors);
    return folder(logs, vkey, checkpoint, anchors, values.json === true);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : "failed"}\n\n${usage}`);
    return 2;
  }
}

function folder(
  logs: readonly string[],
  vkey: string | undefined,
  checkpoint: Buffer | undefined,
  anchors: ReturnType<typeof readKept>,
  json: boolean,
): number {
  const single = logs.length === 1;
  const kept = checkpoint?.toString("utf8").split("\n", 1)[0];
  const reports = logs.map((dir) => {
    const path = join(dir, "log.vkey");
    const origin = existsSync(path) ? readFileSync(path, "utf8").split("+", 1)[0] : undefined;
    const options: VerifyOptions = {
      ...(vkey === undefined ? {} : { vkey }),
      ...(checkpoint !== undefined && (single || origin === kept) ? { checkpoint } : {}),
      ...(anchors.length > 0 ? { anchors: anchors.filter((a) => single || a.origin === origin) } : {}),
    };
    return { dir, report: verifyLog(dir, options) };
  });
  const unmatched = checkpoint !== undefined && reports.every(({ report }) => report.continues === null);
  const ok = !unmatched && reports.every(({ report }) => report.ok);
  if (json) say(`${JSON.stringify({ ok, logs: reports.map(({ dir, report }) => ({ dir, ...report })) })}\n`);
  else {
    for (const { dir, report } of reports) say(describeReport(dir, report));
    if (unmatched) say("BAD  no log here is the one that the checkpoint speaks of\n");
  }
  return ok ? 0 : 1;
}

function proof(path: string, vkey: string | undefined, json: boolean): number {
  const read = verifyProof(readFileSync(path, "utf8"), vkey);
  if (json) say(`${JSON.stringify(read.ok ? { ok: true, ...read.value } : read)}\n`);
  else if (read.ok) {
    const { log, index, size, time, record } = read.value;
    say(`OK   record ${index} of ${log}, under a checkpoint of ${size} records signed ${time}\n`);
    say(`     ${JSON.stringify(record)}\n`);
  } else say(`BAD  ${read.problem}\n`);
  return read.ok ? 0 : 1;
}

/** A folder with `segments` is a log; else logs lie two levels below. */
function findLogs(dir: string): string[] {
  if (existsSync(join(dir, "segments"))) return [dir];
  const below = (path: string): string[] =>
    readdirSync(path)
      .sort()
      .map((name) => join(path, name))
      .filter((p) => statSync(p).isDirectory());
  return below(dir).flatMap((node) => below(node).filter((log) => existsSync(join(log, "segments"))));
}
