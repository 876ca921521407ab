/** Follows the messages that come behind a held one without taking them: one of them may be Terminate. */
import type { Watch } from "./holding.ts";

/** Bytes that a client may send behind a held message; reading goes on meanwhile, so that its end is noticed. */
export const maxBehind = 4 * 1024 * 1024;

const terminate = 0x58;

export function createWatch(): Watch {
  return { chunks: 0, skip: 0, header: Buffer.alloc(5), headerBytes: 0, base: -1 };
}

/**
 * Looks at the chunks that have not been looked at, from the held message on. `bytes`: what they cost altogether.
 * Bytes that are no message are for `receive` to find: it sees them when the stream goes on.
 */
export function terminates(
  watch: Watch,
  chunks: readonly Buffer[],
  bytes: number,
): "terminate" | "too-much" | null {
  if (watch.base < 0) watch.base = bytes;
  for (; watch.chunks < chunks.length; watch.chunks++) {
    const chunk = chunks[watch.chunks];
    if (chunk !== undefined && look(watch, chunk)) return "terminate";
  }
  return bytes - watch.base > maxBehind ? "too-much" : null;
}

function look(watch: Watch, chunk: Buffer): boolean {
  let at = 0;
  while (at < chunk.length) {
    if (watch.skip > 0) {
      const n = Math.min(watch.skip, chunk.length - at);
      watch.skip -= n;
      at += n;
      continue;
    }
    watch.header[watch.headerBytes++] = chunk[at++] ?? 0;
    if (watch.headerBytes < 5) continue;
    watch.headerBytes = 0;
    if (watch.header[0] === terminate) return true;
    watch.skip = Math.max(0, watch.header.readInt32BE(1) - 4);
  }
  return false;
}
