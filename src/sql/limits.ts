import type { Unread } from "./types.ts";

/** Caps on what is read at all (MASKING.md section 1.4: the costs behind them were measured). */
export interface SqlLimits {
  /** UTF-8 bytes of one message's text. */
  readonly bytes: number;
  /** UTF-8 bytes parsed on the event loop; larger texts go to a worker. */
  readonly inlineBytes: number;
  /** Levels of nested block comments; PostgreSQL's own lexer is quadratic in them. */
  readonly comments: number;
  /** Characters of one operator; PostgreSQL cuts names at 63. */
  readonly operator: number;
  /** Estimated depth of the syntax tree; PostgreSQL itself gives up (54001) between 2,500 and 5,000. */
  readonly depth: number;
  /** Tokens of one message: each costs the parser and its tree some hundred bytes. */
  readonly tokens: number;
}

export const defaultLimits: SqlLimits = {
  bytes: 4 * 1024 * 1024,
  inlineBytes: 64 * 1024,
  comments: 16,
  operator: 63,
  depth: 2000,
  tokens: 1_000_000,
};

/** A text that is not read. The reason is of a closed list and tells nothing of the text. */
export class UnreadableSql extends Error {
  readonly reason: Unread;
  constructor(reason: Unread) {
    super(`statement not read: ${reason}`);
    this.name = "UnreadableSql";
    this.reason = reason;
  }
}
