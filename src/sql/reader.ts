/**
 * Reads the SQL text of messages: exact text, then shape, then parse (MASKING.md section 1.5). Synchronous, but for texts
 * so large that parsing them would hold up other sessions.
 */
import { hash } from "node:crypto";
import { ByteCache } from "./cache.ts";
import { resembles } from "./comment.ts";
import { LargeReader, type LargeStats } from "./large.ts";
import { defaultLimits, type SqlLimits, UnreadableSql } from "./limits.ts";
import { Marks } from "./marks.ts";
import { type ParserPool, parsers as sharedParsers } from "./parser.ts";
import { checkText, checkTokens } from "./scan.ts";
import { shapeKey } from "./shape.ts";
import { readStatements, unreadShape } from "./statements.ts";
import type { MessageText, Reading, Span, StatementShape, StatementText, Unread } from "./types.ts";

/** Texts longer than this (UTF-16 units) are known again by their SHA-256, not by themselves. */
const verbatimLength = 16 * 1024;
/** Longer texts have no shape and go to the worker unseen: a pass over them would take more than a few milliseconds. */
const shapeLength = 256 * 1024;
/** Rough cost of a cached entry beside its text. */
const entryBytes = 512;

export interface SqlReaderOptions {
  /** Bound of all caches together, default 16 MiB. */
  readonly cacheBytes?: number;
  readonly limits?: Partial<SqlLimits>;
  /** Wall-clock limit for one large text, milliseconds; default 20,000. */
  readonly largeTimeoutMs?: number;
  /** For tests. */
  readonly parsers?: ParserPool;
}

export interface SqlReaderStats extends LargeStats {
  /** Texts answered from the exact-text cache, and from the shape cache. */
  readonly exactHits: number;
  readonly shapeHits: number;
  /** Texts read anew, with or without success. */
  readonly misses: number;
  /** Of them: not read. */
  readonly unread: number;
  /** Of them: broke a parser's instance. */
  readonly poisoned: number;
  readonly cacheBytes: number;
}

export interface SqlReader {
  /**
   * What the text's statements are. Never throws. A text over 64 KiB that is not in the caches comes back as parsed: false,
   * reason "large": ask readLarge() then.
   */
  read(text: string): MessageText;
  /** As read(), for texts of any size; large ones are parsed in a worker, one after the other. Never rejects. */
  readLarge(text: string): Promise<MessageText>;
  readonly stats: SqlReaderStats;
  /** Ends the worker, if there is one. Large texts that wait are then not read ("timeout"). */
  close(): Promise<void>;
}

interface KnownShape {
  readonly shapes: readonly StatementShape[];
  readonly cuts: readonly number[];
}

export function createSqlReader(options: SqlReaderOptions = {}): SqlReader {
  const limits = { ...defaultLimits, ...options.limits };
  const parsers = options.parsers ?? sharedParsers;
  const cacheBytes = options.cacheBytes ?? 16 * 1024 * 1024;
  const exact = new ByteCache<MessageText>(
    cacheBytes / 2,
    (text, message) => 2 * text.length + entryBytes * (1 + message.statements.length),
  );
  const shapes = new ByteCache<KnownShape>(
    cacheBytes / 4,
    (key, known) => 2 * key.length + shapesBytes(known.shapes),
  );
  const hashed = new ByteCache<Reading | Unread>(cacheBytes / 4, (_, known) =>
    typeof known === "string" ? entryBytes : shapesBytes(known.shapes),
  );
  const large = new LargeReader(limits, options.largeTimeoutMs ?? 20_000);
  const marks = new Marks();
  const counts = { exactHits: 0, shapeHits: 0, misses: 0, unread: 0, poisoned: 0 };

  /** The key of the text that was last looked for in vain. */
  let missed: { readonly text: string; readonly key: string } | null = null;

  function known(text: string): MessageText | null {
    if (text.length <= verbatimLength) {
      const hit = exact.get(text);
      if (hit !== undefined) {
        counts.exactHits++;
        return hit;
      }
    } else {
      const hit = text.length <= limits.bytes ? hashed.get(digest(text)) : undefined;
      if (hit !== undefined) {
        counts.exactHits++;
        return typeof hit === "string" ? unread(text, hit) : message(text, hit.shapes, hit.spans);
      }
    }
    const key = keyOf(text);
    const shape = key === null ? undefined : shapes.get(key);
    if (shape === undefined) {
      missed = key === null ? null : { text, key };
      return null;
    }
    counts.shapeHits++;
    const [only] = shape.shapes;
    if (only !== undefined && shape.shapes.length === 1) return single(text, only, marks.lastComment(text));
    return message(text, shape.shapes, marks.spans(text, shape.cuts));
  }

  /** Leaves the text's marks in `marks`. */
  function keyOf(text: string): string | null {
    if (text.length > shapeLength || text.includes("\0")) return null;
    marks.clear();
    const key = shapeKey(text, marks);
    return key === null || key.length <= verbatimLength ? key : `\0${digest(key)}`;
  }

  /** Keeps what may be kept: nothing of a secret text, and nothing that another try might read. */
  function remember(text: string, reading: Reading, result: MessageText): void {
    if (reading.shapes.some((shape) => shape.secret)) return;
    if (text.length > verbatimLength) hashed.set(digest(text), reading);
    else exact.set(text, result);
    if (!reading.literalFree) return;
    const key = missed?.text === text ? missed.key : keyOf(text);
    missed = null;
    if (key !== null) shapes.set(key, { shapes: reading.shapes, cuts: reading.cuts });
  }

  function fail(text: string, reason: Unread): MessageText {
    counts.unread++;
    if (reason === "parser-failed") counts.poisoned++;
    const result = unread(text, reason);
    // The grammar's answer stays the same; and a text that broke a parser must not break another.
    const lasting = reason === "syntax" || reason === "parser-failed";
    if (!lasting || result.statements.some(({ shape }) => shape.secret)) return result;
    if (text.length > verbatimLength) hashed.set(digest(text), reason);
    else exact.set(text, result);
    return result;
  }

  function done(text: string, reading: Reading): MessageText {
    const result = message(text, reading.shapes, reading.spans);
    remember(text, reading, result);
    return result;
  }

  function readNew(text: string): MessageText {
    counts.misses++;
    try {
      const bytes = checkText(text, limits);
      if (bytes > limits.inlineBytes) {
        if (text.length <= shapeLength) checkTokens(text, limits);
        throw new UnreadableSql("large");
      }
      return done(text, readStatements(text, bytes, parsers, limits));
    } catch (error) {
      return fail(text, error instanceof UnreadableSql ? error.reason : "parser-failed");
    }
  }

  return {
    read: (text) => known(text) ?? readNew(text),
    async readLarge(text) {
      const hit = known(text);
      if (hit !== null) return hit;
      if (text.length <= limits.inlineBytes && Buffer.byteLength(text) <= limits.inlineBytes)
        return readNew(text);
      counts.misses++;
      try {
        checkText(text, limits);
        if (text.length <= shapeLength) checkTokens(text, limits);
        return done(text, await large.read(text));
      } catch (error) {
        return fail(text, error instanceof UnreadableSql ? error.reason : "parser-failed");
      }
    },
    get stats() {
      return { ...counts, ...large.stats, cacheBytes: exact.bytes + shapes.bytes + hashed.bytes };
    },
    close: () => large.close(),
  };
}

function unread(text: string, reason: Unread): MessageText {
  return {
    statements: [{ text, start: 0, shape: unreadShape(text), comment: null }],
    parsed: false,
    reason,
    poisoned: reason === "parser-failed",
  };
}

/** As message() for the one statement that is the whole text: the hot path. */
function single(text: string, shape: StatementShape, comment: string | null): MessageText {
  const seen = comment !== null && resembles(comment) ? comment : null;
  return {
    statements: [{ text, start: 0, shape, comment: seen }],
    parsed: true,
    reason: null,
    poisoned: false,
  };
}

function message(text: string, shapes: readonly StatementShape[], spans: readonly Span[]): MessageText {
  const statements: StatementText[] = [];
  for (let i = 0; i < shapes.length; i++) {
    const shape = shapes[i];
    const span = spans[i];
    if (shape === undefined || span === undefined) break;
    const comment = span.commentEnd > 0 ? text.slice(span.commentStart, span.commentEnd) : null;
    const whole = span.start === 0 && span.end === text.length;
    statements.push({
      text: whole ? text : text.slice(span.start, span.end),
      start: span.start,
      shape,
      comment: comment !== null && resembles(comment) ? comment : null,
    });
  }
  return { statements, parsed: true, reason: null, poisoned: false };
}

function shapesBytes(shapes: readonly StatementShape[]): number {
  let bytes = entryBytes;
  for (const shape of shapes) bytes += shapeBytes(shape);
  return bytes;
}

/** Roughly what a shape holds; facts of ordinary statements are small. */
function shapeBytes({ stripped, names, facts }: StatementShape): number {
  let bytes = 2 * entryBytes + 2 * stripped.length;
  for (const { text } of facts.tree) bytes += 2 * (text?.length ?? 0);
  for (const { text } of names) bytes += 2 * (text?.length ?? 0);
  return bytes + 128 * (facts.settings.length + facts.relations.length);
}

function digest(text: string): string {
  return hash("sha256", text, "base64url");
}
