/** The store of a running gateway, and the key that seals what lies in it. */
import { createHmac } from "node:crypto";
import { join } from "node:path";
import type { Settings } from "../../config/index.ts";
import { createSealer, openStore, type Sealer, type Store, StoreUnavailable } from "../../store/index.ts";
import { keyFile } from "./keyfile.ts";

export interface OpenedStore {
  readonly store: Store;
  readonly sealer: Sealer;
}

const keyName = "store.key";

/**
 * Opens the store of the settings. `store.key` in the folder of the audit log's keys is made the first time; nodes that share a store
 * need the same one. Rejects with StoreUnavailable, and with what reading the URL or the key throws.
 */
export async function openSettingsStore(settings: Pick<Settings, "store" | "audit">): Promise<OpenedStore> {
  const { store: place, audit } = settings;
  const store = await openStore(
    place.kind === "sqlite" ? place : { kind: "postgres", url: await place.url.read() },
  );
  try {
    const key = keyFile(audit.keys, keyName);
    // Says which key it was sealed with, and nothing of the key.
    const mark = createHmac("sha256", key).update("postern store key 1").digest("hex");
    await store.insert("store", "key", mark);
    if ((await store.get("store", "key"))?.value !== mark)
      throw new StoreUnavailable(
        `the store was sealed with another key: copy ${keyName} from the node that made it to ${join(audit.keys, keyName)}, or name an empty store`,
      );
    return { store, sealer: createSealer(key) };
  } catch (error) {
    await store.close();
    throw error;
  }
}
