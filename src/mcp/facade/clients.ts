/** Clients of the façade: those that registered themselves (RFC 7591), and those that are the address of their metadata document. */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { Store } from "../../store/types.ts";
import { addressFault, type FetchDocument } from "./fetch.ts";

export interface OauthClient {
  readonly id: string;
  /** As it calls itself; never shown without its id. */
  readonly name: string;
  readonly redirects: readonly string[];
}

const collection = "mcp-clients";
const registeredMs = 90 * 86_400_000;
const cachedMs = 10 * 60_000;
const maxCached = 500;

const redirect = z
  .string()
  .max(1024)
  .refine((text) => redirectFault(text) === null);
const metadata = z.object({
  client_name: z.string().max(200).optional(),
  redirect_uris: z.array(redirect).min(1).max(20),
  token_endpoint_auth_method: z.string().max(50).optional(),
});

/** Schemes in which a browser would run something, or show what is on this machine. */
const dangerous =
  /^(?:javascript|data|file|blob|about|vbscript|filesystem|view-source|ws|wss|ftp|mailto|chrome|resource|intent):/i;

/** Why a client may not be answered there (RFC 8252 section 7); null: it may. */
export function redirectFault(text: string): string | null {
  if (!URL.canParse(text)) return "it is no URL";
  const url = new URL(text);
  if (url.hash !== "" || text.includes("#")) return "it has a fragment";
  if (url.username !== "" || url.password !== "") return "it holds credentials";
  if (url.protocol === "https:") return null;
  if (url.protocol === "http:")
    return ["127.0.0.1", "[::1]", "localhost"].includes(url.hostname)
      ? null
      : "http is for this machine only";
  return dangerous.test(text) || !/^[a-z][a-z0-9+.-]*:\/?\/?./i.test(text)
    ? "its scheme is not accepted"
    : null;
}

/** Whether `wanted` is one of the client's own addresses; on loopback any port is (RFC 8252 section 7.3). */
export function isOwnRedirect({ redirects }: OauthClient, wanted: string): boolean {
  if (redirects.includes(wanted)) return true;
  if (redirectFault(wanted) !== null || !wanted.startsWith("http:")) return false;
  return redirects.some((known) => known.startsWith("http:") && withoutPort(known) === withoutPort(wanted));
}

function withoutPort(text: string): string {
  const url = new URL(text);
  url.port = "";
  return url.href;
}

export interface Clients {
  /** null: what it says of itself cannot be accepted. */
  register(body: unknown): Promise<OauthClient | null>;
  /** null: there is none of that id. */
  find(id: string): Promise<OauthClient | null>;
}

export function createClients(
  store: Store,
  options: { readonly registration: boolean; readonly documents: boolean },
  fetchDocument: FetchDocument,
): Clients {
  const cache = new Map<string, { readonly client: OauthClient; readonly until: number }>();

  async function byDocument(id: string): Promise<OauthClient | null> {
    const known = cache.get(id);
    if (known !== undefined && known.until > Date.now()) return known.client;
    let document: unknown;
    try {
      document = await fetchDocument(id);
    } catch {
      return null;
    }
    const parsed = metadata.extend({ client_id: z.literal(id) }).safeParse(document);
    if (!parsed.success || !isPublicClient(parsed.data.token_endpoint_auth_method)) return null;
    const client = { id, name: named(parsed.data.client_name), redirects: parsed.data.redirect_uris };
    if (cache.size >= maxCached) cache.clear();
    cache.set(id, { client, until: Date.now() + cachedMs });
    return client;
  }

  return {
    async register(body) {
      const parsed = metadata.safeParse(body);
      if (!options.registration || !parsed.success || !isPublicClient(parsed.data.token_endpoint_auth_method))
        return null;
      const id = `mcp_${randomBytes(18).toString("base64url")}`;
      const client = { id, name: named(parsed.data.client_name), redirects: parsed.data.redirect_uris };
      await store.insert(
        collection,
        id,
        { name: client.name, redirects: client.redirects },
        { expires: Date.now() + registeredMs },
      );
      return client;
    },
    async find(id) {
      if (id.startsWith("https:"))
        return options.documents && addressFault(id) === null ? byDocument(id) : null;
      if (!options.registration || !/^mcp_[\w-]{20,40}$/.test(id)) return null;
      const kept = z
        .object({ name: z.string(), redirects: z.array(redirect) })
        .safeParse((await store.get(collection, id))?.value);
      return kept.success ? { id, ...kept.data } : null;
    },
  };
}

/** A secret that anybody gets by asking for it proves nothing. */
function isPublicClient(method: string | undefined): boolean {
  return method === undefined || method === "none";
}

function named(name: string | undefined): string {
  const line = (name ?? "").replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return line === "" ? "A program without a name" : line.slice(0, 80);
}
