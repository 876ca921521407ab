/** Which statements were undone by their transaction: an outcome `ok` alone does not say that it lasted. */
import { type CutSession, readCut, readOpened } from "./cut.ts";
import { at, type Json, type LogPlace, number, text } from "./leaves.ts";
import { type Hit, searchLog } from "./search.ts";

/** How a statement that was done ended with its transaction. */
export interface Undone {
  /** "unknown": nobody could see it. */
  readonly fate: "rolled_back" | "unknown";
  readonly cause: string;
  readonly sqlstate: string | null;
  /** Leaf index of the record that says so. */
  readonly by: number;
}

/** A found statement with what became of it. */
export interface ToldHit extends Hit {
  readonly undone: Undone | null;
}

interface Span extends Undone {
  readonly first: number;
  readonly last: number;
}

/** Sessions that one answer looks through. */
const mostCut = 200;

/** More such records than this are not taken from one session. */
const most = 10_000;

/** The spans that transaction records name, by session. */
export class UndoneSpans {
  private readonly spans = new Map<string, Span[]>();

  /** Takes a record of any type; those of transactions are kept. */
  add(record: Json, index: number): void {
    const type = text(record, "type");
    if (type !== "transaction.rolled_back" && type !== "transaction.unknown") return;
    const first = number(record, "intents.first");
    const last = number(record, "intents.last");
    const session = text(record, "session");
    if (first === null || last === null || session === null) return;
    const span: Span = {
      fate: type === "transaction.unknown" ? "unknown" : "rolled_back",
      cause: text(record, "cause") ?? "?",
      sqlstate: text(record, "sqlstate"),
      by: index,
      first,
      last,
    };
    const known = this.spans.get(session);
    if (known === undefined) this.spans.set(session, [span]);
    else known.push(span);
  }

  /** What became of a statement of this outcome; null: it was not undone, as far as the record goes. */
  of(intent: Json, index: number, outcome: Json | null): Undone | null {
    if (outcome === null || text(outcome, "status") !== "ok") return null;
    const spans = this.spans.get(text(intent, "session") ?? "");
    // Certainty counts before doubt.
    const over = spans?.filter(({ first, last }) => first <= index && index <= last) ?? [];
    const found = over.find(({ fate }) => fate === "rolled_back") ?? over[0];
    if (found === undefined) return null;
    const { fate, cause, sqlstate, by } = found;
    return { fate, cause, sqlstate, by };
  }
}

/** What undid the statements among `hits`, all of one log: by the leaf index of their intents. */
export function readUndone(
  log: LogPlace,
  hits: readonly Pick<Hit, "index" | "leaf" | "outcome">[],
  scan = false,
): Map<number, Undone> {
  const done = hits.filter(({ outcome }) => outcome !== null && at(outcome, "status") === "ok");
  const sessions = new Set(done.map(({ leaf }) => text(leaf, "session") ?? ""));
  const spans = new UndoneSpans();
  const found = new Map<number, Undone>();
  for (const type of sessions.size === 0 ? [] : ["transaction.rolled_back", "transaction.unknown"]) {
    // Few sessions are looked up one by one, many all at once.
    const wanted = sessions.size <= 16 && !scan ? [...sessions] : [undefined];
    for (const session of wanted) {
      const filters = session === undefined ? { type } : { type, session };
      for (const hit of searchLog(log, filters, most, { scan }).hits) spans.add(hit.leaf, hit.index);
    }
  }
  const cut = new CutSessions(log, scan);
  for (const { leaf, index, outcome } of done) {
    const undone = spans.of(leaf, index, outcome) ?? cut.of(leaf, index);
    if (undone !== null) found.set(index, undone);
  }
  return found;
}

/** Sessions are looked up as they are met, not more than a few: a search shows many, and few were cut off. */
class CutSessions {
  private readonly log: LogPlace;
  private readonly scan: boolean;
  private opened: number[] | null = null;
  private readonly known = new Map<string, CutSession | null>();

  constructor(log: LogPlace, scan: boolean) {
    this.log = log;
    this.scan = scan;
  }

  of(intent: Json, index: number): Undone | null {
    const session = text(intent, "session") ?? "";
    this.opened ??= readOpened(this.log, this.scan);
    // The log was not opened again since: whatever has no end is still going on.
    if (!this.opened.some((one) => one > index)) return null;
    let cut = this.known.get(session);
    if (cut === undefined) {
      if (this.known.size >= mostCut) return null;
      cut = readCut(this.log, session, this.opened, this.scan);
      this.known.set(session, cut);
    }
    if (cut === null || !(cut.open.has(index) || cut.doubtful.has(index))) return null;
    const certain = cut.certain && cut.open.has(index);
    return { fate: certain ? "rolled_back" : "unknown", cause: "gateway_killed", sqlstate: null, by: cut.by };
  }
}
