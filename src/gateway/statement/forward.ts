/**
 * Ordered writing behind the audit log: bytes that depend on a record wait until the record is as durable as asked, and
 * everything behind them waits with them. What depends on nothing goes out at once.
 */
import type { AuditLog, AuditUnavailable } from "../../audit/index.ts";
import type { Durability } from "../../facts/audit.ts";
import type { WireSocket } from "../ports.ts";

export interface Gate {
  /** Bytes that wait for the log. */
  readonly held: number;
  /**
   * Writes buffers in order, once everything appended to the log so far is as durable as `level`; null: nothing to wait for.
   * Gives false when the socket's own buffer is full.
   */
  write(buffers: readonly Buffer[], level: Durability | null): boolean;
  /** Runs once everything written so far has been handed to the socket. */
  whenWritten(then: () => void): void;
  /** Throws the waiting bytes away; nothing is written any more. */
  close(): void;
}

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
  let closed = false;

  /** Bytes that go out together. A class: one is made for each chunk, and the log calls its methods. */
  class Group {
    readonly buffers: readonly Buffer[];
    readonly bytes: number;
    readonly then: (() => void) | null;
    safe: boolean;
    constructor(buffers: readonly Buffer[], bytes: number, safe: boolean, then: (() => void) | null) {
      this.buffers = buffers;
      this.bytes = bytes;
      this.safe = safe;
      this.then = then;
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
      if (!closed) writeAll(socket, head.buffers);
      head.then?.();
    }
  }

  function wait(buffers: readonly Buffer[], level: Durability | null, then: (() => void) | null): void {
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length;
    const group = new Group(buffers, bytes, level === null, then);
    waiting.push(group);
    held += bytes;
    if (level !== null) audit.whenSafe(level, group);
  }

  return {
    get held() {
      return held;
    },
    write(buffers, level) {
      if (closed) return true;
      if (level === null && waiting.length === 0) writeAll(socket, buffers);
      else wait(buffers, level, null);
      return !socket.writableNeedDrain;
    },
    whenWritten(then) {
      if (waiting.length === 0) then();
      else wait([], null, then);
    },
    close() {
      closed = true;
      waiting.length = 0;
      held = 0;
    },
  };
}
