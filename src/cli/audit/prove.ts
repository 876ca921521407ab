/** `postern audit prove` and `verify-proof`: a record shown to be in the log, checked without the log. */
import { readFileSync } from "node:fs";
import { isObject, leafText } from "../../audit/read/leaves.ts";
import { sentence } from "../../audit/read/sentence.ts";
import { readRequest } from "../../audit/read/show.ts";
import { proveLeaf, verifyProof } from "../../audit/verify/index.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { findPlace, givenKey, ownKey, placeOptions, placeUsage } from "./place.ts";

const proveUsage = `Usage: postern audit prove RECORD_ID > proof.json

Writes an inclusion proof: the record as stored, its path in the Merkle tree, and the signed checkpoint.
It holds nothing of the other records. RECORD_ID is the "id" of a record (search --json, show --json).
${placeUsage}
Exit code 0: proven. 1: no such record, or no proof.
`;

export async function prove(args: string[]): Promise<number> {
  const parsed = readArgs(args, proveUsage, placeOptions, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const id = parsed.positionals[0] ?? "";
  const place = await findPlace(parsed.values, proveUsage);
  for (const log of place.logs) {
    const entry = readRequest(log, id).entries.find(({ leaf }) => leaf.id === id);
    if (entry === undefined) continue;
    const key = ownKey(log);
    const stored = leafText(log, entry);
    const proof =
      key === null
        ? { ok: false as const, problem: "log.vkey is missing or damaged" }
        : proveLeaf(log.dir, key.vkey, entry.index, stored);
    if (proof.ok) {
      process.stdout.write(`${JSON.stringify(proof.value, null, 2)}\n`);
      return 0;
    }
    process.stderr.write(`postern audit prove: ${proof.problem}\n`);
    return 1;
  }
  process.stderr.write(`postern audit prove: there is no record with the id ${JSON.stringify(id)}\n`);
  return 1;
}

const verifyUsage = `Usage: postern audit verify-proof FILE [--key KEY] [--json]

Checks an inclusion proof with no access to the log.

      --key KEY  the log's verifier key, or a file with it (default: the key in the proof, which proves nothing against its maker)

Exit code 0: the record is in the signed log. 1: it is not shown to be.
`;

export async function verifyProofFile(args: string[]): Promise<number> {
  const options = { key: { type: "string" }, json: { type: "boolean" } } as const;
  const parsed = readArgs(args, verifyUsage, options, { least: 1, most: 1 });
  if (parsed === null) return 0;
  let text: string;
  try {
    text = readFileSync(parsed.positionals[0] ?? "", "utf8");
  } catch {
    throw new UsageError(`cannot read ${parsed.positionals[0]}`, verifyUsage);
  }
  const { key } = parsed.values;
  const read = verifyProof(text, key === undefined ? undefined : givenKey(key, verifyUsage));
  if (parsed.values.json === true)
    process.stdout.write(`${JSON.stringify(read.ok ? { ok: true, ...read.value } : read)}\n`);
  else if (read.ok) {
    const { log, index, size, time, record } = read.value;
    process.stdout.write(
      `OK   record ${index} of ${log}, under a checkpoint of ${size} records signed ${time}\n`,
    );
    if (isObject(record)) process.stdout.write(`     ${sentence(record)}\n`);
    if (key === undefined)
      process.stdout.write(
        "     checked with the key in the proof itself: compare it with one from elsewhere (--key)\n",
      );
  } else process.stdout.write(`BAD  ${read.problem}\n`);
  return read.ok ? 0 : 1;
}
