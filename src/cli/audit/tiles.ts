/** `postern audit tiles OUT`: the log as C2SP tlog-tiles, for software that is not ours. */

import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { exportTiles, firstsOf, TilesError } from "../../audit/tiles.ts";
import { followRotations, parseVerifierKey } from "../../audit/verify/index.ts";
import { findRotations } from "../../audit/verify/prove.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { findPlace, ownKey, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit tiles OUT [--json]

Writes the log as static files of https://c2sp.org/tlog-tiles: OUT/checkpoint, OUT/tile/<level>/<number> and
OUT/tile/entries/<number>. Entries are records as stored. With several logs each gets a folder of its own below OUT.

${placeUsage}      --json             what was written

Exit code 0: done. 1: the log does not give the root of its checkpoint.
`;

export async function tiles(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, { ...placeOptions, json: { type: "boolean" } }, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const out = resolve(parsed.positionals[0] ?? "");
  const { logs } = await findPlace(parsed.values, usage);
  let code = 0;
  for (const log of logs) {
    const own = ownKey(log);
    const key = own === null ? null : parseVerifierKey(own.vkey);
    if (key === null || !key.ok) throw new UsageError(`${log.dir}: log.vkey is missing or damaged`, usage);
    try {
      const ring = followRotations(key.value, findRotations(log.dir));
      if (!ring.ok) throw new TilesError(ring.problem);
      const names = readdirSync(join(log.dir, "segments"));
      const target = logs.length === 1 ? out : join(out, log.name);
      const made = exportTiles(log.dir, ring.value, firstsOf(names), target);
      if (parsed.values.json === true) process.stdout.write(`${JSON.stringify({ out: target, ...made })}\n`);
      else
        process.stdout.write(
          `${made.origin}: ${made.size} records in ${made.tiles} tiles and ${made.bundles} bundles in ${target}\n${made.withoutEntries > 0 ? `the first ${made.withoutEntries} records were pruned: hashes without entries\n` : ""}`,
        );
    } catch (error) {
      if (!(error instanceof TilesError)) throw error;
      process.stderr.write(`postern audit tiles: ${log.dir}: ${error.message}\n`);
      code = 1;
    }
  }
  return code;
}
