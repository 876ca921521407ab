/** Which nodes are alive: each run of a gateway renews a document that expires by itself. */
import { randomUUID } from "node:crypto";
import type { Store } from "../store/index.ts";

const collection = "nodes";
export const beatMs = 10_000;
/** Two beats may be missed. */
const deadMs = 30_000;

export interface Nodes {
  /** This run's name. */
  readonly boot: string;
  beat(): Promise<void>;
  isAlive(boot: string): Promise<boolean>;
  leave(): Promise<void>;
}

/** `node`: the gateway's name, shown to people. */
export function createNodes(store: Store, node: string, now: () => number): Nodes {
  const boot = randomUUID();
  return {
    boot,
    async beat() {
      const time = now();
      const value = { node, time };
      const options = { expires: time + deadMs };
      if (await store.insert(collection, boot, value, options)) return;
      const document = await store.get(collection, boot);
      if (document !== null) await store.update(collection, boot, document.version, value, options);
    },
    isAlive: async (other) => (await store.get(collection, other)) !== null,
    async leave() {
      await store.remove(collection, boot);
    },
  };
}
