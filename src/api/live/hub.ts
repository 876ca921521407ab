/** The live stream: follows the audit log once and tells every reader what it may see. */
import type { z } from "zod";
import type { AuditLog, CommittedRecords } from "../../audit/index.ts";
import { leavesIn } from "../../audit/index.ts";
import type { RangeEntry } from "../../audit/read/range.ts";
import type { Principal } from "../../facts/principal.ts";
import type { SessionDescription } from "../../gateway/index.ts";
import type { Caller } from "../env.ts";
import { ApiError } from "../failure.ts";
import { isObject } from "../json.ts";
import type { gapEvent, logEvent } from "../schema/events.ts";
import { LeafTeller, type LiveEvent } from "./events.ts";
import { createReader, type StreamReader } from "./reader.ts";

/** Records a second that are read for live views; of a busier log only some are shown, so that statements go first. */
const mostPerSecond = 2_000;
const beatMs = 15_000;
const checkpointMs = 1_000;
const maxReaders = 200;
const maxReadersEach = 10;

export interface HubDeps {
  readonly node: string;
  readonly audit: AuditLog;
  /** Leaves of this log from an index on, for whoever comes back; on the record as asked by the caller. null: the trail is not read. */
  readonly range: ((caller: Caller, from: number, count: number) => Promise<readonly RangeEntry[]>) | null;
  sessionOf(id: string): SessionDescription | null;
}

export interface Hub {
  /**
   * A stream for a caller. Throws ApiError TOO_MANY_REQUESTS. `still`: asked now and then whether the caller still may read. `from`: what the
   * log has from this index on, or so many of its last events, comes first.
   */
  open(caller: Caller, still: () => Promise<boolean>, from?: ReplayFrom): StreamReader;
  /** Tells of something that is not on the log: to each reader what `dataFor` gives for it, one line of JSON; null: nothing. */
  tell(type: string, dataFor: (caller: Caller) => string | null): void;
  /** Asks of every reader whether it still may read, as happens now and then. */
  judge(): void;
  readonly readers: number;
  close(): void;
}

export type ReplayFrom =
  | { readonly kind: "now" }
  | { readonly kind: "after"; readonly index: number }
  | { readonly kind: "recent"; readonly count: number };

/** Records that are read again for a reader who comes back; for more there is the search. */
const mostReplayed = 2_000;
/** Records among which the last events are looked for. */
const recentWindow = 1_000;

interface Seat {
  /** While the past is being read: what happens meanwhile, to be told behind it. */
  later: LiveEvent[] | null;
  readonly caller: Caller;
  readonly reader: StreamReader;
  readonly still: () => Promise<boolean>;
}

export function createHub({ node, audit, range, sessionOf }: HubDeps): Hub {
  const seats = new Set<Seat>();
  const teller = new LeafTeller(node, sessionOf);
  let unsubscribe: (() => void) | null = null;
  let beat: NodeJS.Timeout | null = null;
  let second = 0;
  let taken = 0;
  let told = 0;

  function follow(): void {
    unsubscribe ??= audit.subscribe(committed);
    beat ??= setInterval(tick, beatMs).unref();
  }

  function rest(): void {
    if (seats.size > 0) return;
    unsubscribe?.();
    unsubscribe = null;
    if (beat !== null) clearInterval(beat);
    beat = null;
  }

  function tick(): void {
    for (const seat of seats) {
      if (seat.caller.expires * 1000 <= Date.now()) seat.reader.end();
      else
        seat.still().then(
          (may) => (may ? seat.reader.beat() : seat.reader.end()),
          () => seat.reader.end(),
        );
    }
  }

  function committed({ batches, missed, checkpoint }: CommittedRecords): void {
    if (missed) gap("busy", null);
    let skipped = 0;
    for (const { bytes, first, count } of batches) {
      if (!admit(count)) {
        skipped += count;
        continue;
      }
      let index = first;
      for (const line of leavesIn(bytes)) {
        const event = read(index++, line);
        if (event !== null) hand(event);
      }
    }
    if (skipped > 0) gap("busy", skipped);
    tellCheckpoint(checkpoint);
  }

  function read(index: number, line: Buffer): LiveEvent | null {
    try {
      const leaf: unknown = JSON.parse(line.toString("utf8"));
      return isObject(leaf) ? teller.tell(index, leaf) : null;
    } catch {
      return null;
    }
  }

  function admit(count: number): boolean {
    const now = Math.floor(Date.now() / 1000);
    if (now !== second) {
      second = now;
      taken = 0;
    }
    if (taken > 0 && taken + count > mostPerSecond) return false;
    taken += count;
    return true;
  }

  function hand({ id, type, data, owner }: LiveEvent): void {
    for (const seat of seats)
      if (sees(seat.caller, owner)) {
        if (seat.later === null) seat.reader.send(type, data, id);
        else if (seat.later.length < mostReplayed) seat.later.push({ id, type, data, owner });
      }
  }

  /** Tells a reader what was, then what has happened meanwhile. */
  async function catchUp(seat: Seat, from: Exclude<ReplayFrom, { kind: "now" }>): Promise<void> {
    const { reader, caller } = seat;
    // Everything that is not told live yet: leaves that are not durable come by the subscription.
    const end = audit.checkpoint?.size ?? 0;
    const wanted = from.kind === "after" ? from.index + 1 : Math.max(0, end - recentWindow);
    const start = Math.max(wanted, end - mostReplayed);
    let last = start - 1;
    try {
      const entries = range === null || start >= end ? [] : await range(caller, start, end - start);
      // A teller of its own: the past must not mix with what the present remembers.
      const past = new LeafTeller(node, sessionOf);
      const events = entries.flatMap(({ index, leaf }) => {
        const event = past.tell(index, leaf);
        last = Math.max(last, index);
        return event !== null && sees(caller, event.owner) ? [event] : [];
      });
      if (from.kind === "after" && start > wanted) tellGap(reader, "old", start - wanted);
      for (const { id, type, data } of from.kind === "recent" ? events.slice(-from.count) : events)
        reader.send(type, data, id);
    } catch {
      tellGap(reader, "old", null);
    }
    for (const { id, type, data } of seat.later ?? []) if (id > last) reader.send(type, data, id);
    seat.later = null;
  }

  function gap(why: "busy", missed: number | null): void {
    for (const { reader } of seats) tellGap(reader, why, missed);
  }

  function tellCheckpoint({ note }: { readonly note: Buffer }): void {
    const now = Date.now();
    if (now - told < checkpointMs) return;
    told = now;
    const checkpoint = checkpointOf(note);
    const event: z.output<typeof logEvent> = { log: audit.origin, checkpoint, failure: null };
    const data = JSON.stringify(event);
    for (const { caller, reader } of seats) if (seesAll(caller)) reader.send("log", data);
  }

  return {
    open(caller, still, from = { kind: "now" }) {
      const own = [...seats].filter(
        (seat) => isOwn(caller, seat.caller.principal) && isOwn(seat.caller, caller.principal),
      ).length;
      if (seats.size >= maxReaders || own >= maxReadersEach)
        throw new ApiError("TOO_MANY_REQUESTS", "too many live views are open", { hint: "close one" });
      const seat: Seat = {
        caller,
        still,
        later: from.kind === "now" ? null : [],
        reader: createReader(() => {
          seats.delete(seat);
          rest();
        }),
      };
      seats.add(seat);
      follow();
      if (from.kind !== "now") void catchUp(seat, from);
      return seat.reader;
    },
    tell(type, dataFor) {
      for (const { caller, reader } of seats) {
        const data = dataFor(caller);
        if (data !== null) reader.send(type, data);
      }
    },
    judge: tick,
    get readers() {
      return seats.size;
    },
    close() {
      for (const { reader } of seats) reader.end();
      rest();
    },
  };
}

type Gap = z.output<typeof gapEvent>;

function tellGap(reader: StreamReader, why: Gap["why"], missed: Gap["missed"]): void {
  reader.send("gap", JSON.stringify({ why, missed } satisfies Gap));
}

function sees(caller: Caller, owner: LiveEvent["owner"]): boolean {
  return seesAll(caller) || (owner !== null && isOwn(caller, owner));
}

export function seesAll(caller: Caller): boolean {
  return caller.roles.has("auditor");
}

/**
 * Whether something is the caller's own. People own what is done in their name; who acts in somebody's name owns what they did in it, and what
 * others did on their behalf, but nothing else of that person's.
 */
export function isOwn(
  { principal }: Pick<Caller, "principal">,
  owner: Pick<Principal, "subject" | "issuer" | "actor">,
): boolean {
  if (principal.subject !== owner.subject || principal.issuer !== owner.issuer) return false;
  const { actor } = principal;
  const tail = owner.actor.slice(owner.actor.length - actor.length);
  return (
    owner.actor.length >= actor.length &&
    tail.every((one, at) => one.subject === actor[at]?.subject && one.issuer === actor[at].issuer)
  );
}

/** Size, root (hex) and time of a checkpoint of our own (docs/audit-format.md). */
export function checkpointOf(note: Buffer): { size: number; root: string; time: string } {
  const [, size = "", root = "", , time = ""] = note.toString("utf8").split("\n");
  return {
    size: Number(size),
    root: Buffer.from(root, "base64").toString("hex"),
    time: time.replace(/^time /, ""),
  };
}
