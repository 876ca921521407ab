/** Equal tickets are one: a program that asks again and again bothers nobody twice. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Json, Store } from "../store/index.ts";
import { isLive, type Kept } from "./stored.ts";

const collection = "approval-tickets";
/** Whoever put the ticket's name down is about to put the ticket down; else it has died. */
const tries = 10;
const waitMs = 100;

interface Made {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
  put(): Promise<Kept>;
}

/** The ticket of this binding that is pending or approved; one that `make` makes when there is none. */
export async function joinTicket(
  store: Store,
  binding: string,
  read: (id: string) => Promise<Kept | null>,
  make: () => Made,
): Promise<Kept> {
  for (let attempt = 1; ; attempt++) {
    const document = await store.get(collection, binding);
    const id = document === null ? null : idOf(document.value);
    if (id !== null) {
      const kept = await read(id);
      if (kept !== null && isLive(kept.approval.state)) return kept;
      if (kept === null && attempt < tries) {
        await sleep(waitMs);
        continue;
      }
    }
    const made = make();
    // A name that nobody needs any more goes by itself; a ticket that was approved meanwhile is found by its tags.
    const options = { expires: made.expires };
    const ours =
      document === null
        ? await store.insert(collection, binding, { id: made.id }, options)
        : await store.update(collection, binding, document.version, { id: made.id }, options);
    if (!ours) continue;
    try {
      return await made.put();
    } catch (error) {
      await store.remove(collection, binding).catch(() => {});
      throw error;
    }
  }
}

function idOf(value: Json): string | null {
  if (typeof value !== "object" || value === null || Array.isArray(value) || !("id" in value)) return null;
  return typeof value.id === "string" ? value.id : null;
}
