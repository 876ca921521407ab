/** What is under way, in this node's memory: kept fresh by the store's watch, and read anew now and then. */
import type { Sealer, Store } from "../store/index.ts";
import { collection, decode, isLive, type Kept } from "./stored.ts";

export interface Mirror {
  /** Pending and approved ones. */
  live(): Iterable<Kept>;
  /** Someone has read or written this. */
  apply(kept: Kept): void;
  onChange(listener: (kept: Kept) => void): () => void;
  /** When everything was last known to be fresh, in milliseconds since the epoch. */
  readonly freshAt: number;
  refresh(): Promise<void>;
  close(): void;
}

/** Versions of approvals that are over are remembered so that they are told of once. */
const maxRemembered = 10_000;

/** Reads what is under way. Rejects with StoreUnavailable. */
export async function openMirror(
  store: Store,
  sealer: Sealer | null,
  now: () => number,
  unreadable: (id: string) => void,
): Promise<Mirror> {
  const live = new Map<string, Kept>();
  const versions = new Map<string, number>();
  const listeners = new Set<(kept: Kept) => void>();
  let freshAt = 0;
  let closed = false;

  function apply(kept: Kept): void {
    const { id, state } = kept.approval;
    if (closed || (versions.get(id) ?? 0) >= kept.version) return;
    versions.delete(id);
    versions.set(id, kept.version);
    if (versions.size > maxRemembered)
      for (const known of versions.keys()) {
        if (versions.size <= maxRemembered) break;
        if (!live.has(known)) versions.delete(known);
      }
    if (isLive(state)) live.set(id, kept);
    else live.delete(id);
    for (const listener of [...listeners]) listener(kept);
  }

  async function look(id: string): Promise<void> {
    const document = await store.get(collection, id);
    if (document === null) {
      live.delete(id);
      return;
    }
    const kept = decode(sealer, document);
    if (kept === null) unreadable(id);
    else apply(kept);
  }

  async function refresh(): Promise<void> {
    const began = now();
    const before = new Set(live.keys());
    let after: string | null = null;
    do {
      const page: Awaited<ReturnType<Store["list"]>> = await store.list(collection, {
        tags: ["live"],
        after,
        limit: 200,
      });
      for (const document of page.items) {
        before.delete(document.key);
        const kept = decode(sealer, document);
        if (kept === null) unreadable(document.key);
        else apply(kept);
      }
      after = page.next;
    } while (after !== null);
    for (const id of before) await look(id);
    freshAt = began;
  }

  const stop = store.watch(collection, (id) => {
    // A store that is away says so elsewhere; the next refresh catches up.
    (id === null ? refresh() : look(id)).catch(() => {});
  });
  try {
    await refresh();
  } catch (error) {
    stop();
    throw error;
  }
  return {
    live: () => live.values(),
    apply,
    onChange(listener) {
      const own = (kept: Kept) => listener(kept);
      listeners.add(own);
      return () => listeners.delete(own);
    },
    get freshAt() {
      return freshAt;
    },
    refresh,
    close() {
      closed = true;
      stop();
      listeners.clear();
    },
  };
}
