/** Content-addressed files for what is too long for a leaf or a frame. */
import { hash } from "node:crypto";
import { closeSync, existsSync, fsync, mkdirSync, openSync, renameSync, statSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { syncFolder, writeAll } from "./files.ts";

/** Path of a blob below the log's folder. */
export function blobPath(dir: string, name: string): string {
  return join(dir, "blobs", name.slice(0, 2), name);
}

export class BlobStore {
  private readonly dir: string;
  /** Calls of fsync under way: their files must not be closed. */
  syncing = 0;
  /** Written, but not yet synced. */
  private fresh: { readonly fd: number; readonly folder: string }[] = [];

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Stores `content` (with the operating system; durable after `sync`), gives its lower-case hex SHA-256. Throws what the file system throws. */
  put(content: Buffer): string {
    const name = hash("sha256", content, "hex");
    const path = blobPath(this.dir, name);
    if (existsSync(path) && statSync(path).size === content.length) {
      // Retention goes by when a blob was last wanted.
      const now = new Date();
      utimesSync(path, now, now);
      return name;
    }
    const folder = dirname(path);
    if (mkdirSync(folder, { recursive: true, mode: 0o750 }) !== undefined) syncFolder(dirname(folder));
    const fd = openSync(`${path}.tmp`, "w", 0o640);
    this.fresh.push({ fd, folder });
    writeAll(fd, content);
    renameSync(`${path}.tmp`, path);
    return name;
  }

  /** Files that `sync` would have to wait for. */
  get unsynced(): number {
    return this.fresh.length;
  }

  /** Makes everything put so far durable; calls `done` once. */
  sync(done: (error: Error | null) => void): void {
    const batch = this.fresh;
    this.fresh = [];
    let open = batch.length;
    let failed: Error | null = null;
    for (const { fd, folder } of batch) {
      this.syncing++;
      fsync(fd, (error) => {
        this.syncing--;
        try {
          closeSync(fd);
          if (error === null) syncFolder(folder);
        } catch (other) {
          failed ??= other as Error;
        }
        failed ??= error;
        open--;
        if (open === 0) done(failed);
      });
    }
    if (batch.length === 0) done(null);
  }

  /** Closes what is still open, synced or not. */
  close(): void {
    for (const { fd } of this.fresh) closeSync(fd);
    this.fresh = [];
  }
}
