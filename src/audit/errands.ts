/** What the command line asks of a log that a gateway has open: files in a folder of the log, answered beside them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { replaceFile } from "./files.ts";
import { uuidv7 } from "./record/uuid.ts";

export type Errand =
  | { readonly do: "erase"; readonly day: string; readonly reason: string }
  | { readonly do: "prune"; readonly before: number; readonly reason: string };

export type Answer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly why: string };

const waitMs = 20_000;

function folder(dir: string): string {
  return join(dir, "errands");
}

/** Asks the gateway that has the log in `dir` open; null when it does not answer in time. */
export async function ask(dir: string, errand: Errand): Promise<Answer | null> {
  const id = uuidv7();
  mkdirSync(folder(dir), { recursive: true, mode: 0o750 });
  const answer = join(folder(dir), `${id}.answer`);
  replaceFile(join(folder(dir), `${id}.ask`), JSON.stringify(errand));
  for (let waited = 0; waited < waitMs && !existsSync(answer); waited += 100) await sleep(100);
  rmSync(join(folder(dir), `${id}.ask`), { force: true });
  if (!existsSync(answer)) return null;
  const said = JSON.parse(readFileSync(answer, "utf8")) as Answer;
  rmSync(answer, { force: true });
  return said;
}

/** Does what was asked, one after the other. Rejects with what the file system throws. */
export async function answerErrands(dir: string, run: (errand: Errand) => Promise<unknown>): Promise<void> {
  if (!existsSync(folder(dir))) return;
  for (const name of readdirSync(folder(dir)).sort()) {
    if (!name.endsWith(".ask")) continue;
    const path = join(folder(dir), name);
    const errand = readErrand(path);
    rmSync(path, { force: true });
    if (errand === null) continue;
    const answer = await run(errand).then(
      (result): Answer => ({ ok: true, result }),
      (error: unknown): Answer => ({ ok: false, why: error instanceof Error ? error.message : "failed" }),
    );
    replaceFile(path.replace(/\.ask$/, ".answer"), JSON.stringify(answer));
  }
}

function readErrand(path: string): Errand | null {
  try {
    const asked = JSON.parse(readFileSync(path, "utf8")) as Readonly<Record<string, unknown>>;
    const reason = typeof asked.reason === "string" ? asked.reason.slice(0, 1000) : "";
    if (asked.do === "erase" && typeof asked.day === "string") return { do: "erase", day: asked.day, reason };
    if (asked.do === "prune" && typeof asked.before === "number")
      return { do: "prune", before: asked.before, reason };
  } catch {
    // Not ours.
  }
  return null;
}
