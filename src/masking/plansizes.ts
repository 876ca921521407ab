/**
 * What EXPLAIN ANALYZE tells of the size of rows: memory, disk and storage of sorts, hashes and WITH queries (PostgreSQL source,
 * explain.c). Rows that a statement repeats a thousand times tell how long a value is.
 */
import { type CellMask, passes } from "./cell.ts";
import type { NameMask } from "./names.ts";

const keys = [
  "(?:Average |Peak )?Sort Space (?:Used|Type)",
  "Sort Methods?(?: Used)?",
  "Full-sort Groups",
  "Pre-sorted Groups",
  "(?:Maximum )?Storage",
  "Peak Memory Usage",
  "Memory (?:Used|Allocated)",
  "Disk Usage",
  "HashAgg Batches",
  "(?:Original )?Hash (?:Buckets|Batches)",
  "Cache (?:Evictions|Overflows)",
  "Output Volume",
  "(?:Local |Shared |Temp )?(?:Temp|I/O) (?:Read|Written|Write) (?:Blocks|Time)",
].join("|");
/** As lines have them: what follows the first of these tells of sizes. */
const inLine =
  /\b(Sort Methods?|Full-sort Groups|Pre-sorted Groups|Storage|Maximum Storage|Serialization|Buckets|Batches|Evictions|Memory Usage|Memory|Disk Usage|Disk): (?!null$).*$/gm;
const spilled = /(?:, ?)?\btemp (?:read|written|write)=[\d.]+(?: (?:written|write)=[\d.]+)?/g;
const inJson = new RegExp(`"(${keys})": (?:"[^"]*"|\\[[^\\]]*\\]|\\{[^{}]*\\}|[\\d.]+)`, "g");
const inYaml = new RegExp(`^([ -]*(?:${keys})): (?:"[^"]*"|[\\d.]+)$`, "gm");
const inXml = new RegExp(`<(${keys.replaceAll(" ", "-")})>[^<]*</`, "g");

/**
 * Of a write: bytes of the write-ahead log are fewer the more of the old row the new one repeats, and indexes are left alone where their
 * columns stay what they were (PostgreSQL source, heapam.c, log_heap_update and heap_update).
 */
const written = [
  "WAL (?:Records|FPI|Bytes|Buffers Full)",
  "(?:Shared|Local) (?:Hit|Read|Dirtied|Written) Blocks",
  "(?:Shared |Local )?I/O (?:Read|Write) Time",
].join("|");
const writtenInLine = /\b(WAL|Buffers|I\/O Timings): (?!null$).*$/gm;
const writtenInJson = new RegExp(`"(${written})": [\\d.]+`, "g");
const writtenInYaml = new RegExp(`^([ -]*(?:${written})): [\\d.]+$`, "gm");
const writtenInXml = new RegExp(`<(${written.replaceAll(" ", "-")})>[^<]*</`, "g");

function hideWritten(text: string): string {
  return text
    .replace(writtenInJson, '"$1": null')
    .replace(writtenInXml, "<$1></")
    .replace(writtenInYaml, "$1: null")
    .replace(writtenInLine, "$1: ***");
}

/** Hides them in the rows of a plan, in any of its formats; `names`: what else must not be told; `writes`: it is one of a write. */
export function createPlanMask(names: NameMask | null, writes = false): NameMask {
  function hide(text: string): string {
    return (writes ? hideWritten(text) : text)
      .replace(inJson, '"$1": null')
      .replace(inXml, "<$1></")
      .replace(inYaml, "$1: null")
      .replace(inLine, "$1: ***")
      .replace(spilled, "");
  }
  return {
    cell(type, format): CellMask {
      const other = names?.cell(type, format) ?? null;
      return (b, at, end, out) => {
        // Plans are text, json or xml: in binary, too, they are their text.
        const text = b.toString("latin1", at, end);
        const hidden = hide(text);
        if (hidden === text) return other === null ? passes : other(b, at, end, out);
        const bytes = Buffer.from(hidden, "latin1");
        const size = other === null ? passes : other(bytes, 0, bytes.length, out);
        if (size !== passes) return size;
        out.copy(bytes, 0, bytes.length);
        return bytes.length;
      };
    },
    text: (text) => names?.text(hide(text)) ?? hide(text),
  };
}
