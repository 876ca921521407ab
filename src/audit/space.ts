/** Room on the log's disk: the ballast that is given back for the last words, and the watermark below which no session begins. */
import { randomBytes } from "node:crypto";
import { existsSync, rmSync, statfsSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder, writeNewFile } from "./files.ts";

const mebi = 1024 * 1024;
export const ballastBytes = 4 * mebi;
/** Free space below this, or below this part of a small disk, is low. */
const lowBytes = 64 * mebi;
const lowPart = 0.05;

interface Stat {
  readonly bsize: number;
  readonly blocks: number;
  readonly bavail: number;
}

function watermark({ bsize, blocks }: Stat): number {
  return Math.min(lowBytes, bsize * blocks * lowPart);
}

/** Space that is given back when the disk is full, to write why the log ends. Random bytes: no file system folds them away. */
export function keepBallast(dir: string): void {
  const path = join(dir, "ballast");
  if (existsSync(path) && statSync(path).size === ballastBytes) return;
  rmSync(path, { force: true });
  writeNewFile(path, randomBytes(ballastBytes), 0o600);
  syncFolder(dir);
}

/** Whether there is room to go on in after the disk was full: the ballast, and more than the watermark. Throws what the file system throws. */
export function hasRoom(dir: string): boolean {
  const stat = statfsSync(dir);
  const ballast = existsSync(join(dir, "ballast")) ? 0 : ballastBytes;
  return stat.bsize * stat.bavail >= ballast + 2 * watermark(stat);
}

/** Whether space is low now; once it is, it takes a quarter more than the watermark to end that. null: the disk does not say. */
export async function isLow(dir: string, was: boolean): Promise<{ low: boolean; free: number } | null> {
  try {
    const stat = await statfs(dir);
    const free = stat.bsize * stat.bavail;
    return { low: free < watermark(stat) * (was ? 1.25 : 1), free };
  } catch {
    return null;
  }
}
