/** Shows what the audit trail says of the story, and that it verifies. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { verifyLog } from "../audit/verify/index.ts";
import { readSegment, segmentFirst } from "../audit/verify/segment.ts";
import { cut } from "./story.ts";

export interface TrailPlace {
  /** Folder of one log: `<audit dir>/<node>/<worker>`. */
  readonly log: string;
  /** File with the key that verifies it, kept apart from the log. */
  readonly key: string;
}

/** The members of statement records that are shown. */
interface Leaf {
  readonly type: string;
  readonly time: string;
  readonly principal?: { readonly subject: string };
  readonly database?: { readonly login: string };
  readonly decision?: { readonly code: string | null };
  readonly statement?: { readonly sql: string | null; readonly protocol: string };
  readonly intent?: { readonly index: number };
  readonly status?: string;
  readonly sqlstate?: string | null;
  readonly tag?: string | null;
  readonly result?: { readonly rows: number; readonly bytes: number };
}

/** Prints the last `count` statements as the trail has them. Throws what the file system throws. */
export function printTrail(
  { log }: TrailPlace,
  count: number,
  width: number,
  out: (line: string) => void,
): void {
  const leaves = readLeaves(log);
  const outcomes = new Map<number, Leaf>();
  for (const leaf of leaves) if (leaf.intent !== undefined) outcomes.set(leaf.intent.index, leaf);
  const intents = leaves.flatMap((leaf, index) =>
    leaf.type === "statement.intent" ? [{ leaf, index }] : [],
  );
  for (const { leaf, index } of intents.slice(-count)) {
    const outcome = outcomes.get(index);
    const became = outcome === undefined ? "no outcome yet" : describe(outcome, leaf.decision?.code);
    const who = `${leaf.principal?.subject ?? "?"} as ${leaf.database?.login ?? "?"}`;
    const sql = leaf.statement?.sql ?? `(${leaf.statement?.protocol ?? "unreadable"} statement, text sealed)`;
    const head = `${String(index).padStart(5)}  ${leaf.time.slice(11, 23)}  ${who.padEnd(30)}  ${became.padEnd(24)}  `;
    out(head + cut(sql, Math.max(width - head.length, 40)));
  }
}

/** Verifies the log with the key kept apart from it and prints what was proven. Gives whether all is well. */
export function printVerification({ log, key }: TrailPlace, out: (line: string) => void): boolean {
  const report = verifyLog(log, { vkey: readFileSync(key, "utf8").trim() });
  if (!report.ok) {
    const { file, offset, problem } = report.firstBadPlace ?? {
      file: "",
      offset: 0,
      problem: "not verified",
    };
    out(`NOT verified: ${problem} (${file} at byte ${offset})`);
    return false;
  }
  out(
    `verified: ${report.size} records under ${report.checkpoints} signed checkpoints, root ${report.root ?? "?"}`,
  );
  return true;
}

function describe({ status, sqlstate, tag, result }: Leaf, code: string | null | undefined): string {
  if (status === "denied" && code === "APPROVAL_REQUIRED") return "not yet approved";
  if (status === "ok") return `ok ${tag ?? ""}, ${result?.bytes ?? 0} bytes`;
  return [status, sqlstate].filter((part) => part !== null).join(" ");
}

function readLeaves(log: string): Leaf[] {
  const leaves: Leaf[] = [];
  const folder = join(log, "segments");
  const names = readdirSync(folder).filter((name) => segmentFirst(name) !== null);
  for (const name of names.sort()) {
    const start = { offset: 0, chain: Buffer.alloc(32), tail: Buffer.alloc(0) };
    const visitor = {
      leaf(buffer: Buffer, from: number, to: number) {
        leaves.push(JSON.parse(buffer.toString("utf8", from, to)) as Leaf);
        return null;
      },
      frame: () => null,
      point: () => null,
    };
    readSegment(join(folder, name), start, visitor, { hashes: false });
  }
  return leaves;
}
