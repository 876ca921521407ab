/** Counting by the minute and by address, in bounded memory: enough to make guessing slow, no more. */

export interface Rate {
  /** Counts one; false: there were too many of this key in this minute. */
  take(key: string): boolean;
  /** Whether one more would be too many. */
  spent(key: string): boolean;
}

/** At most `most` a minute for each key, and at most `keys` keys at a time: beyond that the oldest is forgotten. */
export function createRate(most: number, keys = 10_000, now: () => number = Date.now): Rate {
  const counts = new Map<string, { minute: number; count: number }>();
  const current = (key: string) => {
    const minute = Math.floor(now() / 60_000);
    const found = counts.get(key);
    return found?.minute === minute ? found : { minute, count: 0 };
  };
  return {
    take(key) {
      const entry = current(key);
      entry.count++;
      counts.delete(key);
      counts.set(key, entry);
      for (const oldest of counts.keys()) {
        if (counts.size <= keys) break;
        counts.delete(oldest);
      }
      return entry.count <= most;
    },
    spent: (key) => current(key).count >= most,
  };
}
