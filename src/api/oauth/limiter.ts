/** How often one address may ask, and fail. */

export interface Limiter {
  /** Counts a request; false: there were too many of this address, or too many that failed. */
  admit(ip: string): boolean;
  failed(ip: string): void;
}

const windowMs = 60_000;
/** Addresses that are remembered; beyond that the oldest go first. */
const maxAddresses = 20_000;

/** Counts in windows of a minute. */
export function createLimiter(
  most: number,
  mostFailures: number,
  now: () => number = () => performance.now(),
): Limiter {
  const seen = new Map<string, { since: number; asked: number; failed: number }>();
  function entry(ip: string) {
    const time = now();
    let found = seen.get(ip);
    if (found === undefined || time - found.since >= windowMs) {
      found = { since: time, asked: 0, failed: 0 };
      seen.delete(ip);
      seen.set(ip, found);
      for (const oldest of seen.keys()) {
        if (seen.size <= maxAddresses) break;
        seen.delete(oldest);
      }
    }
    return found;
  }
  return {
    admit(ip) {
      const found = entry(ip);
      found.asked++;
      return found.asked <= most && found.failed < mostFailures;
    },
    failed(ip) {
      entry(ip).failed++;
    },
  };
}
