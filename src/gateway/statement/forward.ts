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
  /** Nothing that is written from here on is handed to the socket before everything appended to the log so far is as durable as `level`. */
  hold(level: Durability): void;
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

/** What the owner of a gate is told. */
export interface GateEvents {
  /** The log could not be written; nothing of what waits is sent any more. */
  failed(error: AuditUnavailable): void;
  /** Waiting bytes have been handed to the socket. */
  released(): void;
}

export function createGate(socket: WireSocket, audit: AuditLog, on: GateEvents): Gate {
  return new SocketGate(socket, audit, on);
}

/** Bytes that go out together: one is made for each chunk that waits, and the log calls its methods. */
class Group {
  readonly gate: SocketGate;
  readonly buffers: readonly Buffer[];
  readonly bytes: number;
  readonly whole: boolean;
  readonly written: (() => void) | null;
  safe: boolean;

  constructor(
    gate: SocketGate,
    buffers: readonly Buffer[],
    bytes: number,
    whole: boolean,
    safe: boolean,
    then: (() => void) | null,
  ) {
    this.gate = gate;
    this.buffers = buffers;
    this.bytes = bytes;
    this.whole = whole;
    this.safe = safe;
    this.written = then;
  }

  auditSafe(): void {
    this.safe = true;
    this.gate.release();
  }

  auditFailed(error: AuditUnavailable): void {
    this.gate.failed(error);
  }
}

class SocketGate implements Gate {
  held = 0;
  whole = true;
  private readonly socket: WireSocket;
  private readonly audit: AuditLog;
  private readonly on: GateEvents;
  private readonly waiting: Group[] = [];
  private closed = false;

  constructor(socket: WireSocket, audit: AuditLog, on: GateEvents) {
    this.socket = socket;
    this.audit = audit;
    this.on = on;
  }

  write(buffers: readonly Buffer[], level: Durability | null, ends = true): boolean {
    if (this.closed) return true;
    if (level === null && this.waiting.length === 0) {
      writeAll(this.socket, buffers);
      this.whole = ends;
    } else this.wait(buffers, level, ends, null);
    return !this.socket.writableNeedDrain && this.held <= maxHeld;
  }

  hold(level: Durability): void {
    if (!this.closed) this.wait([], level, this.willBeWhole(), null);
  }

  whenWritten(then: () => void): void {
    if (this.waiting.length === 0) then();
    else this.wait([], null, this.willBeWhole(), then);
  }

  private willBeWhole(): boolean {
    return this.waiting[this.waiting.length - 1]?.whole ?? this.whole;
  }

  close(): void {
    this.closed = true;
    this.waiting.length = 0;
    this.held = 0;
  }

  /** A group has become safe: hands on what no longer waits. */
  release(): void {
    const { waiting } = this;
    for (let head = waiting[0]; head?.safe === true; head = waiting[0]) {
      // Most of the time only one waits; shift() costs more.
      if (waiting.length === 1) waiting.pop();
      else waiting.shift();
      this.held -= head.bytes;
      if (!this.closed) {
        writeAll(this.socket, head.buffers);
        this.whole = head.whole;
      }
      head.written?.();
    }
    if (!this.closed) this.on.released();
  }

  failed(error: AuditUnavailable): void {
    if (!this.closed) this.on.failed(error);
  }

  private wait(
    buffers: readonly Buffer[],
    level: Durability | null,
    ends: boolean,
    then: (() => void) | null,
  ): void {
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length + holdCost;
    const group = new Group(this, buffers, bytes, ends, level === null, then);
    this.waiting.push(group);
    this.held += bytes;
    if (level !== null) this.audit.whenSafe(level, group);
  }
}
