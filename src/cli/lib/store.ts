/** The store of a running gateway, and what seals what lies in it. */

import { randomBytes } from "node:crypto";
import type { Settings } from "../../config/index.ts";
import { createSealer, openStore, type Sealer, type Store, StoreUnavailable } from "../../store/index.ts";
import { openEnvelope } from "./envelope.ts";

export interface OpenedStore {
  readonly store: Store;
  readonly sealer: Sealer;
  /** 32 bytes from which the salts of SCRAM follow: the same on every node, and after every start. */
  readonly saltKey: Buffer;
}

const collection = "store";
const key = "key";
const salts = "scram-salts";

/**
 * Opens the store of the settings. What it must not show is sealed with `store_keys`, or with `store.key` in the folder of the audit log's keys;
 * nodes that share a store need the same. Rejects with StoreUnavailable, and with what reading the URL or the keys throws.
 */
export async function openSettingsStore(
  settings: Pick<Settings, "store" | "storeKeys" | "audit">,
): Promise<OpenedStore> {
  const { store: place } = settings;
  const envelope = await openEnvelope(settings);
  const sealer = createSealer(envelope);
  const store = await openStore(
    place.kind === "sqlite" ? place : { kind: "postgres", url: await place.url.read() },
  );
  try {
    // One document says whether this is the key that the store was sealed with.
    const mark = sealer.seal(collection, key, "postern");
    await store.insert(collection, key, mark);
    const found = await store.get(collection, key);
    const sealed = typeof found?.value === "string" ? found.value : "";
    if (sealer.open(collection, key, sealed) !== "postern")
      throw new StoreUnavailable(
        "the store was sealed with another key: give this node the store.key (beside the audit log's keys) or store_keys of the node that made it, or name an empty store",
      );
    if (found !== null && envelope.isOld(sealed)) await store.update(collection, key, found.version, mark);
    return { store, sealer, saltKey: await keptKey(store, sealer, envelope) };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Made by the first node that comes, read by all; sealed anew when the keys were turned over. */
async function keptKey(
  store: Store,
  sealer: Sealer,
  envelope: { isOld(sealed: string): boolean },
): Promise<Buffer> {
  await store.insert(collection, salts, sealer.seal(collection, salts, randomBytes(32).toString("base64")));
  const found = await store.get(collection, salts);
  const sealed = typeof found?.value === "string" ? found.value : "";
  const text = sealer.open(collection, salts, sealed);
  const bytes = Buffer.from(typeof text === "string" ? text : "", "base64");
  if (found === null || bytes.length !== 32)
    throw new StoreUnavailable(
      "the key of the salts in the store cannot be opened with the keys of this node",
    );
  if (envelope.isOld(sealed))
    await store.update(collection, salts, found.version, sealer.seal(collection, salts, text));
  return bytes;
}
