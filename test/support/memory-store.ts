/** A store in memory for tests of what uses one: atomic as the real ones are, without their other promises. */
import type { Json, Store, StoredDocument } from "../../src/store/types.ts";

export function memoryStoreForTests(now: () => number = Date.now): Store & { fail(on: boolean): void } {
  const kept = new Map<string, StoredDocument>();
  let failing = false;
  const at = (collection: string, key: string) => `${collection}/${key}`;
  const live = (collection: string, key: string): StoredDocument | null => {
    if (failing) throw new Error("the store is down");
    const found = kept.get(at(collection, key));
    return found === undefined || (found.expires !== null && found.expires <= now()) ? null : found;
  };
  return {
    get: async (collection, key) => live(collection, key),
    async insert(collection, key, value, options = {}) {
      if (live(collection, key) !== null) return false;
      const time = now();
      kept.set(at(collection, key), {
        key,
        value,
        version: 1,
        created: time,
        updated: time,
        expires: options.expires ?? null,
      });
      return true;
    },
    async update(collection, key, version, value: Json, options = {}) {
      const found = live(collection, key);
      if (found === null || found.version !== version) return false;
      const expires = options.expires === undefined ? found.expires : options.expires;
      kept.set(at(collection, key), { ...found, value, version: version + 1, updated: now(), expires });
      return true;
    },
    async remove(collection, key, version) {
      const found = live(collection, key);
      if (found === null || (version !== undefined && found.version !== version)) return false;
      return kept.delete(at(collection, key));
    },
    async list(collection) {
      const items = [...kept].filter(([name]) => name.startsWith(`${collection}/`)).map(([, item]) => item);
      return { items, next: null };
    },
    watch: () => () => {},
    sweep: async () => 0,
    failure: null,
    async close() {},
    fail(on) {
      failing = on;
    },
  };
}
