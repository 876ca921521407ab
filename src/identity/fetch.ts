/** Fetching small JSON documents from an identity provider: https only (plain http on loopback), no redirects, bounded in size and time. */

const maxDocumentBytes = 262_144;

/** Why a document could not be had; safe for the audit log. */
export class FetchError extends Error {
  override readonly name = "FetchError";
  /** HTTP status when the provider answered at all. */
  readonly status: number | null;

  constructor(message: string, status: number | null = null) {
    super(message);
    this.status = status;
  }
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Says what is wrong with a URL that documents are to be fetched from; null when nothing is. */
export function urlFault(text: string): string | null {
  if (!URL.canParse(text)) return "not a URL";
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return "a URL must not carry credentials";
  if (url.protocol === "https:") return null;
  if (url.protocol !== "http:") return "https is required";
  return loopback.test(url.hostname) ? null : "https is required (plain http only on loopback)";
}

/**
 * GETs a document. `what` names it in errors. Throws FetchError for anything but a complete 200 answer of at most `maxBytes`; a redirect is
 * refused because the next host was not configured by anyone.
 */
export async function fetchDocument(
  url: string,
  what: string,
  options: {
    readonly fetch: typeof fetch;
    readonly signal: AbortSignal;
    /** Default: JSON. */
    readonly accept?: string;
    /** Default: 256 KiB. */
    readonly maxBytes?: number;
  },
): Promise<Uint8Array> {
  const fault = urlFault(url);
  if (fault !== null) throw new FetchError(`${what}: ${fault}`);
  try {
    const response = await options.fetch(url, {
      method: "GET",
      headers: { accept: options.accept ?? "application/json, application/jwk-set+json" },
      redirect: "manual",
      credentials: "omit",
      cache: "no-store",
      signal: options.signal,
    });
    if (response.status !== 200) {
      await response.body?.cancel();
      const redirected = response.status >= 300 && response.status < 400;
      throw new FetchError(
        `${what}: HTTP ${response.status}${redirected ? ", redirects are not followed" : ""}`,
        response.status,
      );
    }
    return await readBounded(response, what, options.maxBytes ?? maxDocumentBytes);
  } catch (error) {
    if (error instanceof FetchError) throw error;
    throw new FetchError(`${what}: ${reason(error, options.signal)}`);
  }
}

async function readBounded(response: Response, what: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early cancels the stream. The bytes counted are those after decompression.
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new FetchError(`${what}: larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** System error codes only: the messages of fetch may name hosts and addresses. */
function reason(error: unknown, signal: AbortSignal): string {
  if (signal.aborted)
    return signal.reason instanceof Error && signal.reason.name === "TimeoutError" ? "timed out" : "aborted";
  for (let inner = error, depth = 0; inner instanceof Error && depth < 4; inner = inner.cause, depth += 1) {
    if ("code" in inner && typeof inner.code === "string" && /^[A-Z0-9_]{1,40}$/.test(inner.code))
      return inner.code;
  }
  return "could not be fetched";
}
