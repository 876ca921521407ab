/** One-time use: what has been seen is remembered until it could not be shown again anyway. */
import { createHash } from "node:crypto";
import type { Store } from "../../store/types.ts";
import { IdentityError } from "../errors.ts";

export interface OneTime {
  /** true: for the first time, on any node. `until`: ms since the epoch. Rejects with IdentityError STORE_UNAVAILABLE. */
  first(name: string, until: number): Promise<boolean>;
}

const collection = "saml-seen";
/** In memory no more than so many; who could make the gateway forget could replay, so that beyond it nobody gets in. */
const maxInMemory = 100_000;

/** In the store that nodes share; without one in memory, which holds for one node until it ends. */
export function oneTime(store: Store | null, now: () => number): OneTime {
  const key = (name: string) => createHash("sha256").update(name).digest("hex");
  if (store !== null)
    return {
      async first(name, until) {
        try {
          return await store.insert(collection, key(name), {}, { expires: until });
        } catch {
          throw new IdentityError("STORE_UNAVAILABLE", "whether it was used before cannot be found out");
        }
      },
    };
  const seen = new Map<string, number>();
  return {
    async first(name, until) {
      if (seen.size >= maxInMemory) for (const [one, end] of seen) if (end < now()) seen.delete(one);
      if (seen.size >= maxInMemory)
        throw new IdentityError("STORE_UNAVAILABLE", "too many one-time tokens are remembered");
      const end = seen.get(key(name));
      if (end !== undefined && end >= now()) return false;
      seen.set(key(name), until);
      return true;
    },
  };
}
