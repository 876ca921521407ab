/**
 * The replies that are still to come from the server, oldest first: one entry for each forwarded message that gets an
 * answer (PostgreSQL manual, "Message Flow"). Everything the relay knows about what a backend message means comes from
 * the entry at the head of this queue.
 */
import type { Guard } from "./guard.ts";
import type { NameChange, Portal, PreparedStatement } from "./names.ts";
import type { Refusal } from "./refuse.ts";

export const Kind = {
  query: 1,
  functionCall: 2,
  parse: 3,
  bind: 4,
  close: 5,
  describeStatement: 6,
  describePortal: 7,
  execute: 8,
  sync: 9,
  /** CopyDones and CopyFails: get no reply of their own, but mark which Syncs were sent while the server was copying. */
  copyEnd: 10,
  /** An exchange of the gateway's own: nothing of its answer is the client's. */
  own: 11,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** One statement of a message: its place on the log and what it does to names once it has succeeded. */
export interface Part {
  /** Leaf index of the intent. */
  readonly intent: number;
  /** The statement, where its shape matters for the answer: it changes names, or copies. */
  readonly statement: PreparedStatement | null;
  /** Its text with literals stripped, for whoever looks at the session; null: it was not read. */
  readonly sql: string | null;
  /** What watches over it; null: nothing has to be watched. */
  readonly guard: Guard | null;
  /** Analysis proved that it changes nothing. */
  readonly harmless: boolean;
  /** The formats its Bind asked for; null: RowDescription tells, or nobody knows. */
  readonly formats: readonly number[] | null;
}

/** What one Query or Execute is doing. */
export interface Run {
  readonly request: string;
  /** performance.now() when it was received, or when its previous part was answered; milliseconds. */
  since: number;
  readonly parts: readonly Part[];
  /** Names or settings may not be what they were once it is answered. */
  readonly changes: boolean;
  /** The text was not read: it may hold more statements than the one part that stands for it. */
  readonly unread: boolean;
  /** Its outcome must be durable before the client learns of it. */
  readonly strict: boolean;
  /** The approval that it runs under; null: none was needed. */
  readonly approval: string | null;
  /** Index of the part the server is working on. */
  at: number;
  /** Fires when its time has passed; null: it is not limited, or over. */
  clock: NodeJS.Timeout | null;
  /** Of several statements: their time has passed, and this is what the client is told of the one that fails. */
  late: Refusal | null;
}

export interface Expected {
  readonly kind: Kind;
  /** Number of the batch (messages up to a Sync or Query) it belongs to. */
  readonly batch: number;
  readonly run: Run | null;
  /** Set when this entry is our poison: its ErrorResponse is replaced by the refusal. Of a Bind: it is cancelled, and may be over before. */
  refusal: Refusal | null;
  /** Query and FunctionCall: the ErrorResponse has come, only ReadyForQuery is missing. */
  errored: boolean;
  /** COPY FROM STDIN: the server has asked for data. */
  copying: boolean;
  /** What to take back if the server does not carry this message out. */
  readonly change: NameChange | null;
  /** Parse and Describe: the statement that the reply tells about. */
  readonly statement: PreparedStatement | null;
  /** What only few messages have; null: nothing of it. */
  special: Special | null;
  /** Query and Parse: 1 if the text was read; Sync: how many such are in its batch; copyEnd: how many it stands for. */
  count: number;
}

/** What the answers to a message mean beyond its kind. */
export interface Special {
  /** A Describe of the gateway's own: its answer is not the client's. */
  readonly swallow: boolean;
  /** Describe: the portal whose columns it tells. */
  readonly portal: Portal | null;
  /** A Query that was sent on as Parse, Bind, Describe and Execute, so that its effect can still be taken back. */
  readonly reissued: boolean;
  /** Nothing was sent behind it: what it did can be taken back by a refusal. */
  readonly alone: boolean;
  /** What the server said of a reissued Query when it was carried out; the client is told once its Sync has committed it. */
  tag: string | null;
}

/**
 * Messages that may wait for their answers before no more are read of the client, which could send them without end: each costs most of a
 * kilobyte. It is read again when half of them are answered. The server holds back 8 KiB of answers unless it is asked to flush, which is
 * 1,638 of the shortest: half must be more than that, so that nobody waits for the other.
 */
export const maxQueued = 4 * 1024;

export interface ReplyQueue {
  items: (Expected | undefined)[];
  head: number;
}

export function createQueue(): ReplyQueue {
  return { items: [], head: 0 };
}

export function expected(
  kind: Kind,
  batch: number,
  run: Run | null,
  change: NameChange | null,
  statement: PreparedStatement | null,
): Expected {
  return {
    kind,
    batch,
    run,
    refusal: null,
    errored: false,
    copying: false,
    change,
    statement,
    special: null,
    count: 0,
  };
}

export function queueLength(queue: ReplyQueue): number {
  return queue.items.length - queue.head;
}

export function queueHead(queue: ReplyQueue): Expected | undefined {
  return queue.items[queue.head];
}

export function push(queue: ReplyQueue, entry: Expected): void {
  queue.items.push(entry);
}

/** The oldest message that runs something; answers to those before it may lie in the server's buffer. */
export function firstRun({ items, head }: ReplyQueue): Expected | null {
  for (let i = head; i < items.length; i++) {
    const entry = items[i];
    if (entry !== undefined && entry.run !== null) return entry;
  }
  return null;
}

/** Whether another message that runs something was sent behind the oldest. */
export function runsBehind({ items, head }: ReplyQueue): boolean {
  let runs = 0;
  for (let i = head; i < items.length; i++) if (items[i]?.run != null && ++runs === 2) return true;
  return false;
}

/** What watches over the statement that the server is working on. */
export function runningGuard({ run }: Expected): Guard | null {
  return run === null ? null : (run.parts[run.at]?.guard ?? null);
}

/** Whether the message has no answer yet. */
export function isQueued({ items, head }: ReplyQueue, entry: Expected): boolean {
  return items.indexOf(entry, head) >= 0;
}

/** Marks a CopyDone or CopyFail. Those in a row share an entry, so that they cost nothing where no copy is. */
export function pushCopyEnd(queue: ReplyQueue, batch: number): void {
  let last = queue.items[queue.items.length - 1];
  if (last?.kind !== Kind.copyEnd) {
    last = expected(Kind.copyEnd, batch, null, null, null);
    queue.items.push(last);
  }
  last.count++;
}

/** One copy of several in the Query at the head is over: so is its CopyDone. */
export function dropCopyEnd(queue: ReplyQueue): void {
  const next = queue.items[queue.head + 1];
  if (next?.kind === Kind.copyEnd && --next.count === 0) queue.items.splice(queue.head + 1, 1);
}

/** Takes the head off, and any CopyDone marks behind it. */
export function shift(queue: ReplyQueue): Expected | undefined {
  const entry = take(queue);
  while (queue.items[queue.head]?.kind === Kind.copyEnd) take(queue);
  return entry;
}

function take(queue: ReplyQueue): Expected | undefined {
  const { items } = queue;
  const entry = items[queue.head];
  if (entry === undefined) return undefined;
  items[queue.head] = undefined;
  queue.head++;
  if (queue.head === items.length) {
    items.length = 0;
    queue.head = 0;
  } else if (queue.head > 256 && queue.head * 2 > items.length) {
    items.splice(0, queue.head);
    queue.head = 0;
  }
  return entry;
}

/**
 * After an error in an extended batch the server discards everything up to the next Sync: takes those entries off.
 * Gives them oldest first, without the Sync.
 */
export function skipToSync(queue: ReplyQueue): Expected[] {
  const skipped: Expected[] = [];
  for (;;) {
    const head = queueHead(queue);
    if (head === undefined || head.kind === Kind.sync) return skipped;
    const entry = take(queue);
    if (entry !== undefined) skipped.push(entry);
  }
}

/**
 * The server entered copy-in for the entry at the head: Syncs sent before the end of the copy are ignored by it
 * (PostgreSQL manual, "COPY Operations"), so no ReadyForQuery will answer them.
 */
export function dropSyncsDuringCopy(queue: ReplyQueue): void {
  const kept: (Expected | undefined)[] = [];
  let inCopy = true;
  for (let i = queue.head + 1; i < queue.items.length; i++) {
    const entry = queue.items[i];
    if (entry?.kind === Kind.copyEnd) inCopy = false;
    if (inCopy && entry?.kind === Kind.sync) continue;
    kept.push(entry);
  }
  queue.items.length = queue.head + 1;
  queue.items.push(...kept);
}

/** Whether a CopyDone or CopyFail was already sent behind the head. */
export function copyEndIsQueued(queue: ReplyQueue): boolean {
  for (let i = queue.head + 1; i < queue.items.length; i++)
    if (queue.items[i]?.kind === Kind.copyEnd) return true;
  return false;
}
