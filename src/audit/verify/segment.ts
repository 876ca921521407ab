/**
 * One pass over a segment file: lines, leaf hashes, the running chain. The verifier, recovery and the readers of the log
 * all stand on this; what a fault means is theirs to say.
 */
import { createHash, type Hash, hash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** No line of a segment is longer. */
export const maxLine = 32 * 1024 * 1024;
/** No leaf's JSON is longer. */
export const maxLeaf = 61440;

/** Number, day, and base64 whose spare bits are zero. */
const frameText =
  /^(0|[1-9][0-9]{0,15}) ([0-9]{4}-[0-9]{2}-[0-9]{2}) ([A-Za-z0-9+/]+(?:[AQgw]==|[AEIMQUYcgkosw048]=)?)$/;

const space = 0x20;
const newline = 0x0a;
const firstRead = 1024 * 1024;

/** A line's parts as views into the read buffer: valid only during the call. */
export interface SegmentVisitor {
  /** A leaf line: its JSON at [start, end) of `buf`, `hash` its 32-byte leaf hash as latin1 text ("" when not asked for). `at`: offset of the line in the file. */
  leaf(buf: Buffer, start: number, end: number, hash: string, at: number): string | null;
  /** A piece of a sealed frame. */
  frame(frame: number, key: string, piece: string, at: number): string | null;
  /** The end of the open frame: its tag, base64. */
  frameEnd?(tag: string, at: number): string | null;
  /** A chain point: a B line (`text`: base64 of the mac) or a C line (base64 of the note). `chain`: the value over all bytes before the line, meaningless without `hashes`. `end`: offset behind the line. */
  point(kind: "B" | "C", text: string, chain: Buffer, at: number, end: number): string | null;
}

export interface SegmentFault {
  /** Offset in the file of the line that is wrong. */
  readonly at: number;
  readonly problem: string;
}

export interface SegmentEnd {
  readonly fault: SegmentFault | null;
  /** Offset behind the last good chain point; equals the file's length when all is whole. */
  readonly good: number;
  /** Offset up to which bytes were read. */
  readonly length: number;
  /** The last good chain point: its value and its own line, where an appender goes on. */
  readonly point: SegmentStart;
  /** SHA-256(point value ‖ point line): what the next segment starts from. */
  readonly chain: Buffer;
}

/** H_0 of a segment: SHA-256("postern-segment-v1\n" ‖ origin ‖ "\n" ‖ first index ‖ "\n" ‖ the previous segment's final value). */
export function chainStart(origin: string, first: number, previous: Buffer): Buffer {
  const head = Buffer.from(`postern-segment-v1\n${origin}\n${first}\n`, "utf8");
  return Buffer.from(hash("sha256", Buffer.concat([head, previous]), "hex"), "hex");
}

/** Name of the segment file that begins with leaf `first`. */
export function segmentName(first: number): string {
  return `${String(first).padStart(20, "0")}.log`;
}

/** The first leaf index a segment file's name says; null when it is no such name. */
export function segmentFirst(name: string): number | null {
  if (!/^[0-9]{20}\.log$/.test(name)) return null;
  const first = Number(name.slice(0, 20));
  return Number.isSafeInteger(first) && segmentName(first) === name ? first : null;
}

export interface SegmentStart {
  readonly offset: number;
  /** The chain value at the last chain point before `offset`. */
  readonly chain: Buffer;
  /** The bytes between that chain point and `offset` (the point's own line); empty at the start of a segment. */
  readonly tail: Buffer;
}

export interface ReadOptions {
  readonly hashes: boolean;
  readonly until?: number;
  readonly buffer?: Buffer;
}

/**
 * Reads a segment from `start` to its end, calling `visitor` for each line; a visitor that gives a text reports a fault and
 * ends the pass. `hashes: false` skips leaf hashes and chain (for searching). `buffer`: what to read into as long as lines fit, for whoever
 * reads often. Throws only what the file system throws.
 */
export function readSegment(
  path: string,
  start: SegmentStart,
  visitor: SegmentVisitor,
  options: ReadOptions = { hashes: true },
): SegmentEnd {
  const fd = openSync(path, "r");
  try {
    return pass(fd, start, visitor, options);
  } finally {
    closeSync(fd);
  }
}

function pass(
  fd: number,
  start: SegmentStart,
  visitor: SegmentVisitor,
  { hashes, until = Number.POSITIVE_INFINITY, buffer }: ReadOptions,
): SegmentEnd {
  // A small segment needs no large buffer, and one byte of room shows that it has not grown meanwhile.
  let buf: Buffer =
    buffer ??
    Buffer.allocUnsafeSlow(Math.min(firstRead, Math.max(fstatSync(fd).size - start.offset, 0) + 256));
  let filled = 0; // bytes of buf that hold file content
  let line = 0; // start of the present line in buf
  let base = start.offset; // file offset of buf[0]
  let chain: Hash = createHash("sha256").update(start.chain).update(start.tail);
  let good = start.offset;
  let goodChain: Buffer = start.chain;
  let goodTail: Buffer = start.tail;
  let fault: SegmentFault | null = null;
  // A batch is leaves, then at most one piece of a frame, with ends of frames before and behind it, then a point.
  let leaves = 0;
  let framed = false;
  let ends = 0;

  reading: for (;;) {
    if (line > 0) {
      buf.copy(buf, 0, line, filled);
      filled -= line;
      base += line;
      line = 0;
    }
    if (filled === buf.length) {
      if (filled >= maxLine) {
        fault = { at: base, problem: "a line without end" };
        break;
      }
      const bigger = Buffer.allocUnsafeSlow(Math.min(buf.length * 4, maxLine));
      buf.copy(bigger, 0, 0, filled);
      buf = bigger;
    }
    const room = Math.min(buf.length - filled, until - base - filled);
    const count = room > 0 ? readSync(fd, buf, filled, room, base + filled) : 0;
    const searched = filled;
    filled += count;
    if (count === 0) {
      if (filled > 0) fault = { at: base, problem: "the last line is cut off" };
      else if (leaves > 0 || framed || ends > 0) fault = { at: base, problem: "the last batch is cut off" };
      break;
    }
    for (
      let end = buf.indexOf(newline, searched);
      end >= 0 && end < filled;
      end = buf.indexOf(newline, line)
    ) {
      const at = base + line;
      let problem: string | null;
      const tag = buf[line + 1] === space ? buf[line] : 0;
      const from = line + 2;
      if (tag === 0x4c) {
        problem = framed || ends > 0 ? "a leaf behind the batch's frame" : checkLeafShape(buf, from, end);
        if (problem === null) {
          let leaf = "";
          if (hashes) {
            buf[from - 1] = 0x00;
            leaf = hash("sha256", buf.subarray(from - 1, end), "binary");
            buf[from - 1] = space;
            chain.update(leaf, "latin1");
          }
          leaves++;
          problem = visitor.leaf(buf, from, end, leaf, at);
        }
      } else if (tag === 0x53) {
        const parts = frameText.exec(buf.toString("latin1", from, end));
        if (parts === null || (parts[3] ?? "").length % 4 !== 0) problem = "a malformed frame";
        else if (framed || leaves === 0) problem = "a frame without leaves or a second one";
        else {
          framed = true;
          if (hashes) chain.update(buf.subarray(line, end + 1));
          problem = visitor.frame(Number(parts[1]), parts[2] ?? "", parts[3] ?? "", at);
        }
      } else if (tag === 0x54) {
        const text = buf.toString("latin1", from, end);
        // 16 bytes: the last character before the padding has four spare bits.
        if (!/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(text)) problem = "a malformed end of a frame";
        else if (++ends > 2) problem = "too many ends of frames";
        else {
          if (hashes) chain.update(buf.subarray(line, end + 1));
          problem = visitor.frameEnd?.(text, at) ?? null;
        }
      } else if (tag === 0x42 || tag === 0x43) {
        const kind = tag === 0x42 ? "B" : "C";
        if (kind === "B" && leaves === 0) problem = "a batch without leaves";
        else {
          let value: Buffer = start.chain;
          if (hashes) {
            value = chain.digest();
            chain = createHash("sha256")
              .update(value)
              .update(buf.subarray(line, end + 1));
          }
          problem = visitor.point(kind, buf.toString("latin1", from, end), value, at, base + end + 1);
          if (problem === null) {
            good = base + end + 1;
            goodChain = value;
            goodTail = Buffer.from(buf.subarray(line, end + 1));
            leaves = 0;
            framed = false;
            ends = 0;
          }
        }
      } else {
        problem = "a line of no known kind";
      }
      if (problem !== null) {
        fault = { at, problem };
        break reading;
      }
      line = end + 1;
    }
  }
  const final = createHash("sha256").update(goodChain).update(goodTail).digest();
  return {
    fault,
    good,
    length: base + filled,
    point: { offset: good, chain: goodChain, tail: goodTail },
    chain: final,
  };
}

function checkLeafShape(buf: Buffer, start: number, end: number): string | null {
  if (end - start > maxLeaf) return "a leaf longer than 60 KiB";
  if (buf[start] !== 0x7b || buf[end - 1] !== 0x7d) return "a leaf that is no JSON object";
  return null;
}
