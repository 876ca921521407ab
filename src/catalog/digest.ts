/** A cheap answer to "has anything changed that the snapshot depends on, and where?" */
import { hash } from "node:crypto";
import { unreadable } from "./errors.ts";
import type { CatalogQuery } from "./types.ts";
import { digestQuery, type Kind, kinds } from "./watched.ts";

export interface CatalogState {
  /** "sha256:…". Equal digests mean an unchanged catalog (temporary objects of sessions do not count). */
  readonly digest: string;
  /** Server, database, the role and what it may do as another role: what was read under another one is another's. */
  readonly login: string;
  /** Of schemas and roles. */
  readonly others: string;
  /** Of each piece of each kind; those that hold nothing are not there. */
  readonly pieces: Readonly<Record<Kind, ReadonlyMap<number, string>>>;
  /**
   * Everything that was seen is committed. Not so in a transaction that has written something itself: it may change the same rows once
   * more, and their state would stay what it is.
   */
  readonly settled: boolean;
}

/**
 * What a snapshot depends on: one statement that reads the catalogs once and returns a row for each piece. Rejects with what the
 * query rejects with, or CatalogError.
 */
export async function catalogState(query: CatalogQuery): Promise<CatalogState> {
  // In one order, so that what did not change comes in the order that it had.
  const rows = [...(await query(digestQuery))].sort(([kind, a], [other, b]) =>
    kind === null ? -1 : other === null ? 1 : Number(a) - Number(b),
  );
  const fail = () => unreadable("the catalog's state");
  const pieces: Record<Kind, Map<number, string>> = {
    relations: new Map(),
    functions: new Map(),
    operators: new Map(),
    types: new Map(),
    casts: new Map(),
  };
  const parts: string[] = [];
  let first: Pick<CatalogState, "login" | "others" | "settled"> | null = null;
  for (const [kind, left, right, writing] of rows) {
    if (typeof left !== "string" || typeof right !== "string") throw fail();
    if (kind === null) {
      if (first !== null) throw fail();
      first = { login: left, others: right, settled: writing === "f" };
      continue;
    }
    const of = kinds.find((one) => one === kind);
    if (of === undefined || !/^\d{1,10}$/.test(left) || pieces[of].has(Number(left))) throw fail();
    pieces[of].set(Number(left), right);
    parts.push(`${kind} ${left} ${right}`);
  }
  if (first === null) throw fail();
  const all = JSON.stringify([first.login, first.others, ...parts.sort()]);
  return { digest: `sha256:${hash("sha256", all, "hex")}`, pieces, ...first };
}
