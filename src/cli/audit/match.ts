/** `postern audit match REQUEST FILE`: whether a copy of a result is what was delivered. */
import { readFileSync } from "node:fs";
import { AuditOpenError } from "../../audit/index.ts";
import type { CopyFormat } from "../../audit/match/files.ts";
import { best, type Match, matchCopy } from "../../audit/match/match.ts";
import { readResults } from "../../audit/read/result.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { findPlace, ownKey, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit match REQUEST FILE [--part N] [--format F] [--keys DIR] [--json]

Says whether FILE is a copy of what the client of REQUEST was sent: match, mismatch, or cannot tell. It compares with the
rows where they were captured, else with their salted digest. It shows that a copy is what was delivered; running the
statement again need not give the same.

      --part N       the statement's place in its message, from 0 (default: any that fits)
      --format F     csv: psql --csv; unaligned: psql -A, with or without -t; jsonl: JSON objects or arrays, one a line, or
                     one list of them; raw: DataRow or CopyData messages; copy: the output of COPY TO STDOUT as it is
                     (default: what FILE looks like)
      --null TEXT    what stands for NULL in csv and unaligned (psql's \\pset null)
      --separator S  what stands between values (default: "," in csv, "|" in unaligned)
      --keys DIR     the folder of the keys (default: as postern.yaml says; with --dir: "keys" beside the audit folder)
      --json         the verdict as JSON
${placeUsage}
Exit code 0: match. 1: mismatch, cannot tell, or no such result. Without --null, CSV cannot tell NULL from ''.
`;

const formats: readonly string[] = ["csv", "unaligned", "jsonl", "raw", "copy"] satisfies CopyFormat[];

export async function match(args: string[]): Promise<number> {
  const word = { type: "string" } as const;
  const options = {
    ...placeOptions,
    part: word,
    format: word,
    null: word,
    separator: word,
    keys: word,
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options, { least: 2, most: 2 });
  if (parsed === null) return 0;
  const [request = "", path = ""] = parsed.positionals;
  const { format, part } = parsed.values;
  if (format !== undefined && !formats.includes(format)) throw new UsageError("no such --format", usage);
  if (part !== undefined && !/^\d+$/.test(part)) throw new UsageError("--part is not a number", usage);
  const style = { null: parsed.values.null ?? "", separator: parsed.values.separator ?? null };
  if (style.separator !== null && !/^[^"\r\n]+$/.test(style.separator))
    throw new UsageError("--separator is empty, a quote or a line's end", usage);
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch {
    throw new UsageError(`cannot read ${path}`, usage);
  }
  const place = await findPlace(parsed.values, usage);
  const keys = parsed.values.keys ?? place.keys;
  const found: (Match & { part: number; complete: boolean })[] = [];
  try {
    for (const log of place.logs)
      for (const { part: index, result } of readResults(log, ownKey(log)?.origin ?? "", request, keys)) {
        if (part !== undefined && index !== Number(part)) continue;
        const compared = matchCopy(file, (format as CopyFormat | undefined) ?? null, result, style);
        found.push({ part: index, complete: result.complete, ...compared });
      }
  } catch (error) {
    if (!(error instanceof AuditOpenError)) throw error;
    process.stderr.write(`postern audit match: ${error.message}\n`);
    return 1;
  }
  if (found.length === 0) {
    process.stderr.write(`postern audit match: no result of ${JSON.stringify(request)} is on the record\n`);
    return 1;
  }
  const { verdict, why, complete, part: where } = best(found);
  const only = complete ? "" : " (the client did not get all rows: it was cut off)";
  if (parsed.values.json === true)
    process.stdout.write(`${JSON.stringify({ request, part: where, verdict, why, complete })}\n`);
  else process.stdout.write(`${verdict}: ${why}${only}\n`);
  return verdict === "match" ? 0 : 1;
}
