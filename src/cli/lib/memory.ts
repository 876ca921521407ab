/** State of one process, forgotten with it. */
import type { Json, ListOptions, Store, StoredDocument, WriteOptions } from "../../store/types.ts";

interface Kept extends StoredDocument {
  readonly tags: readonly string[];
  readonly order: number;
}

/** A store in memory, with the meaning that store/types.ts gives it. */
export function memoryStore(now: () => number = Date.now): Store {
  const collections = new Map<string, Map<string, Kept>>();
  const watchers = new Map<string, Set<(key: string | null) => void>>();
  let order = 0;
  const of = (collection: string) => {
    const found = collections.get(collection) ?? new Map<string, Kept>();
    collections.set(collection, found);
    return found;
  };
  const live = (collection: string, key: string): Kept | null => {
    const found = of(collection).get(key);
    return found === undefined || (found.expires !== null && found.expires <= now()) ? null : found;
  };
  const tell = (collection: string, key: string) => {
    for (const changed of watchers.get(collection) ?? []) setImmediate(() => changed(key));
  };
  const put = (collection: string, key: string, kept: Kept) => {
    of(collection).set(key, kept);
    tell(collection, key);
  };
  const sweep = (): number => {
    let count = 0;
    for (const documents of collections.values())
      for (const [key, { expires }] of documents)
        if (expires !== null && expires <= now() && documents.delete(key)) count++;
    return count;
  };
  const timer = setInterval(sweep, 60_000).unref();
  const copy = (value: Json): Json => structuredClone(value);
  return {
    async get(collection, key) {
      const found = live(collection, key);
      return found === null ? null : { ...found, value: copy(found.value) };
    },
    async insert(collection, key, value, { tags = [], expires = null }: WriteOptions = {}) {
      if (live(collection, key) !== null) return false;
      const at = now();
      put(collection, key, {
        key,
        value: copy(value),
        version: 1,
        created: at,
        updated: at,
        expires,
        tags,
        order: order++,
      });
      return true;
    },
    async update(collection, key, version, value, options: WriteOptions = {}) {
      const found = live(collection, key);
      if (found === null || found.version !== version) return false;
      put(collection, key, {
        ...found,
        value: copy(value),
        version: version + 1,
        updated: now(),
        expires: options.expires === undefined ? found.expires : options.expires,
        tags: options.tags ?? found.tags,
      });
      return true;
    },
    async remove(collection, key, version) {
      const found = live(collection, key);
      if (found === null || (version !== undefined && version !== found.version)) return false;
      of(collection).delete(key);
      tell(collection, key);
      return true;
    },
    async list(collection, { tags = [], newestFirst = false, after = null, limit }: ListOptions) {
      const all = [...of(collection).values()]
        .filter((one) => one.expires === null || one.expires > now())
        .filter((one) => tags.every((tag) => one.tags.includes(tag)))
        .sort((a, b) => (newestFirst ? b.order - a.order : a.order - b.order));
      const from = after === null ? 0 : all.findIndex((one) => String(one.order) === after) + 1;
      const items = all.slice(from, from + limit);
      const last = items.at(-1);
      return { items, next: all.length > from + limit && last !== undefined ? String(last.order) : null };
    },
    watch(collection, changed) {
      const found = watchers.get(collection) ?? new Set();
      watchers.set(collection, found);
      found.add(changed);
      return () => void found.delete(changed);
    },
    sweep: async () => sweep(),
    failure: null,
    async close() {
      clearInterval(timer);
    },
  };
}
