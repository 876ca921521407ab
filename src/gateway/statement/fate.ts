/**
 * What becomes of statements that were done: their effects last only if their transaction commits. Those of the transaction
 * that is under way are remembered as a span of the log, so that its end can be put on the record where it undoes them.
 * Where nothing is undone this is a few assignments a statement.
 */
import type { TransactionCause } from "../../audit/index.ts";
import { Kind, type Part, queueHead } from "./queue.ts";
import type { Walk } from "./state.ts";

interface Mark {
  /** null: the text was not read. */
  readonly name: string | null;
  /** Leaf index of the SAVEPOINT's intent. */
  readonly intent: number;
  /** Statements that were done before it. */
  readonly count: number;
}

/** The transaction under way: what was done in it, and why it will be undone. */
export interface Fate {
  /** Leaf indexes of the first and last intent that was done; count 0: none was. */
  first: number;
  last: number;
  count: number;
  readonly marks: Mark[];
  /** The error that ends it; null: none yet. */
  doomed: { readonly cause: TransactionCause; readonly sqlstate: string; readonly request: string } | null;
  /** A statement may have committed by itself what came before it (CALL, VACUUM and their like outside of a block). */
  unsure: boolean;
  /** The request that began the transaction block under way, which names it on the record; null: none that was seen to begin. */
  block: string | null;
}

export function createFate(): Fate {
  return { first: -1, last: -1, count: 0, marks: [], doomed: null, unsure: false, block: null };
}

/** Tags of statements that end transactions or parts of them (PostgreSQL manual, "CommandComplete"). */
const control: ReadonlySet<string> = new Set([
  "BEGIN",
  "START TRANSACTION",
  "COMMIT",
  "ROLLBACK",
  "SAVEPOINT",
  "RELEASE",
  "PREPARE TRANSACTION",
]);

/** Commands that may end a transaction of their own accord, outside of a block. */
const committing =
  /^(?:CALL|DO|VACUUM|CLUSTER|REINDEX|(?:CREATE|ALTER|DROP) (?:DATABASE|TABLESPACE|INDEX|SUBSCRIPTION|SYSTEM)|ALTER SYSTEM)$/;

/** The server has done `part`. `tag`: its command tag; null: it is not at its end. */
export function noteDone(walk: Walk, part: Part, request: string, tag: string | null): void {
  const { fate } = walk;
  if (tag !== null) {
    // B, C, P, R, S: no tag of a statement with effects but SELECT, COPY, CREATE and CALL begins so.
    const letter = tag.charCodeAt(0);
    if (letter === 0x42 || letter === 0x43 || letter === 0x50 || letter === 0x52 || letter === 0x53) {
      if (control.has(tag)) {
        transaction(walk, part, request, tag);
        return;
      }
    }
    if (fate.count > 0 && walk.transaction === "I" && committing.test(tag)) fate.unsure = true;
  }
  if (part.harmless) return;
  if (fate.count === 0) fate.first = part.intent;
  fate.last = part.intent;
  fate.count++;
}

function transaction(walk: Walk, part: Part, request: string, tag: string): void {
  const { fate } = walk;
  const { marks } = fate;
  const facts = part.statement?.shape.facts ?? null;
  const action = facts?.transaction ?? null;
  switch (tag) {
    case "COMMIT":
    case "PREPARE TRANSACTION":
      clear(fate);
      // AND CHAIN begins the next one; without it ReadyForQuery forgets the name.
      fate.block = request;
      return;
    case "SAVEPOINT":
      marks.push({ name: facts?.savepoint ?? null, intent: part.intent, count: fate.count });
      return;
    case "RELEASE": {
      const at = find(fate, facts?.savepoint ?? null);
      if (at >= 0) marks.length = at;
      return;
    }
    case "ROLLBACK":
      if (action === "rollback-to") backTo(walk, facts?.savepoint ?? null, request);
      else if (action === null) {
        // The text was not read: how far it goes back is not known.
        tell(walk, fate.first, fate.count, "rollback", request, null, false);
      } else {
        const { doomed } = fate;
        const cause = doomed?.cause ?? (action === "rollback" ? "rollback" : "commit_failed");
        tell(walk, fate.first, fate.count, cause, doomed?.request ?? request, doomed?.sqlstate ?? null, true);
        clear(fate);
        fate.block = request;
      }
      return;
    default:
      // BEGIN: what was done before it in the same message belongs to the block; inside of a block it is a warning.
      fate.block ??= request;
      return;
  }
}

function find({ marks }: Fate, name: string | null): number {
  if (name === null) return -1;
  return marks.findLastIndex((mark) => mark.name === name || mark.name === null);
}

function backTo(walk: Walk, name: string | null, request: string): void {
  const { fate } = walk;
  const at = find(fate, name);
  const mark = fate.marks[at];
  const sqlstate = fate.doomed?.sqlstate ?? null;
  if (mark === undefined || mark.name === null) {
    tell(walk, fate.first, fate.count, "savepoint", request, sqlstate, false);
    return;
  }
  tell(walk, mark.intent + 1, fate.count - mark.count, "savepoint", request, sqlstate, true);
  fate.marks.length = at + 1;
  fate.last = mark.intent;
  fate.count = mark.count;
  fate.doomed = null;
}

/** The server has answered something with an error: what was done before it in its transaction is undone when that ends. */
export function noteFailed(walk: Walk, cause: TransactionCause, sqlstate: string, request: string): void {
  walk.fate.doomed ??= { cause, sqlstate, request };
}

/** What an error of `part` means for what came before it. */
export function causeOf(part: Part): TransactionCause {
  return part.statement?.shape.facts.transaction === "commit" ? "commit_failed" : "error";
}

/** ReadyForQuery: without a transaction everything before it is committed, or undone if there was an error. */
export function noteReady(walk: Walk): void {
  const { fate } = walk;
  if (walk.transaction === "E") return;
  if (walk.transaction === "T") {
    fate.doomed = null;
    return;
  }
  const { doomed } = fate;
  fate.block = null;
  if (doomed !== null)
    tell(walk, fate.first, fate.count, doomed.cause, doomed.request, doomed.sqlstate, true);
  clear(fate);
}

/** The session ends: an open transaction is rolled back by the server, unless what it was doing last could have committed it. */
export function noteEnd(walk: Walk): void {
  const { fate, queue } = walk;
  if (fate.count === 0) return;
  const head = queueHead(queue);
  const alone = head?.kind === Kind.query && head.run?.parts.length === 1 && head.run.at === 1;
  // The tag of a Query's only statement comes when it is committed (PostgreSQL manual, "Simple Query").
  if (!(alone && walk.transaction === "I")) {
    const certain = head === undefined && !walk.fatal;
    tell(walk, fate.first, fate.count, "session_ended", null, fate.doomed?.sqlstate ?? null, certain);
  }
  clear(fate);
}

function tell(
  walk: Walk,
  first: number,
  count: number,
  cause: TransactionCause,
  request: string | null,
  sqlstate: string | null,
  certain: boolean,
): void {
  if (count === 0) return;
  const { fate } = walk;
  const index = walk.audit.transactionEnded(walk.context, {
    undone: certain && !fate.unsure,
    first,
    last: fate.last,
    count,
    cause,
    request,
    sqlstate,
  });
  if (index < 0) walk.auditLost = true;
}

function clear(fate: Fate): void {
  fate.first = -1;
  fate.last = -1;
  fate.count = 0;
  if (fate.marks.length > 0) fate.marks.length = 0;
  fate.doomed = null;
  fate.unsure = false;
}
