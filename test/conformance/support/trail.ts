/** What an audit log says of the statements that a run made: each has an intent and an outcome, and the outcome is known. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

export interface Trail {
  readonly intents: number;
  /** Outcomes by their status. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** Leaf indexes of intents without an outcome, or with one that says unknown. */
  readonly unsettled: readonly number[];
  /** Why sessions ended, where the client was not the one who ended them. */
  readonly endings: ReadonlyMap<string, number>;
}

interface Leaf {
  readonly type: string;
  readonly status?: string;
  readonly intent?: { readonly index: number };
  readonly reason?: string;
}

/** Reads the segments of the one log below a folder (docs/audit-format.md, section 2). */
export function readTrail(folder: string): Trail {
  const outcomes = new Map<string, number>();
  const endings = new Map<string, number>();
  const open = new Set<number>();
  const unknown: number[] = [];
  let intents = 0;
  let index = 0;
  for (const file of segments(folder)) {
    for (const line of lines(readFileSync(file))) {
      if (line[0] !== 0x4c) continue;
      const leaf = JSON.parse(line.toString("utf8", 2)) as Leaf;
      if (leaf.type === "statement.intent") {
        intents++;
        open.add(index);
      } else if (leaf.type === "statement.outcome") {
        const status = leaf.status ?? "";
        outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
        if (leaf.intent !== undefined) open.delete(leaf.intent.index);
        if (status === "unknown" && leaf.intent !== undefined) unknown.push(leaf.intent.index);
      } else if (leaf.type === "session.end") {
        const reason = leaf.reason ?? "";
        endings.set(reason, (endings.get(reason) ?? 0) + 1);
      }
      index++;
    }
  }
  return { intents, outcomes, endings, unsettled: [...open, ...unknown] };
}

function segments(folder: string): string[] {
  const found: string[] = [];
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) found.push(...segments(path));
    else if (/^\d{20}\.log$/.test(name)) found.push(path);
  }
  return found;
}

function* lines(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(0x0a, start);
    const end = found < 0 ? bytes.length : found;
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}
