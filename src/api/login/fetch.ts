/** fetch for talking to an identity provider: https (plain http on loopback), no redirects, bounded in size and time. */
import { urlFault } from "../../identity/fetch.ts";

const maxBytes = 256 * 1024;
export const providerTimeoutMs = 8_000;

/** As oauth4webapi's customFetch. Rejects with TypeError for an address that is not to be asked, and for too large an answer. */
export async function providerFetch(
  url: string,
  init: {
    readonly method: string;
    readonly headers: Record<string, string>;
    readonly body?: URLSearchParams | Uint8Array<ArrayBuffer> | ReadableStream | string | null | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Response> {
  const fault = urlFault(url);
  if (fault !== null) throw new TypeError(`an address of the provider: ${fault}`);
  const { method, headers: sent, body, signal } = init;
  const response = await fetch(url, {
    method,
    headers: sent,
    body: body ?? null,
    signal: signal ?? null,
    redirect: "manual",
    credentials: "omit",
    cache: "no-store",
  });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new TypeError(`an answer of the provider is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const { status, headers } = response;
  const empty = status === 204 || status === 205 || status === 304;
  const bounded = new Response(empty ? null : Buffer.concat(chunks), { status, headers });
  // oauth4webapi names the address in its errors.
  Object.defineProperty(bounded, "url", { value: url });
  return bounded;
}
