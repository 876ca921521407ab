/** Sealing the personal part of a record: into the open frame, or into a blob when it is long. */
import type { GroupCommit } from "./commit.ts";
import { dayKey, type LogKeys } from "./keys.ts";
import { putLatin1, putNumber } from "./record/bytes.ts";
import type { StoreBlob } from "./record/contexts.ts";
import { words } from "./record/words.ts";
import { blobAad, seal } from "./seal.ts";

/** Sealed content longer than this, in bytes, goes to a blob of its own. */
const maxSealed = 256 * 1024;
const dayMs = 24 * 3600 * 1000;

export class Sealing {
  private readonly commit: GroupCommit;
  private readonly dir: string;
  private readonly origin: string;
  private readonly keys: LogKeys;
  private dayStart = 0;
  private day = "";
  private frameNumber = -1;
  /** Beginning of the places in the open frame. */
  private frameText: Buffer = Buffer.alloc(0);

  constructor(commit: GroupCommit, dir: string, origin: string, keys: LogKeys) {
    this.commit = commit;
    this.dir = dir;
    this.origin = origin;
    this.keys = keys;
  }

  /**
   * Seals JSON text into the open frame and gives its digest (44 characters), or into a blob and gives its whole place
   * as JSON; `putPlace()` and `placeText()` take either. Throws AuditUnavailable.
   */
  seal(json: string): string {
    this.today();
    if (json.length > maxSealed / 3 && Buffer.byteLength(json) > maxSealed) return this.sealBlob(json);
    const { batch } = this.commit;
    const { number, day } = batch.openFrame(this.day);
    if (number !== this.frameNumber) {
      this.frameNumber = number;
      this.frameText = Buffer.from(`{"key":"${day}","frame":${number},"at":`, "latin1");
    }
    return batch.sealLine(json);
  }

  /** Writes the place of the line sealed last; gives the bytes written. */
  putPlace(place: string, at: number): number {
    const { batch } = this.commit;
    const { buf } = batch;
    if (place.startsWith("{")) return putLatin1(buf, place, at);
    let p = at;
    buf.set(this.frameText, p);
    p += this.frameText.length;
    p += putNumber(buf, batch.lastLine, p);
    buf.set(words.sealedDigest, p);
    p += words.sealedDigest.length;
    p += putLatin1(buf, place, p);
    buf[p++] = 0x22;
    buf[p++] = 0x7d;
    return p - at;
  }

  /** The place of the line sealed last, as JSON. */
  placeText(place: string): string {
    if (place.startsWith("{")) return place;
    return `${this.frameText.toString("latin1")}${this.commit.batch.lastLine},"digest":"${place}"}`;
  }

  private sealBlob(json: string): string {
    const { line, digest } = this.commit.batch.looseLine(json);
    return this.guard(() => {
      const key = dayKey(this.dir, this.origin, this.keys.wrap, this.day);
      const name = this.commit.blobs.put(seal(key, blobAad(this.origin, this.day), line));
      return `{"key":"${this.day}","blob":"${name}","digest":"${digest}"}`;
    });
  }

  /** Stores text as a blob and gives the JSON that stands for it. Throws AuditUnavailable. */
  readonly store: StoreBlob = (text) => {
    const content = Buffer.from(text, "utf8");
    return this.guard(() => `{"blob":"${this.commit.blobs.put(content)}","bytes":${content.length}}`);
  };

  /** A blob that cannot be written ends the log as a failed write does. */
  private guard(step: () => string): string {
    this.commit.admit();
    try {
      return step();
    } catch (error) {
      throw this.commit.broken(error);
    }
  }

  /** Sets `day` to the present UTC day. */
  private today(): void {
    const now = Date.now();
    if (now >= this.dayStart && now < this.dayStart + dayMs) return;
    this.dayStart = now - (now % dayMs);
    this.day = new Date(now).toISOString().slice(0, 10);
  }
}
