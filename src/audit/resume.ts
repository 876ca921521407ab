/**
 * Where to go on after a restart, written beside the log once a second: a cache that saves reading the whole log. It is
 * believed only under the master key's MAC, and only together with the signed checkpoint it holds.
 */
import { createHmac } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "./files.ts";

export interface Resume {
  /** The signed note of the checkpoint, base64. */
  readonly note: string;
  /** First leaf of the segment that holds the checkpoint's line, and the offset behind that line. */
  readonly segment: number;
  readonly offset: number;
  /** The tree's subtree roots at the checkpoint, base64, largest first. */
  readonly nodes: readonly string[];
  /** Number of the next sealed frame. */
  readonly frame: number;
  /** The oldest intent without an outcome below the checkpoint; null when there is none. */
  readonly open: number | null;
  /** Written by a writer that closed the log behind this checkpoint. */
  readonly closed: boolean;
}

function mac(tail: Buffer, text: string): string {
  return createHmac("sha256", tail).update("postern-resume-v1\n").update(text).digest("base64");
}

export function writeResume(dir: string, tail: Buffer, resume: Resume): void {
  const text = JSON.stringify(resume);
  replaceFile(join(dir, "resume"), `${text}\n${mac(tail, text)}\n`);
}

/** null when there is none or it is not ours: then the log is read from its beginning. */
export function readResume(dir: string, tail: Buffer): Resume | null {
  const path = join(dir, "resume");
  if (!existsSync(path)) return null;
  const [text = "", sum = "", rest] = readFileSync(path, "utf8").split("\n");
  if (rest !== "" || mac(tail, text) !== sum) return null;
  // Under our own MAC the text is what writeResume wrote.
  return JSON.parse(text) as Resume;
}
