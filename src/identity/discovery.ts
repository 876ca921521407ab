/** Where a provider's keys are: OpenID Connect Discovery 1.0 section 4 and RFC 8414 section 3. */
import { FetchError, urlFault } from "./fetch.ts";
import { parseStrictObject } from "./json.ts";

type Get = (url: string, what: string) => Promise<Uint8Array>;

/** The address of the provider's configuration, or null when the issuer is not a URL that discovery can start from. */
export function configurationUrl(issuer: string): string | null {
  if (discoveryFault(issuer) !== null) return null;
  // OpenID Connect Discovery section 4.1: a terminating "/" goes before the suffix is appended.
  return `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
}

/** Says why an issuer cannot be discovered from; null when it can. */
export function discoveryFault(issuer: string): string | null {
  const fault = urlFault(issuer);
  if (fault !== null) return fault;
  return /[?#]/.test(issuer) ? "an issuer has no query or fragment" : null;
}

/**
 * Reads the provider's metadata and gives its `jwks_uri`. The `issuer` in it must equal the configured one byte for byte (OpenID Connect
 * Discovery section 4.3, RFC 8414 section 3.3), else any host could hand out keys in another's name. Throws FetchError.
 */
export async function discoverKeysUrl(issuer: string, get: Get): Promise<string> {
  const first = configurationUrl(issuer);
  if (first === null) throw new FetchError(`discovery: ${discoveryFault(issuer) ?? "not possible"}`);
  let bytes: Uint8Array;
  try {
    bytes = await get(first, "discovery");
  } catch (error) {
    if (!(error instanceof FetchError) || error.status === null || error.status < 400 || error.status >= 500)
      throw error;
    bytes = await get(authorizationServerUrl(issuer), "discovery");
  }
  let metadata: ReturnType<typeof parseStrictObject>;
  try {
    metadata = parseStrictObject(bytes);
  } catch (error) {
    throw new FetchError(`discovery: ${error instanceof Error ? error.message : "unreadable"}`);
  }
  if (metadata.issuer !== issuer) throw new FetchError("discovery: the metadata names another issuer");
  const keys = metadata.jwks_uri;
  if (typeof keys !== "string") throw new FetchError("discovery: the metadata has no jwks_uri");
  const fault = urlFault(keys);
  if (fault !== null) throw new FetchError(`discovery: jwks_uri: ${fault}`);
  if (issuer.startsWith("https:") && !keys.startsWith("https:")) {
    throw new FetchError("discovery: jwks_uri: https is required");
  }
  return keys;
}

/** RFC 8414 section 3.1: the suffix goes between host and path. */
function authorizationServerUrl(issuer: string): string {
  const url = new URL(issuer);
  return `${url.origin}/.well-known/oauth-authorization-server${url.pathname.replace(/\/$/, "")}`;
}
