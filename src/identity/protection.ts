/** Waits after failed logins: per address, and per name tried from an address (OWASP ASVS 2.2.1). */
import { createHash } from "node:crypto";

export interface ProtectionSettings {
  /** Failures of one address within the window, until it has to wait. */
  readonly perIp: number;
  /** Failures in one name from one address within the window. */
  readonly perPrincipal: number;
  readonly windowSeconds: number;
  /** The first wait; each further one is twice as long, up to `longestSeconds`. */
  readonly firstSeconds: number;
  readonly longestSeconds: number;
}

export type Gate =
  | { readonly open: true }
  | {
      readonly open: false;
      readonly retryAfterSeconds: number;
      /** true once for each wait: this refusal is to be put on the record, and how many were refused in the last one. */
      readonly tell: boolean;
      readonly refused: number;
    };

export interface Protection {
  /** Before a token is asked for: may this address try? */
  admit(ip: string): Gate;
  /** Before a token is judged: may this address try in this name? `name`: see nameOf. */
  admitName(ip: string, name: string): Gate;
  failed(ip: string, name: string | null): void;
  /** A success ends the waits of the name, not those of the address: who has one good token may not guess others with it. */
  succeeded(ip: string, name: string | null): void;
}

interface Counter {
  failures: number;
  windowStart: number;
  /** How many waits in a row. */
  rounds: number;
  until: number;
  told: boolean;
  refused: number;
}

/** Counters kept at most; above that the oldest are forgotten, which helps nobody who still fails. */
const maxCounters = 50_000;
/** Waits in a row are forgotten after so many windows without a failure. */
const calmWindows = 4;

/** `settings` null: nobody ever waits. `now`: milliseconds, of a clock that does not jump. */
export function createProtection(
  settings: ProtectionSettings | null,
  now: () => number = () => performance.now(),
): Protection {
  if (settings === null) return { admit: () => opened, admitName: () => opened, failed() {}, succeeded() {} };
  const limits = settings;
  const addresses = new Map<string, Counter>();
  const names = new Map<string, Counter>();
  const window = limits.windowSeconds * 1000;

  function gate(counters: Map<string, Counter>, key: string): Gate {
    const counter = counters.get(key);
    if (counter === undefined) return opened;
    const left = counter.until - now();
    if (left <= 0) return opened;
    counter.refused += 1;
    const tell = !counter.told;
    counter.told = true;
    return { open: false, retryAfterSeconds: Math.ceil(left / 1000), tell, refused: counter.refused };
  }

  function count(counters: Map<string, Counter>, key: string, most: number): void {
    const time = now();
    const counter = counters.get(key) ?? fresh(time);
    // Put back: the youngest is last, so that the oldest are forgotten first.
    counters.delete(key);
    counters.set(key, counter);
    if (time - counter.windowStart >= window) {
      if (time - Math.max(counter.windowStart, counter.until) >= calmWindows * window) counter.rounds = 0;
      counter.failures = 0;
      counter.windowStart = time;
    }
    counter.failures += 1;
    // After a wait fewer failures are enough for the next one.
    const allowed = counter.rounds === 0 ? most : Math.ceil(most / 4);
    if (counter.failures >= allowed && time >= counter.until) {
      const wait = Math.min(limits.longestSeconds, limits.firstSeconds * 2 ** Math.min(counter.rounds, 20));
      counter.until = time + wait * 1000;
      counter.rounds += 1;
      counter.failures = 0;
      counter.windowStart = time;
      counter.told = false;
      counter.refused = 0;
    }
    for (const oldest of counters.keys()) {
      if (counters.size <= maxCounters) break;
      counters.delete(oldest);
    }
  }

  return {
    admit: (ip) => gate(addresses, network(ip)),
    admitName: (ip, name) => gate(names, `${network(ip)} ${name}`),
    failed(ip, name) {
      count(addresses, network(ip), limits.perIp);
      if (name !== null) count(names, `${network(ip)} ${name}`, limits.perPrincipal);
    },
    succeeded(ip, name) {
      if (name !== null) names.delete(`${network(ip)} ${name}`);
    },
  };
}

const opened: Gate = { open: true };

/** Refusals that say nothing against the caller, or that follow from earlier ones: they are not counted. */
export const blameless: ReadonlySet<string> = new Set([
  "KEYS_UNAVAILABLE",
  "STORE_UNAVAILABLE",
  "IDENTITY_INTERNAL",
  "INTERNAL",
  "LOCKED_OUT",
]);

function fresh(time: number): Counter {
  return { failures: 0, windowStart: time, rounds: 0, until: 0, told: false, refused: 0 };
}

/** What counts as one address: an IPv4 address, also when it is written as IPv6, and all 2^64 that whoever has one IPv6 address has. */
export function network(ip: string): string {
  if (!ip.includes(":")) return ip;
  const mapped = /^(?:::|(?:0{1,4}:){5})ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(ip)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = "", tail] = ip.toLowerCase().split("%")[0]?.split("::") ?? [];
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => "0"), ...after];
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}

/**
 * In whose name a token is tried, for counting only: the hash of `iss` and `sub` as the token says without proof, the ID of a Postern
 * token, or the hash of the whole text. Nothing is verified and nothing but the hash is kept. null: nothing to count by.
 */
export function nameOf(token: string): string | null {
  if (token === "" || token.length > 65_535) return null;
  const digest = (text: string) => createHash("sha256").update(text).digest("base64url").slice(0, 22);
  const [, part = ""] = token.split(".", 3);
  if (part !== "" && part.length <= 16_384) {
    try {
      const claims: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
      if (typeof claims === "object" && claims !== null) {
        const { iss, sub } = claims as { readonly iss?: unknown; readonly sub?: unknown };
        if (typeof sub === "string") return digest(`${String(iss)}\n${sub}`);
      }
    } catch {
      // Not a JWT: counted by its text.
    }
  }
  return digest(token);
}
