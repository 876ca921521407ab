/** Descriptions of results for the record. */
import type { ColumnsContext } from "../../../audit/index.ts";
import { type CatalogSnapshot, columnText } from "../../../catalog/index.ts";
import { decodeRowDescription, typeName } from "../../../protocol/index.ts";
import type { Judgement } from "../judgement.ts";
import type { Walk } from "../state.ts";

/** The same result descriptions come over and over: one pre-serialised record for each, bounded. */
const maxColumnsCache = 4096;
const maxColumnsKey = 16 * 1024;

/** Each database and login counts the epochs of its catalogs for itself; the cache is one for all. */
const ids = new WeakMap<CatalogSnapshot, number>();
let lastId = 0;

function idOf(catalog: CatalogSnapshot): number {
  let id = ids.get(catalog);
  if (id === undefined) {
    id = ++lastId;
    ids.set(catalog, id);
  }
  return id;
}

export function columnsOf(
  walk: Walk,
  chunk: Buffer,
  start: number,
  end: number,
  judged: Judgement | null,
): ColumnsContext {
  const plan = judged?.plan ?? null;
  const catalog = judged?.view?.catalog ?? null;
  const hidden = plan === null ? "" : plan.columns.map((column) => (column === null ? 0 : 1)).join("");
  const key =
    end - start <= maxColumnsKey
      ? `${catalog === null ? "" : idOf(catalog)}|${hidden}|${chunk.toString("latin1", start, end)}`
      : null;
  if (key !== null) {
    const known = walk.columnsCache.get(key);
    if (known !== undefined) return known;
  }
  const { fields } = decodeRowDescription(chunk.subarray(start, end));
  const columns = walk.audit.columns(
    fields.map((f, i) => ({
      name: f.name,
      type: typeName(f.typeOid),
      origin: catalog === null || f.table === 0 ? null : columnText(catalog, f.table, f.column),
      masked: plan?.columns[i] != null,
    })),
    fields.map((f) => f.format),
  );
  if (key !== null) {
    if (walk.columnsCache.size >= maxColumnsCache) walk.columnsCache.clear();
    walk.columnsCache.set(key, columns);
  }
  return columns;
}
