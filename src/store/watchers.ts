/** Who wants to know of which collection's changes. */

type Changed = (key: string | null) => void;

export interface Watchers {
  readonly size: number;
  add(collection: string, changed: Changed): () => void;
  tell(collection: string, key: string | null): void;
  /** Something may have been missed: everybody looks at everything. */
  tellAll(): void;
}

export function createWatchers(): Watchers {
  const byCollection = new Map<string, Set<Changed>>();
  const call = (changed: Changed, key: string | null) => {
    try {
      changed(key);
    } catch {
      // A listener's fault must neither stop the others nor the store.
    }
  };
  return {
    get size() {
      return byCollection.size;
    },
    add(collection, changed) {
      const own: Changed = (key) => changed(key);
      const set = byCollection.get(collection) ?? new Set();
      byCollection.set(collection, set.add(own));
      return () => {
        set.delete(own);
        if (set.size === 0 && byCollection.get(collection) === set) byCollection.delete(collection);
      };
    },
    tell(collection, key) {
      for (const changed of [...(byCollection.get(collection) ?? [])]) call(changed, key);
    },
    tellAll() {
      for (const set of [...byCollection.values()]) for (const changed of [...set]) call(changed, null);
    },
  };
}
