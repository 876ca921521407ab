/** What an audit log says of the statements that a run made: each has an intent and an outcome, and the outcome is known. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  at,
  findLogs,
  type Json,
  number,
  originOf,
  parseLeaf,
  readLeaves,
  text,
} from "../../../src/audit/read/leaves.ts";
import { Opener, type SealedFrame } from "../../../src/audit/read/unseal.ts";

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

/** One intent, with its exact text from the seal. */
export interface Intent {
  /** Process id of the server's session. */
  readonly backend: number;
  readonly request: string;
  readonly protocol: string;
  readonly sql: string;
  /** `sql` is without its literals: the statement held a password. */
  readonly stripped: boolean;
  readonly code: string | null;
}

/** All intents of the one log below `folder`, in their order, opened with the keys in `keys`. */
export function readIntents(folder: string, keys: string): Intent[] {
  const [log] = findLogs(folder);
  if (log === undefined) throw new Error(`${folder} holds no log`);
  const leaves: Json[] = [];
  const frames = new Map<number, SealedFrame>();
  let last: SealedFrame | null = null;
  readLeaves(log, {
    leaf(buffer, start, end) {
      const leaf = parseLeaf(buffer, start, end);
      if (leaf?.type === "statement.intent") leaves.push(leaf);
      return true;
    },
    frame(frame, key, piece) {
      last = frames.get(frame) ?? { key, pieces: [], tag: null };
      last.pieces.push(Buffer.from(piece, "base64"));
      frames.set(frame, last);
    },
    frameEnd(tag) {
      if (last !== null) last.tag = Buffer.from(tag, "base64");
    },
  });
  const opener = new Opener(log.dir, originOf(log) ?? "", keys);
  return leaves.map((leaf) => {
    const opened = opener.open(leaf, frames);
    const content = opened?.state === "open" ? opened.content : {};
    const bytes = text(content, "base64");
    return {
      backend: number(leaf, "database.backend") ?? 0,
      request: text(leaf, "request") ?? "",
      protocol: text(leaf, "statement.protocol") ?? "",
      sql: bytes === null ? (text(content, "sql") ?? "") : Buffer.from(bytes, "base64").toString("latin1"),
      stripped: at(content, "redacted") === true,
      code: text(leaf, "decision.code"),
    };
  });
}
