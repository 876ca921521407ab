/**
 * V8 gives no memory back that its heap has had once: pages without objects stay in a pool, so that a process is as large as in its
 * worst second. Only a collection as for want of memory empties the pool. It stops everything for 50 to 200 ms: so it waits
 * until little goes on, and until it is worth it.
 */

export interface MemoryFacts {
  /** Resident bytes of the process. */
  resident(): number;
  /** A number that grows with everything that clients do. */
  activity(): number;
  /** Collects all garbage, and gives back what is free. */
  collect(): void;
}

/** How much more than after the last collection is worth another one, in bytes. */
const worthwhile = 24 * 1024 * 1024;
/** What may go on between two looks. */
const little = 20;
/** Looks in a row that find little going on. */
const quietLooks = 2;
/** Looks from one collection to the next, however much there is to gain. */
const leastLooks = 15;
export const lookMs = 2_000;

/** Gives a function that is to be called every `lookMs` milliseconds. */
export function createTrimming(facts: MemoryFacts): () => void {
  let base = facts.resident();
  let before = facts.activity();
  let quiet = 0;
  let since = leastLooks;
  return () => {
    const now = facts.activity();
    quiet = now - before <= little ? quiet + 1 : 0;
    before = now;
    since++;
    if (quiet < quietLooks || since < leastLooks) return;
    const resident = facts.resident();
    // What went by itself is not to be waited for again.
    base = Math.min(base, resident);
    if (resident - base < worthwhile) return;
    facts.collect();
    base = facts.resident();
    since = 0;
  };
}

/** Collects as V8 does before it gives up; without --expose-gc (bin/postern.js) nothing. */
export function collectAll(): void {
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}
