/** Keeps a snapshot fresh: a timer compares digests, and whoever sees DDL says so. */
import { catalogState } from "./digest.ts";
import { CatalogUnavailable } from "./errors.ts";
import { type LoadOptions, loadCatalog } from "./load.ts";
import type { CatalogQuery, CatalogSnapshot } from "./types.ts";

export interface CatalogOptions extends LoadOptions {
  /** Milliseconds between two looks at the digest. */
  readonly intervalMs: number;
  /**
   * Runs `use` with a query whose statements all see the database at one moment (a REPEATABLE READ transaction), nobody else's in between.
   * Without it the digest is asked for a second time, behind what was read.
   */
  readonly atOnce?: <T>(use: (query: CatalogQuery) => Promise<T>) => Promise<T>;
  /** A snapshot that differs from the one before has been loaded. */
  readonly onChange?: (snapshot: CatalogSnapshot) => void;
  /** A look at the digest or a load failed, for the log; the error may hold what the query's own errors hold. */
  readonly onError?: (error: unknown) => void;
}

export interface Catalog {
  /** The newest snapshot. Throws CatalogUnavailable until one is loaded, and after close(). It may be stale after bump(). */
  readonly current: CatalogSnapshot;
  /** No DDL was seen since `current` was taken. */
  readonly isFresh: boolean;
  /** The first snapshot; rejects when it cannot be loaded. */
  ready(): Promise<CatalogSnapshot>;
  /**
   * Something changed: `current` is stale from now on. To be called once the change is committed; before, only the session that
   * made it sees it (loadCatalog() through that session shows what it sees, temporary objects included).
   */
  bump(): void;
  /** A snapshot that is not older than the last bump(). Rejects when it cannot be loaded. */
  fresh(): Promise<CatalogSnapshot>;
  close(): void;
}

/**
 * Loads a snapshot at once, and a new one whenever the digest changes or bump() was called. Epochs count up from 1; a reload
 * that finds nothing changed keeps the epoch, so that what is cached under it stays valid.
 */
export function createCatalog(query: CatalogQuery, options: CatalogOptions): Catalog {
  const { kept = { own: null, other: null }, atOnce } = options;
  const loaded = { ...options, kept };
  let snapshot: CatalogSnapshot | null = null;
  let bumps = 0;
  /** The value of `bumps` when the newest snapshot began to be read. */
  let seen = -1;
  let running: Promise<CatalogSnapshot> | null = null;
  let closed = false;
  let timer: NodeJS.Timeout | null = null;

  async function refresh(): Promise<CatalogSnapshot> {
    const began = bumps;
    const next = await (atOnce === undefined ? look(query) : atOnce(look));
    if (closed) throw new CatalogUnavailable("the catalog was closed");
    seen = began;
    if (next === snapshot) return next;
    snapshot = next;
    options.onChange?.(next);
    return next;
  }

  /** The snapshot if nothing has changed, else a new one. */
  async function look(through: CatalogQuery): Promise<CatalogSnapshot> {
    const state = await catalogState(through);
    if (snapshot !== null && state.digest === snapshot.digest) return snapshot;
    return loadCatalog(through, (snapshot?.epoch ?? 0) + 1, loaded, state, {
      by: "gateway",
      atOnce: atOnce !== undefined,
    });
  }

  /** One at a time: the query's connection answers in order anyway. */
  function join(): Promise<CatalogSnapshot> {
    if (closed) return Promise.reject(new CatalogUnavailable("the catalog was closed"));
    running ??= refresh().finally(() => {
      running = null;
    });
    return running;
  }

  async function fresh(): Promise<CatalogSnapshot> {
    const wanted = bumps;
    while (snapshot === null || seen < wanted) await join();
    if (closed) throw new CatalogUnavailable("the catalog was closed");
    return snapshot;
  }

  function schedule(): void {
    timer = setTimeout(() => {
      join()
        .catch((error: unknown) => {
          if (!closed) options.onError?.(error);
        })
        .finally(() => {
          if (!closed) schedule();
        });
    }, options.intervalMs);
    timer.unref();
  }

  const first = fresh();
  // Whoever awaits ready() hears of it; nobody has to.
  first.catch(() => undefined);
  schedule();

  return {
    get current() {
      if (snapshot === null || closed) throw new CatalogUnavailable();
      return snapshot;
    },
    get isFresh() {
      return snapshot !== null && seen === bumps;
    },
    ready: () => (snapshot === null ? fresh() : Promise.resolve(snapshot)),
    bump() {
      bumps++;
    },
    fresh,
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}
