/** Keeps a provider's keys current, and keeps the last good ones through the provider's outages, for a bounded time. */
import { type BigIntStats, constants, promises as fs } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { discoverKeysUrl } from "./discovery.ts";
import { IdentityError } from "./errors.ts";
import { FetchError, fetchDocument } from "./fetch.ts";
import { type Candidate, type KeySet, readKeySet } from "./keyset.ts";

const refreshMs = 600_000;
/** Between two fetches made only because a token named an unknown key: anyone can send such tokens. */
const unknownKeyCooldownMs = 30_000;
/** After a failed fetch: soon again while there are no keys at all, later when there are old ones. */
const retryWithoutKeysMs = 2_000;
const retryWithKeysMs = 30_000;
/** Keys older than this are not trusted even though the provider cannot be reached. */
const maxStaleMs = 86_400_000;
const maxFileBytes = 262_144;

export interface KeySource {
  /**
   * The keys that may have signed a token with this header, never an empty list. `stale`: they could not be refreshed when due.
   * Throws IdentityError KEYS_UNAVAILABLE, TOKEN_SIGNATURE (no such key) or TOKEN_ALGORITHM (the key is of another kind).
   */
  find(
    algorithm: string,
    keyId: string | null,
  ): Promise<{ readonly keys: readonly Candidate[]; readonly stale: boolean }>;
  /** Asks the provider again on behalf of a token that names no key and fits none; false when that was done a moment ago. */
  renew(): Promise<boolean>;
  /** Whether the set as last read still holds the key; never fetches, but starts a refresh in the background when one is due. */
  holds(id: string): boolean;
  close(): void;
}

interface LoadPlan {
  /** Gives null when nothing changed since the last load. */
  load(): Promise<KeySet | null>;
  readonly refreshMs: number;
  readonly retryWithKeysMs: number;
  readonly retryWithoutKeysMs: number;
}

interface SourceOptions {
  readonly provider: string;
  readonly issuer: string;
  readonly now: () => number;
  /** A `use` of keys besides "sig" (SPIFFE bundles: "jwt-svid"). */
  readonly keyUse?: string;
}

function keySource(plan: LoadPlan, options: SourceOptions, close: () => void): KeySource {
  const { now } = options;
  let set: KeySet | null = null;
  let loadedAt = 0;
  let loads = 0;
  let failure: string | null = null;
  /** When a load failed last. */
  let triedAt = Number.NEGATIVE_INFINITY;
  let unknownKeyAt = Number.NEGATIVE_INFINITY;
  let pending: Promise<void> | null = null;

  /** One load at a time, shared by all who wait for it; never rejects. */
  function refresh(): Promise<void> {
    pending ??= plan
      .load()
      .then(
        (loaded) => {
          set = loaded ?? set;
          loadedAt = now();
          loads += 1;
          failure = null;
          triedAt = Number.NEGATIVE_INFINITY;
        },
        (error: unknown) => {
          failure =
            error instanceof FetchError || error instanceof SyntaxError ? error.message : "could not be read";
          triedAt = now();
        },
      )
      .finally(() => {
        pending = null;
      });
    return pending;
  }

  /** Whether `ms` have passed since `time`. Of a clock that was set back nobody knows: then they have. */
  function past(time: number, ms: number): boolean {
    const since = now() - time;
    return since >= ms || since < 0;
  }

  function mayLoad(): boolean {
    return pending !== null || past(triedAt, set === null ? plan.retryWithoutKeysMs : plan.retryWithKeysMs);
  }

  function due(): boolean {
    return set === null || past(loadedAt, plan.refreshMs);
  }

  function unavailable(why: string): IdentityError {
    return new IdentityError("KEYS_UNAVAILABLE", `keys of provider ${options.provider}: ${why}`);
  }

  async function current(): Promise<KeySet> {
    if (due() && mayLoad()) await refresh();
    if (set === null) throw unavailable(failure ?? "not loaded");
    if (now() - loadedAt >= maxStaleMs)
      throw unavailable(`not refreshed for a day (${failure ?? "unknown"})`);
    return set;
  }

  async function renew(): Promise<boolean> {
    if (pending === null) {
      if (!past(unknownKeyAt, unknownKeyCooldownMs)) return false;
      unknownKeyAt = now();
    }
    const before = loads;
    await refresh();
    if (loads === before) throw unavailable(`unknown key, and ${failure ?? "not loaded"}`);
    return true;
  }

  return {
    async find(algorithm, keyId) {
      const before = loads;
      let keys = await current();
      const unknown = keyId === null ? keys.select(algorithm, null).length === 0 : !keys.hasKeyId(keyId);
      if (unknown && loads === before && (await renew())) keys = await current();
      const candidates = keys.select(algorithm, keyId);
      if (candidates.length === 0) {
        if (keyId !== null && keys.hasKeyId(keyId)) {
          throw new IdentityError("TOKEN_ALGORITHM", "the key it names is not for its algorithm");
        }
        throw new IdentityError("TOKEN_SIGNATURE", "the provider has no such key");
      }
      return { keys: candidates, stale: failure !== null && due() };
    },
    renew,
    holds(id) {
      if (due() && pending === null && mayLoad()) void refresh();
      return set?.holds(id) ?? false;
    },
    close,
  };
}

/** Keys fetched over HTTP: from `jwks` when given, else from the place discovery names, looked up anew with every refresh. */
export function remoteKeys(
  jwks: string | null,
  options: SourceOptions & { readonly fetch: typeof fetch; readonly timeoutMs: number },
): KeySource {
  const closing = new AbortController();
  return keySource(
    {
      async load() {
        // One deadline for discovery and keys together: the client's own start-up time runs meanwhile.
        const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(options.timeoutMs)]);
        const get = (url: string, what: string) => fetchDocument(url, what, { fetch: options.fetch, signal });
        const url = jwks ?? (await discoverKeysUrl(options.issuer, get));
        return readKeySet(await get(url, "JWKS"), options.keyUse);
      },
      refreshMs,
      retryWithKeysMs,
      retryWithoutKeysMs,
    },
    options,
    () => closing.abort(),
  );
}

/** The path of a "file:" reference: a file URL, or a path behind "file:", relative to the working directory. */
export function keyFilePath(reference: string): string {
  if (reference.startsWith("file://")) return fileURLToPath(reference);
  return resolve(decodeURIComponent(reference.slice("file:".length)));
}

/** Keys in a file, looked at for every verification and read again when the file changed. */
export function fileKeys(path: string, options: SourceOptions): KeySource {
  let seen: string | null = null;
  return keySource(
    {
      async load() {
        const stamp = stampOf(await fs.stat(path, { bigint: true }));
        if (stamp === seen) return null;
        const loaded = await readKeyFile(path, options.keyUse);
        seen = stamp;
        return loaded;
      },
      refreshMs: 0,
      retryWithKeysMs: 0,
      retryWithoutKeysMs: 0,
    },
    options,
    () => {},
  );
}

/** Reads a key file. Throws SyntaxError for its content, or the system's error. */
export async function readKeyFile(path: string, keyUse?: string): Promise<KeySet> {
  await using file = await fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const stat = await file.stat();
  if (!stat.isFile()) throw new SyntaxError("not a regular file");
  if (stat.size > maxFileBytes) throw new SyntaxError(`larger than ${maxFileBytes} bytes`);
  return readKeySet(await file.readFile(), keyUse);
}

function stampOf(stat: BigIntStats): string {
  return [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(" ");
}
