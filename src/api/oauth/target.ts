/** `audience`, `resource`, `scope` and Postern's own parameters → what a token is bound to. */
import { type Audience, audiences } from "../../identity/tokens/record.ts";
import { type Form, OauthError } from "./form.ts";

export interface Target {
  /** null: none was named. */
  readonly audience: readonly Audience[] | null;
  readonly database: string | null;
  readonly agent: string | null;
  readonly seconds: number | null;
  readonly certificate: string | null;
}

const maxAgent = 256;

/**
 * Reads where the token is wanted for (RFC 8693 section 2.1, RFC 8707). Audiences: `wire`, `api`, `mcp`, or `all`. Resources: the public URL
 * (all of HTTP), its `/mcp` and `/api`, and `postgres://HOST/DATABASE`. Scopes: the audiences, `database:NAME` and `agent:NAME`. Parameters of
 * our own: `database`, `agent`, `expires_in` (seconds), `x5t#S256`. Throws OauthError.
 */
export function readTarget(form: Form, publicUrl: string): Target {
  const wanted = new Set<Audience>();
  let all = false;
  let database: string | null = null;
  let agent: string | null = null;
  const setDatabase = (name: string) => {
    if (database !== null && database !== name)
      throw new OauthError("invalid_target", "a token is for one database, or for all of them");
    database = name;
  };
  const setAgent = (name: string) => {
    if (agent !== null && agent !== name) throw new OauthError("invalid_request", "a token is for one agent");
    if (name.length > maxAgent || /\p{Cc}/u.test(name))
      throw new OauthError("invalid_request", "agent is not a name of at most 256 characters");
    agent = name;
  };
  const add = (name: string): boolean => {
    if (name === "all") {
      all = true;
      return true;
    }
    const audience = audiences.find((one) => one === name);
    if (audience !== undefined) wanted.add(audience);
    return audience !== undefined;
  };
  for (const name of form.all("audience"))
    if (!add(name) && name !== publicUrl)
      throw new OauthError("invalid_target", "audience must be wire, api, mcp or all");
  for (const resource of form.all("resource")) {
    const database = readResource(resource, publicUrl, add);
    if (database !== null) setDatabase(database);
  }
  for (const scope of (form.one("scope") ?? "").split(" ").filter((word) => word !== "")) {
    if (scope.startsWith("database:")) setDatabase(scope.slice("database:".length));
    else if (scope.startsWith("agent:")) setAgent(scope.slice("agent:".length));
    else if (!add(scope))
      throw new OauthError("invalid_scope", "scopes are wire, api, mcp, all, database:NAME and agent:NAME");
  }
  const named = form.one("database");
  if (named !== null) setDatabase(named);
  const acting = form.one("agent");
  if (acting !== null) setAgent(acting);
  return {
    audience: all || wanted.size === 0 ? null : [...wanted],
    database,
    agent,
    seconds: readSeconds(form),
    certificate: readThumbprint(form),
  };
}

/** What a grant is good for in its issuer's words. null: it sets no bounds. */
export type Granted = Pick<Target, "audience" | "database">;

/**
 * Reads `resource` and `scope` of an ID-JAG (draft-ietf-oauth-identity-assertion-authz-grant, section 3; RFC 8707): a token that is issued
 * for it goes no further. Scopes that are not Postern's say nothing. Throws OauthError invalid_target.
 */
export function readGranted(
  grant: { readonly resource: string | readonly string[] | null; readonly scope: string | null },
  publicUrl: string,
): Granted {
  const databases = new Set<string>();
  const named = new Set<Audience>();
  for (const resource of [grant.resource ?? []].flat()) {
    const database = readResource(resource, publicUrl, (one) => named.add(one));
    if (database !== null) databases.add(database);
  }
  const scopes = (grant.scope ?? "").split(" ");
  for (const scope of scopes)
    if (scope.startsWith("database:")) databases.add(scope.slice("database:".length));
  const allowed = scopes.includes("all") ? [] : audiences.filter((one) => scopes.includes(one));
  const bounds = [[...named], allowed].filter((list) => list.length > 0);
  const audience = audiences.filter((one) => bounds.every((list) => list.includes(one)));
  const [database = null] = databases;
  if (databases.size > 1 || audience.length === 0)
    throw new OauthError("invalid_target", "the grant is for several databases, or for no place at all");
  return { audience: bounds.length === 0 ? null : audience, database };
}

/** Gives the database a resource names, if it does. */
function readResource(resource: string, publicUrl: string, add: (name: Audience) => unknown): string | null {
  // RFC 8707 section 2: an absolute URI without fragment.
  if (!URL.canParse(resource) || resource.includes("#"))
    throw new OauthError("invalid_target", "resource is not an absolute URI");
  const { protocol, pathname, href } = new URL(resource);
  if (protocol === "postgres:" || protocol === "postgresql:") {
    add("wire");
    const name = decode(pathname.slice(1));
    return name === "" ? null : name;
  }
  const base = new URL(publicUrl).href.replace(/\/$/, "");
  switch (href.replace(/\/$/, "")) {
    case base:
      add("api");
      add("mcp");
      return null;
    case `${base}/mcp`:
      add("mcp");
      return null;
    case `${base}/api`:
      add("api");
      return null;
    default:
      throw new OauthError("invalid_target", "resource is not one of this gateway");
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new OauthError("invalid_target", "resource is not an absolute URI");
  }
}

function readSeconds(form: Form): number | null {
  const text = form.one("expires_in");
  if (text === null) return null;
  if (!/^[1-9][0-9]{0,6}$/.test(text))
    throw new OauthError("invalid_request", "expires_in is a number of seconds");
  return Number(text);
}

function readThumbprint(form: Form): string | null {
  const text = form.one("x5t#S256");
  if (text !== null && !/^[\w-]{43}$/.test(text))
    throw new OauthError("invalid_request", "x5t#S256 is a SHA-256 in base64url");
  return text;
}
