/** Leaves by their index, in order: for whoever reads on from where they stopped. */
import { type Json, type LogPlace, parseLeaf, readBatches, segmentsOf } from "./leaves.ts";

export interface RangeEntry {
  readonly index: number;
  readonly leaf: Json;
}

/** Leaves from index `from` on, at most `count`; what was pruned is missing. Throws what the file system throws. */
export function readRange(log: LogPlace, from: number, count: number): RangeEntry[] {
  const firsts = segmentsOf(log.dir);
  const first = firsts.findLast((one) => one <= from) ?? firsts[0];
  if (first === undefined) return [];
  const found: RangeEntry[] = [];
  readBatches(
    log,
    { first, offset: 0, index: first },
    {
      leaf(buf, start, end, index) {
        if (index < from || found.length >= count) return;
        const leaf = parseLeaf(buf, start, end);
        if (leaf !== null) found.push({ index, leaf });
      },
      batch: () => found.length < count,
    },
  );
  return found;
}
