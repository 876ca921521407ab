/**
 * Intents and outcomes, read from their bytes. Records of a session and of a statement are alike but for their ids, their time and where their
 * sealed part lies: what was parsed once is recognised by its bytes, and only what differs is read. A record is taken apart where the gateway puts
 * it together (docs/audit-format.md); each stretch is parsed by itself when it is new, as members of an object with harmless values in the gaps, so
 * that it means the same beside any other. What does not fit exactly is left to the caller to parse.
 */
import { randomUUID } from "node:crypto";
import { isObject, type Json } from "../read/leaves.ts";
import { type IdKey, idBytes, readId, TimeReader, timeBytes } from "./ids.ts";
import { Regions, sameBytes } from "./regions.ts";
import { oddStatus, readStatus } from "./status.ts";

/** What is made of the stretches; null: they are not to be remembered. */
export interface Learner<Session, Statement> {
  /** `members`: node, session, principal, client, claimed, database. */
  session(members: Json): Session | null;
  /** `members`: node, type, statement (its `sealed` null), and all behind it. */
  statement(members: Json): Statement | null;
}

interface Head<Session> {
  readonly node: unknown;
  readonly session: unknown;
  /** What the session's last records say between request and statement, and what it means. */
  facts: DataView;
  known: Session | null;
}

const intent = bytesOf('","type":"statement.intent","time":"');
const outcome = bytesOf('","type":"statement.outcome","time":"');
const start = bytesOf('{"v":1,"id":"');
const requestName = Buffer.from(',"request":"', "latin1");
const statementName = Buffer.from(',"statement":{"protocol":"', "latin1");
const sealedName = Buffer.from('"sealed":{"key":"', "latin1");
const frameName = bytesOf('","frame":');
const atName = bytesOf(',"at":');
const digestName = bytesOf(',"digest":"');
const slotEnd = bytesOf('"}');
const refStart = bytesOf('","intent":{"log":"');
const refEnd = bytesOf('","index":');
const statusStart = bytesOf('},"status":"');
const quote = 0x22;
const none = new DataView(new ArrayBuffer(0));

const sessionNames = new Set(["principal", "client", "claimed", "database"]);
const elsewhere = new Set([
  ...sessionNames,
  "v",
  "id",
  "type",
  "time",
  "node",
  "session",
  "request",
  "token",
]);
/** Bytes of a base64 digest. */
const plain = new Uint8Array(256);
for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
  plain[c.charCodeAt(0)] = 1;

/** The name of what stands before a stretch when it is parsed by itself: one that no record has. */
const before = randomUUID();

/** Longer ones are rare and would take the room of hundreds. */
const maxRegion = 16 * 1024;

/**
 * Reads statements' leaves: what differs from record to record byte by byte, the rest by comparing it with what was parsed before. One that
 * does not fit exactly is left to the parser.
 */
export class Recogniser<Session, Statement> {
  // What read() found.
  time = 0;
  readonly id: IdKey = { at: 0, tail: 0 };
  readonly request: IdKey = { at: 0, tail: 0 };
  session: Session | null = null;
  statement: Statement | null = null;
  /** Of an intent: where its sealed part lies. */
  day = "";
  frame = 0;
  line = 0;
  digestAt = 0;
  /** Of an outcome: the index of its intent, and a status code. */
  intent = 0;
  status = 0;

  private readonly learner: Learner<Session, Statement>;
  private readonly heads = new Regions<Head<Session>>(512 * 1024);
  private readonly statements = new Regions<Statement>(1024 * 1024);
  private readonly times = new TimeReader();
  /** The node of all that is in `statements`. */
  private node: unknown = null;
  private headLength = 0;
  /** From an outcome's request to the index of its intent. */
  private reference = none;
  private readonly dayBytes = new Uint8Array(10);
  private pos = 0;
  private buf: Buffer | null = null;
  private view: DataView = none;

  constructor(learner: Learner<Session, Statement>) {
    this.learner = learner;
  }

  /** Forgets all stretches. */
  forget(): void {
    this.heads.clear();
    this.statements.clear();
  }

  /** Reads the leaf at [from, end); null: it must be parsed. */
  read(buf: Buffer, from: number, end: number): "intent" | "outcome" | null {
    if (buf !== this.buf) {
      this.buf = buf;
      this.view = new DataView(buf.buffer, buf.byteOffset, buf.length);
    }
    const { view } = this;
    this.pos = from;
    // The shortest record of either kind is longer than this: everything up to the session is within.
    if (end - from < 250 || !this.expect(start)) return null;
    if (!readId(buf, this.pos, this.id)) return null;
    this.pos += idBytes;
    const isIntent = this.expect(intent);
    if (!isIntent && !this.expect(outcome)) return null;
    this.time = this.times.read(buf, this.pos);
    if (this.time < 0) return null;
    this.pos += timeBytes;
    const headStart = this.pos;
    const head = this.head(buf, headStart, end);
    if (head === null) return null;
    const headEnd = this.pos;
    if (headEnd + idBytes > end || !readId(buf, headEnd, this.request)) return null;
    this.pos += idBytes;
    if (!isIntent) return this.outcome(buf, end) ? "outcome" : null;

    const factsStart = this.pos;
    const { facts } = head;
    this.pos += facts.byteLength;
    if (
      head.known === null ||
      this.pos > end ||
      !sameBytes(view, factsStart, facts, 0, facts.byteLength) ||
      !startsWith(view, this.pos, statementName)
    ) {
      const stop = buf.indexOf(statementName, factsStart);
      if (stop < 0 || stop >= end || !this.learnFacts(head, buf, factsStart, stop)) return null;
      this.pos = stop;
    }
    this.session = head.known;
    return this.body(buf, head.node, end) ? "intent" : null;
  }

  /** From behind the time to where the request's id begins: node and session. */
  private head(buf: Buffer, from: number, end: number): Head<Session> | null {
    const { view } = this;
    const usual = from + this.headLength;
    if (this.headLength > 0 && usual <= end) {
      const found = this.heads.find(view, from, usual, usual, usual);
      if (found !== null) {
        this.pos = usual;
        return found;
      }
    }
    const at = buf.indexOf(requestName, from);
    if (at < 0 || at >= end) return null;
    const stop = at + requestName.length;
    this.pos = stop;
    this.headLength = stop - from;
    let head = this.heads.find(view, from, stop, stop, stop);
    if (head === null) {
      // The time ends here.
      if (buf[from] !== quote) return null;
      const members = parse(`{"${before}":"${buf.toString("utf8", from, stop)}"}`);
      if (members === null) return null;
      const { node, session } = members;
      if (Object.keys(members).join() !== `${before},node,session,request`) return null;
      head = { node, session, facts: none, known: null };
      if (stop - from <= maxRegion) this.heads.add(view, from, stop, stop, stop, head);
    }
    return head;
  }

  private learnFacts(head: Head<Session>, buf: Buffer, from: number, stop: number): boolean {
    const members = parse(`{"${before}":"${buf.toString("utf8", from, stop)}}`);
    if (members === null || stop - from > maxRegion || buf[from] !== quote) return false;
    const { [before]: _gap, ...named } = members;
    if (!Object.keys(named).every((name) => sessionNames.has(name))) return false;
    const { node, session } = head;
    head.known = this.learner.session({ node, session, ...named });
    head.facts = new DataView(new Uint8Array(buf.subarray(from, stop)).buffer);
    return head.known !== null;
  }

  /** From the statement to the leaf's end. */
  private body(buf: Buffer, node: unknown, end: number): boolean {
    const { view } = this;
    const from = this.pos;
    const sealed = buf.indexOf(sealedName, from);
    if (sealed < 0 || sealed >= end) return false;
    this.pos = sealed + sealedName.length;
    if (!this.slot(buf) || this.pos >= end) return false;
    const rest = this.pos;
    if (node !== this.node) {
      this.statements.clear();
      this.node = node;
    }
    let found = this.statements.find(view, from, sealed, rest, end);
    if (found === null) {
      const text = `{"${before}":0${buf.toString("utf8", from, sealed)}"sealed":null${buf.toString("utf8", rest, end)}`;
      const members = parse(text);
      if (members === null) return false;
      const { [before]: _gap, ...named } = members;
      const { statement } = named;
      // The gap must be the place of the sealed part, and no member may take another's place.
      if (!isObject(statement) || statement.sealed !== null || "sealed" in named) return false;
      if (Object.keys(named).some((name) => elsewhere.has(name))) return false;
      found = this.learner.statement({ type: "statement.intent", node, ...named });
      if (found === null) return false;
      if (end - from <= maxRegion) this.statements.add(view, from, sealed, rest, end, found);
    }
    this.statement = found;
    return true;
  }

  /** Day, frame and line of the sealed part, behind `"key":"`. */
  private slot(buf: Buffer): boolean {
    const day = this.pos;
    let same = true;
    for (let i = 0; i < 10; i++) if (buf[day + i] !== this.dayBytes[i]) same = false;
    if (!same) {
      const text = buf.toString("latin1", day, day + 10);
      if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
      this.day = text;
      this.dayBytes.set(buf.subarray(day, day + 10));
    }
    this.pos += 10;
    if (!this.expect(frameName)) return false;
    this.frame = this.number(buf);
    if (this.frame < 0 || !this.expect(atName)) return false;
    this.line = this.number(buf);
    if (this.line < 0 || !this.expect(digestName)) return false;
    this.digestAt = this.pos;
    let good = 1;
    for (let i = 0; i < 44; i++) good &= plain[buf[this.pos + i] ?? 0] ?? 0;
    this.pos += 44;
    return good === 1 && this.expect(slotEnd);
  }

  /** An outcome is believed for its beginning: what it says behind its status is not in the index. */
  private outcome(buf: Buffer, end: number): boolean {
    const { view, reference } = this;
    const from = this.pos;
    if (reference !== none && sameBytesWithin(view, from, reference, end)) this.pos += reference.byteLength;
    else {
      if (!this.expect(refStart)) return false;
      // An origin has no character that would be escaped.
      while (this.pos < end && (buf[this.pos] ?? 0) > 0x22 && buf[this.pos] !== 0x5c) this.pos++;
      if (!this.expect(refEnd)) return false;
      this.reference = new DataView(new Uint8Array(buf.subarray(from, this.pos)).buffer);
    }
    this.intent = this.number(buf);
    if (this.intent < 0 || !this.expect(statusStart)) return false;
    this.status = readStatus(buf, this.pos);
    return this.status !== oddStatus && this.pos < end;
  }

  /** A whole number as JSON has it; -1 when there is none of at most 15 digits. */
  private number(buf: Buffer): number {
    const from = this.pos;
    let value = 0;
    let p = from;
    for (; p < from + 16; p++) {
      const d = (buf[p] ?? 0) - 0x30;
      if (d < 0 || d > 9) break;
      value = value * 10 + d;
    }
    this.pos = p;
    const length = p - from;
    return length === 0 || length > 15 || (length > 1 && buf[from] === 0x30) ? -1 : value;
  }

  /** Whether these bytes stand here; goes behind them if so. */
  private expect(bytes: Uint8Array): boolean {
    if (!startsWith(this.view, this.pos, bytes)) return false;
    this.pos += bytes.length;
    return true;
  }
}

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

function startsWith(view: DataView, at: number, bytes: Uint8Array): boolean {
  if (at + bytes.length > view.byteLength) return false;
  for (let i = 0; i < bytes.length; i++) if (view.getUint8(at + i) !== bytes[i]) return false;
  return true;
}

function sameBytesWithin(view: DataView, at: number, other: DataView, end: number): boolean {
  return at + other.byteLength <= end && sameBytes(view, at, other, 0, other.byteLength);
}

function parse(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
