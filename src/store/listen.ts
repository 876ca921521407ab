/** One connection that listens for changes, for as long as somebody wants to know; made anew when it breaks. */
import type pg from "pg";

export const channel = "postern_store";
const firstWaitMs = 100;
const longestWaitMs = 5_000;
/** A connection that died without a word is noticed by this. */
const probeMs = 10_000;

export interface Listener {
  /** Somebody has begun to watch. */
  wake(): void;
  close(): Promise<void>;
}

export function openListener(
  makeClient: () => pg.Client,
  ears: {
    wanted(): boolean;
    heard(collection: string, key: string): void;
    /** The connection is new: what happened before it was there is not known. */
    missed(): void;
  },
): Listener {
  let client: pg.Client | null = null;
  let connecting: Promise<void> | null = null;
  let retry: NodeJS.Timeout | null = null;
  let wait = firstWaitMs;
  let closed = false;

  function again(): void {
    if (closed || retry !== null) return;
    retry = setTimeout(() => {
      retry = null;
      wake();
    }, wait);
    retry.unref();
    wait = Math.min(longestWaitMs, wait * 2);
  }

  function lost(which: pg.Client): void {
    if (client === which) client = null;
    void which.end().catch(() => {});
    again();
  }

  async function connect(): Promise<void> {
    const fresh = makeClient();
    let broken = false;
    const fail = () => {
      if (broken) return;
      broken = true;
      lost(fresh);
    };
    fresh.on("error", fail);
    fresh.on("end", fail);
    fresh.on("notification", ({ payload }) => {
      const [collection, key] = payload?.split(" ") ?? [];
      if (collection !== undefined && key !== undefined) ears.heard(collection, key);
    });
    try {
      await fresh.connect();
      await fresh.query(`LISTEN ${channel}`);
      if (closed) fail();
      if (broken) return;
      client = fresh;
      wait = firstWaitMs;
      ears.missed();
    } catch {
      fail();
    }
  }

  function wake(): void {
    if (closed || client !== null || connecting !== null || retry !== null || !ears.wanted()) return;
    connecting = connect().finally(() => {
      connecting = null;
      if (client === null) again();
    });
  }

  const probe = setInterval(() => {
    const current = client;
    if (current === null) wake();
    else current.query("SELECT 1").catch(() => lost(current));
  }, probeMs);
  probe.unref();

  return {
    wake,
    async close() {
      closed = true;
      clearInterval(probe);
      if (retry !== null) clearTimeout(retry);
      await connecting;
      await client?.end().catch(() => {});
    },
  };
}
