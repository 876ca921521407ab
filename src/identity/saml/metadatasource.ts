/** Keeps an identity provider's metadata current, and the last good ones through its outages, for a bounded time. */
import { constants, promises as fs } from "node:fs";
import { IdentityError } from "../errors.ts";
import { FetchError, fetchDocument } from "../fetch.ts";
import { type IdpMetadata, readMetadata } from "./metadata.ts";

const refreshMs = 3_600_000;
const retryMs = 30_000;
const firstRetryMs = 2_000;
/** Between two fetches made only because a signature did not verify: anyone can send such messages. */
const unknownCertificateMs = 30_000;
const maxStaleMs = 86_400_000;
const maxBytes = 4_194_304;

export interface MetadataSource {
  /** Rejects with IdentityError KEYS_UNAVAILABLE. */
  current(): Promise<IdpMetadata>;
  /** Reads them anew because no certificate fits; false when that was done a moment ago or failed. */
  renew(): Promise<boolean>;
  /** entityID of those that were read last; null: none were yet. */
  readonly entityId: string | null;
  close(): void;
}

export interface MetadataDeps {
  readonly provider: string;
  readonly entityId: string | null;
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly timeoutMs: number;
}

/** Metadata at a URL, or at an absolute path, which is looked at for every login and read again when the file changed. */
export function metadataSource(place: string, deps: MetadataDeps): MetadataSource {
  const { now } = deps;
  const remote = /^https?:/.test(place);
  const closing = new AbortController();
  let known: IdpMetadata | null = null;
  let loadedAt = 0;
  let seen: string | null = null;
  let failure = "not loaded";
  let retryAt = Number.NEGATIVE_INFINITY;
  let renewedAt = Number.NEGATIVE_INFINITY;
  let pending: Promise<boolean> | null = null;

  async function load(): Promise<IdpMetadata> {
    if (!remote) {
      const loaded = await readMetadataFile(place, deps.entityId, seen);
      if (loaded === null) {
        if (known !== null) return known;
        throw new SyntaxError("not loaded");
      }
      seen = loaded.stamp;
      return loaded.metadata;
    }
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(deps.timeoutMs)]);
    const bytes = await fetchDocument(place, "metadata", { fetch: deps.fetch, signal, accept, maxBytes });
    return readMetadata(decode(bytes), deps.entityId);
  }

  /** One load at a time; never rejects. */
  function refresh(): Promise<boolean> {
    pending ??= load()
      .then(
        (loaded) => {
          known = loaded;
          loadedAt = now();
          retryAt = Number.NEGATIVE_INFINITY;
          return true;
        },
        (error: unknown) => {
          failure =
            error instanceof FetchError || error instanceof SyntaxError ? error.message : codeOf(error);
          retryAt = now() + (known === null ? firstRetryMs : remote ? retryMs : 0);
          return false;
        },
      )
      .finally(() => {
        pending = null;
      });
    return pending;
  }

  return {
    async current() {
      const age = now() - loadedAt;
      const due = known === null || !remote || age >= refreshMs || age < 0;
      if (due && (pending !== null || now() >= retryAt)) await refresh();
      if (known === null) throw unavailable(failure);
      if (now() - loadedAt >= maxStaleMs) throw unavailable(`not refreshed for a day (${failure})`);
      if (known.validUntil !== null && now() >= known.validUntil)
        throw unavailable("the metadata's validUntil is over");
      return known;
    },
    async renew() {
      if (!remote) return false;
      if (pending === null) {
        if (now() - renewedAt < unknownCertificateMs) return false;
        renewedAt = now();
      }
      return refresh();
    },
    get entityId() {
      return known?.entityId ?? null;
    },
    close: () => closing.abort(),
  };

  function unavailable(why: string): IdentityError {
    return new IdentityError("KEYS_UNAVAILABLE", `metadata of provider ${deps.provider}: ${why}`);
  }
}

const accept = "application/samlmetadata+xml, application/xml, text/xml";

/** null: unchanged since `seen`. Throws SyntaxError for its content, or the system's error. */
export async function readMetadataFile(
  path: string,
  entityId: string | null,
  seen: string | null,
): Promise<{ readonly metadata: IdpMetadata; readonly stamp: string } | null> {
  await using file = await fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const stat = await file.stat({ bigint: true });
  const stamp = [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(" ");
  if (stamp === seen) return null;
  if (!stat.isFile()) throw new SyntaxError("not a regular file");
  if (stat.size > maxBytes) throw new SyntaxError(`larger than ${maxBytes} bytes`);
  return { metadata: readMetadata(decode(await file.readFile()), entityId), stamp };
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new SyntaxError("the metadata are not UTF-8 text");
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "could not be read";
}
