/** Leaves of any kind, on their way into the batch. */
import type { GroupCommit } from "./commit.ts";
import { putUtf8 } from "./record/bytes.ts";
import { stampNow } from "./record/clock.ts";
import type { StoreBlob } from "./record/contexts.ts";
import { shorten } from "./record/shorten.ts";
import { putUuid, uuidBytes } from "./record/uuid.ts";
import { head, wordsRoom } from "./record/words.ts";
import { maxLeaf } from "./verify/segment.ts";

/** Appends a leaf from its members after `time`, as JSON text with the closing brace; gives its index. Throws AuditUnavailable when a blob it needs cannot be stored. */
export function appendLeaf(commit: GroupCommit, store: StoreBlob, type: string, members: string): number {
  commit.unbuilt.build();
  const { batch } = commit;
  const time = stampNow();
  batch.reserve(wordsRoom + members.length * 3);
  const line = batch.pos;
  let p = line;
  batch.buf.set(head, p);
  p += head.length;
  putUuid(batch.buf, p);
  p += uuidBytes;
  p += putUtf8(batch.buf, `","type":"${type}","time":"${time}",${members}\n`, p);
  const index = commit.size;
  endLeaf(commit, store, line, p);
  commit.appended(true);
  return index;
}

/**
 * Ends the leaf that stands at [line, end) of the batch's buffer, newline included; one that is too long for a leaf hands its
 * longest parts to blobs.
 */
export function endLeaf(commit: GroupCommit, store: StoreBlob, line: number, end: number): void {
  const { batch } = commit;
  let stop = end;
  if (stop - line - 3 > maxLeaf) {
    const text = shorten(batch.buf.toString("utf8", line + 2, stop - 1), maxLeaf, store);
    stop = line + 2 + putUtf8(batch.buf, text, line + 2);
    batch.buf[stop++] = 0x0a;
  }
  batch.endLeaf(line, stop);
}
