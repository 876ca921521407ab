/**
 * Ordered writing behind the audit log: bytes that depend on a record wait until the record is as durable as asked, and
 * everything behind them waits with them. What depends on nothing goes out at once.
 */
import type { AuditLog, AuditUnavailable } from "../../audit/index.ts";
import type { Durability } from "../../facts/audit.ts";
import type { WireSocket } from "../ports.ts";

export interface Gate {
  /** Bytes that wait for the log, and what it costs to hold them. */
  readonly held: number;
  /**
   * Writes buffers in order, once everything appended to the log so far is as durable as `level`; null: nothing to wait for.
   * `whole`: the buffers end with the end of a message (default true). Gives false when the socket's own buffer is full, or too much waits.
   */
  write(buffers: readonly Buffer[], level: Durability | null, whole?: boolean): boolean;
  /** What has been handed to the socket ends with the end of a message: another one would be understood. */
  readonly whole: boolean;
  /** Runs once everything written so far has been handed to the socket. */
  whenWritten(then: () => void): void;
  /** Throws the waiting bytes away; nothing is written any more. */
  close(): void;
}

/** Bytes that may wait on their way in one direction before their sender is no longer read from. */
export const maxHeld = 1024 * 1024;
/** What it costs to hold a buffer, however small: a hostile peer sends one byte at a time. Generous. */
export const holdCost = 256;

/** Writes a few buffers with one system call. */
function writeAll(socket: WireSocket, buffers: readonly Buffer[]): void {
  if (socket.destroyed || socket.writableEnded) return;
  const [only] = buffers;
  if (buffers.length === 1 && only !== undefined) {
    socket.write(only);
    return;
  }
  if (buffers.length === 0) return;
  socket.cork();
  for (const buffer of buffers) socket.write(buffer);
  socket.uncork();
}

/**
 * `failed`: the log could not be written; nothing of what waits is sent any more.
 * `released`: waiting bytes have been handed to the socket.
 */
export function createGate(
  socket: WireSocket,
  audit: AuditLog,
  on: { failed(error: AuditUnavailable): void; released(): void },
): Gate {
  const waiting: Group[] = [];
  let held = 0;
  let whole = true;
  let closed = false;

  /** Bytes that go out together. A class: one is made for each chunk, and the log calls its methods. */
  class Group {
    readonly buffers: readonly Buffer[];
    readonly bytes: number;
    readonly whole: boolean;
    readonly written: (() => void) | null;
    safe: boolean;
    constructor(
      buffers: readonly Buffer[],
      bytes: number,
      whole: boolean,
      safe: boolean,
      then: (() => void) | null,
    ) {
      this.buffers = buffers;
      this.bytes = bytes;
      this.whole = whole;
      this.safe = safe;
      this.written = then;
    }
    auditSafe(): void {
      this.safe = true;
      release();
      if (!closed) on.released();
    }
    auditFailed(error: AuditUnavailable): void {
      if (!closed) on.failed(error);
    }
  }

  function release(): void {
    for (let head = waiting[0]; head?.safe === true; head = waiting[0]) {
      waiting.shift();
      held -= head.bytes;
      if (!closed) {
        writeAll(socket, head.buffers);
        whole = head.whole;
      }
      head.written?.();
    }
  }

  function wait(
    buffers: readonly Buffer[],
    level: Durability | null,
    ends: boolean,
    then: (() => void) | null,
  ): void {
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length + holdCost;
    const group = new Group(buffers, bytes, ends, level === null, then);
    waiting.push(group);
    held += bytes;
    if (level !== null) audit.whenSafe(level, group);
  }

  return {
    get held() {
      return held;
    },
    get whole() {
      return whole;
    },
    write(buffers, level, ends = true) {
      if (closed) return true;
      if (level === null && waiting.length === 0) {
        writeAll(socket, buffers);
        whole = ends;
      } else wait(buffers, level, ends, null);
      return !socket.writableNeedDrain && held <= maxHeld;
    },
    whenWritten(then) {
      if (waiting.length === 0) then();
      else wait([], null, waiting[waiting.length - 1]?.whole ?? whole, then);
    },
    close() {
      closed = true;
      waiting.length = 0;
      held = 0;
    },
  };
}
