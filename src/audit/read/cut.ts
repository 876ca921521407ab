/**
 * Sessions that have no end on the record, because the gateway was killed: what their open transactions had done was rolled
 * back by the server when its connection broke, and nobody was left to write that down. It follows from what is there.
 */
import { type Json, type LogPlace, text } from "./leaves.ts";
import { type Hit, searchLog } from "./search.ts";

/** Where a log was opened again behind a session that has no end. */
export interface CutSession {
  /** Leaf index of the `log.opened` that followed. */
  readonly by: number;
  /** Intents that were done and not committed, as far as the record goes; `certain`: nothing that might have committed them was under way. */
  readonly open: ReadonlySet<number>;
  readonly certain: boolean;
  /** Intents that were done, outside of a block, in a batch of which the end is not on the record. */
  readonly doubtful: ReadonlySet<number>;
}

const most = 20_000;

/** null: the session ended in order, or is still open. */
export function readCut(
  log: LogPlace,
  session: string,
  opened: readonly number[],
  scan: boolean,
): CutSession | null {
  if (searchLog(log, { session, type: "session.end" }, 1, { scan }).hits.length > 0) return null;
  const { hits } = searchLog(log, { session }, most, { scan });
  const last = hits.at(-1);
  if (last === undefined) return null;
  const by = opened.find((index) => index > last.index);
  if (by === undefined) return null;
  return { by, ...leftOpen(hits.filter(({ leaf }) => leaf.type === "statement.intent")) };
}

/** Leaf indexes at which the log was opened, ascending. */
export function readOpened(log: LogPlace, scan: boolean): number[] {
  return searchLog(log, { type: "log.opened" }, most, { scan }).hits.map(({ index }) => index);
}

function leftOpen(intents: readonly Hit[]): Pick<CutSession, "open" | "certain" | "doubtful"> {
  const open = new Set<number>();
  const doubtful = new Set<number>();
  const newest = text(intents.at(-1)?.leaf, "time") ?? "";
  const parts = Map.groupBy(intents, ({ leaf }) => text(leaf, "request"));
  let block = false;
  let certain = true;
  for (const { leaf, outcome, index } of intents) {
    const status = outcome === null ? "unknown" : text(outcome, "status");
    // Nothing before it is known to have stayed open: it may have been the COMMIT.
    if (status === "unknown") certain = false;
    if (status !== "ok" || outcome === null) continue;
    const tag = text(outcome, "tag");
    if (tag === "BEGIN" || tag === "START TRANSACTION") block = true;
    else if (ends(leaf, tag)) {
      open.clear();
      block = false;
      certain = true;
    } else if (tag === "ROLLBACK" || tag === "SAVEPOINT" || tag === "RELEASE") continue;
    else if (block || text(leaf, "statement.transaction.state") === "T") open.add(index);
    else {
      const single = parts.get(text(leaf, "request"))?.length === 1;
      const alone = text(leaf, "statement.protocol") === "simple" && single;
      // The tag of a Query's only statement comes behind its commit; with a batch that is told by ReadyForQuery alone.
      if (!alone && (text(outcome, "time") ?? "") > newest) doubtful.add(index);
    }
  }
  return { open, certain, doubtful };
}

function ends(intent: Json, tag: string | null): boolean {
  if (tag === "COMMIT" || tag === "PREPARE TRANSACTION") return true;
  // ROLLBACK TO has the same tag, and undoes a part only; its own record says which.
  return (
    tag === "ROLLBACK" && !/^\s*(?:rollback|abort)\b.*\bto\b/is.test(text(intent, "statement.sql") ?? "")
  );
}
