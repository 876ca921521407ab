/** The file anchor: checkpoints in a folder that lies, if it is to be of use, outside of the gateway's own disk. */
import { mkdir, open, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { noteOfLine } from "../verify/kept.ts";
import { type Anchor, recentNotes } from "./types.ts";

/** A checkpoint line is far shorter than 1 KiB; the end of a file holds enough of them. */
const endBytes = 64 * 1024;

/** The file name of an origin: its slashes cannot stand in one. */
export function anchorFileName(origin: string): string {
  return origin.replaceAll("/", "_");
}

/**
 * Appends each checkpoint to `<origin>.<year>-<month>.jsonl` as `{"received","size","checkpoint"}` and puts the newest one,
 * as it is, into `<origin>.checkpoint`. Everything is synced. The folder is made when it is not there.
 */
export function fileAnchor(dir: string): Anchor {
  return {
    name: `file:${dir}`,
    async put({ origin, size, note }) {
      await mkdir(dir, { recursive: true, mode: 0o750 });
      const received = new Date().toISOString();
      const base = join(dir, anchorFileName(origin));
      const line = `${JSON.stringify({ received, size, checkpoint: note })}\n`;
      await write(`${base}.${received.slice(0, 7)}.jsonl`, "a", line);
      await write(`${base}.checkpoint.tmp`, "w", note);
      await rename(`${base}.checkpoint.tmp`, `${base}.checkpoint`);
    },
    async recent(origin) {
      const prefix = `${anchorFileName(origin)}.`;
      let names: string[];
      try {
        names = await readdir(dir);
      } catch (error) {
        // A folder that is yet to be made has kept nothing.
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw error;
      }
      const months = names
        .filter((name) => name.startsWith(prefix) && /^\d{4}-\d\d\.jsonl$/.test(name.slice(prefix.length)))
        .sort()
        .reverse();
      const notes: Buffer[] = [];
      for (const name of months) {
        for (const note of (await lastNotes(join(dir, name))).reverse()) notes.push(note);
        if (notes.length >= recentNotes) break;
      }
      return notes.slice(0, recentNotes);
    },
    async close() {},
  };
}

async function write(path: string, flags: "a" | "w", text: string): Promise<void> {
  const file = await open(path, flags, 0o640);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The checkpoints at the end of a file, oldest first; a torn line is none. */
async function lastNotes(path: string): Promise<Buffer[]> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - endBytes);
    const buf = Buffer.alloc(size - start);
    const { bytesRead } = await file.read(buf, 0, buf.length, start);
    const lines = buf.toString("utf8", 0, bytesRead).split("\n");
    if (start > 0) lines.shift();
    return lines.map(noteOfLine).filter((note) => note !== null);
  } finally {
    await file.close();
  }
}
