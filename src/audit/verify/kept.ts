/** Checkpoints kept elsewhere, as files: what the file anchor writes, or notes saved by hand. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

export interface KeptCheckpoint {
  readonly name: string;
  readonly origin: string;
  readonly note: Buffer;
}

/** The checkpoints in the *.checkpoint and *.jsonl files of a folder, each text once. Throws what the file system throws. */
export function readKept(dir: string): KeptCheckpoint[] {
  const notes = new Map<string, KeptCheckpoint>();
  for (const name of readdirSync(dir).sort()) {
    const path = join(dir, name);
    if (!statSync(path).isFile()) continue;
    const found = name.endsWith(".checkpoint")
      ? [readFileSync(path)]
      : name.endsWith(".jsonl")
        ? readFileSync(path, "utf8").split("\n").map(noteOfLine)
        : [];
    for (const note of found) {
      if (note === null) continue;
      const text = note.toString("utf8");
      notes.set(text, { name, origin: text.slice(0, text.indexOf("\n")), note });
    }
  }
  return [...notes.values()];
}

/** The signed note in a line of an anchor file; null when it holds none. */
export function noteOfLine(line: string): Buffer | null {
  if (line === "") return null;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== "object" || entry === null || !("checkpoint" in entry)) return null;
    return typeof entry.checkpoint === "string" ? Buffer.from(entry.checkpoint, "utf8") : null;
  } catch {
    return null;
  }
}
