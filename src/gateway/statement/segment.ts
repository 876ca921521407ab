/** What stands between a Bind and the next Flush or Sync, read without taking it. */
import { decodeBind, decodeParse } from "../../protocol/index.ts";
import type { BoundValues } from "./holding.ts";
import { opaqueShape, prepare, readable } from "./intend.ts";
import { type PreparedStatement, serverName, undecided } from "./names.ts";
import type { Expected } from "./queue.ts";
import { inlineBytes } from "./simple.ts";
import type { Walk } from "./state.ts";

const PARSE = 0x50;
const BIND = 0x42;
const DESCRIBE = 0x44;
const EXECUTE = 0x45;
const CLOSE = 0x43;

/** The messages of a segment in one chunk of the client's. */
export interface Segment {
  /** Where it ends in the chunk. */
  readonly end: number;
  /** Its end is there, or something that is not of the extended protocol. */
  readonly whole: boolean;
  readonly binds: number;
}

/** Looks at the messages from `from` on. A length that cannot be ends it: `receive` finds it, too. */
export function segmentAt(chunk: Buffer, from: number): Segment {
  let at = from;
  let binds = 0;
  while (chunk.length - at >= 5) {
    const type = chunk[at];
    if (type !== PARSE && type !== BIND && type !== DESCRIBE && type !== EXECUTE && type !== CLOSE)
      return { end: at, whole: true, binds };
    const length = chunk.readInt32BE(at + 1);
    if (length < 4) return { end: at, whole: true, binds };
    if (at + 1 + length > chunk.length) break;
    if (type === BIND) binds++;
    at += 1 + length;
  }
  return { end: at, whole: false, binds };
}

export interface SegmentBind {
  readonly statement: PreparedStatement;
  readonly bound: BoundValues;
}

/**
 * The Binds of a segment with their statements, in order. Stops at what cannot be told yet. An entry of the queue: the segment can be
 * read once the server has answered that. Throws ProtocolError.
 */
export function bindsOf(
  walk: Walk,
  chunk: Buffer,
  from: number,
  end: number,
): readonly SegmentBind[] | Expected {
  const made = new Map<string, PreparedStatement>();
  const binds: SegmentBind[] = [];
  const settledNames = walk.utf8 && walk.unsettledBatch < 0;
  for (let at = from; at < end; at += 1 + chunk.readInt32BE(at + 1)) {
    const type = chunk[at];
    const body = chunk.subarray(at + 5, at + 1 + chunk.readInt32BE(at + 1));
    if (type === PARSE) {
      const { name, bytes, parameterTypes } = decodeParse(body);
      const key = serverName(name, settledNames);
      const text = bytes.length > inlineBytes ? null : readable(walk, bytes);
      if (key === null || text === null) return binds;
      const [only, more] = walk.reader.read(text).statements;
      if (more !== undefined) return binds;
      const statement = prepare(
        walk,
        only?.text ?? "",
        only?.shape ?? opaqueShape,
        null,
        only?.comment ?? null,
      );
      statement.declared = parameterTypes;
      statement.types = parameterTypes;
      if (only !== undefined) made.set(key, statement);
      continue;
    }
    if (type !== BIND) continue;
    const { statement: source, parameters, parameterFormats, resultFormats } = decodeBind(body);
    const key = serverName(source, settledNames);
    if (key === null) return binds;
    let statement = made.get(key);
    if (statement === undefined) {
      const open = undecided(walk.names, "statement", key, walk.batch);
      if (open !== null) return open;
      statement = walk.names.statements.get(key);
    }
    if (statement === undefined) return binds;
    if (statement.shape.kind !== "empty")
      binds.push({ statement, bound: { parameters, parameterFormats, resultFormats } });
  }
  return binds;
}
