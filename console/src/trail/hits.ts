/** Pages of the trail, fetched as the list is scrolled. */
import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import { api } from "../lib/api.ts";
import { type Query, toApi, toSearch } from "./query.ts";
import type { Told } from "./tell.ts";
import type { AuditHit, AuditPage } from "./types.ts";

/** Hits for one question to the API: few at first, so that something is seen at once; then as many as it gives. */
const firstPage = 100;
const laterPages = 500;

/** What a row of the list shows, and no more: many thousands of them are held. */
export type Row = Told &
  Pick<AuditHit, "id" | "time" | "request" | "statementIndex" | "sql" | "durationUs" | "undone" | "sentence">;

/** SQL in a row is one line. */
const sqlKept = 600;
const sentenceKept = 400;

function rowOf(hit: AuditHit): Row {
  const { subject, email, kind, actor } = hit.principal;
  const { agent } = hit.claimed;
  return {
    id: hit.id,
    time: hit.time,
    request: hit.request,
    statementIndex: hit.statementIndex,
    principal: { subject, email, kind, actor: actor.slice(0, 1) },
    claimed: agent === undefined ? {} : { agent },
    database: hit.database,
    sql: hit.sql === null ? null : clip(hit.sql, sqlKept),
    command: hit.command,
    verdict: hit.verdict,
    rule: hit.rule,
    code: hit.code,
    reads: few(hit.reads),
    writes: few(hit.writes),
    masked: hit.masked,
    status: hit.status,
    sqlstate: hit.sqlstate,
    rows: hit.rows,
    rowsAffected: hit.rowsAffected,
    durationUs: hit.durationUs,
    undone: hit.undone,
    sentence: clip(hit.sentence, sentenceKept),
  };
}

function clip(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length);
}

function few(names: readonly string[] | null): readonly string[] | null {
  return names === null || names.length <= 6 ? names : names.slice(0, 6);
}

interface HitPage {
  readonly rows: readonly Row[];
  readonly next: string | null;
}

export function useHits(query: Query) {
  const client = useQueryClient();
  const search = toSearch(query);
  const key = useMemo(() => ["audit", "search", search], [search]);
  const found = useInfiniteQuery<
    HitPage,
    Error,
    InfiniteData<HitPage, string | null>,
    readonly string[],
    string | null
  >({
    queryKey: key,
    initialPageParam: null,
    queryFn: async ({ pageParam, signal }) => {
      const page = await api<AuditPage>(
        toApi(query, Date.now(), pageParam, pageParam === null ? firstPage : laterPages),
        { signal },
      );
      return { rows: page.items.map(rowOf), next: page.next };
    },
    getNextPageParam: (page) => page.next,
    // Pages are large and the cursor leads backwards in time: what was fetched stays as it was until it is asked for anew.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
    refetchOnWindowFocus: false,
    structuralSharing: false,
  });
  const rows = useMemo(() => found.data?.pages.flatMap((page) => page.rows) ?? [], [found.data]);
  const { fetchNextPage, hasNextPage, isFetchingNextPage, isFetchNextPageError } = found;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage && !isFetchNextPageError) void fetchNextPage();
  }, [fetchNextPage, hasNextPage, isFetchingNextPage, isFetchNextPageError]);
  const again = useCallback(() => void client.resetQueries({ queryKey: key, exact: true }), [client, key]);
  return { found, rows, more, again };
}
