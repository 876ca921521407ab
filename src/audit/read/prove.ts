/** The inclusion proof of one record of a folder of logs, by its id. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ProofFile, proveLeaf } from "../verify/prove.ts";
import { type LogPlace, leafText } from "./leaves.ts";
import { readRequest } from "./show.ts";

export type Proven =
  | { readonly state: "proven"; readonly proof: ProofFile }
  /** No saved checkpoint covers it yet, or the log cannot be read: `problem` says which. */
  | { readonly state: "unproven"; readonly problem: string }
  | { readonly state: "missing" };

/** Throws what the file system throws. */
export function proveRecord(logs: readonly LogPlace[], id: string): Proven {
  for (const log of logs) {
    const entry = readRequest(log, id).entries.find(({ leaf }) => leaf.id === id);
    if (entry === undefined) continue;
    const vkey = readFileSync(join(log.dir, "log.vkey"), "utf8").trim();
    const made = proveLeaf(log.dir, vkey, entry.index, leafText(log, entry));
    return made.ok ? { state: "proven", proof: made.value } : { state: "unproven", problem: made.problem };
  }
  return { state: "missing" };
}
