/** What a verified token's claims say, mapped to the facts of a principal. Every doubt refuses the token. */
import type { Actor } from "../facts/principal.ts";
import { IdentityError } from "./errors.ts";
import { isObject, type JsonObject } from "./json.ts";
import type { ClaimPaths } from "./settings.ts";

const maxSubjectBytes = 1024;
const maxTextBytes = 1024;
const maxGroups = 1000;
const maxGroupBytes = 512;
/** 9999-12-31: later times cannot be written in a record. */
const maxTime = 253_402_300_799;
/** Okta cuts a groups claim at 100 without a word. */
const oktaGroupLimit = 100;

/** A claim by its literal name, or else by a dotted path through objects; undefined when absent. */
export function claimAt(claims: JsonObject, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const name of path.split(".")) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/** The subject: a text that can stand in a start-up packet and in a record. */
export function readSubject(claims: JsonObject, path: string): string {
  const subject = claimAt(claims, path);
  if (!isText(subject, maxSubjectBytes))
    throw bad(`${path} (subject) is not a text of 1 to ${maxSubjectBytes} bytes`);
  if (path === "email" && unverifiedEmail(claims))
    throw bad("the subject is an e-mail address the issuer has not verified");
  return subject;
}

/** The e-mail address, null when absent or marked as not verified (OpenID Connect Core section 5.1). */
export function readEmail(claims: JsonObject, path: string): string | null {
  const email = claimAt(claims, path);
  if (email === undefined || email === null || email === "") return null;
  if (!isText(email, maxTextBytes)) throw bad(`${path} (email) is not a text`);
  return path === "email" && unverifiedEmail(claims) ? null : email;
}

function unverifiedEmail(claims: JsonObject): boolean {
  return (
    Object.hasOwn(claims, "email_verified") &&
    claims.email_verified !== true &&
    claims.email_verified !== "true"
  );
}

/**
 * The groups: an array of texts, or one text. A token that says "there are more than fit in here" is refused (GROUPS_OVERAGE): its
 * groups are not known, and a rule may turn on any of them.
 */
export function readGroups(claims: JsonObject, path: string): readonly string[] {
  refuseOverage(claims);
  const value = claimAt(claims, path);
  if (value === undefined || value === null) return [];
  const groups: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (groups.length > maxGroups) throw bad(`${path} (groups) holds more than ${maxGroups} groups`);
  const texts = groups.filter((group) => isText(group, maxGroupBytes));
  if (texts.length !== groups.length) {
    throw bad(`${path} (groups) is not a list of texts of 1 to ${maxGroupBytes} bytes`);
  }
  return [...new Set(texts)];
}

/** Whether a list of groups is exactly as long as Okta's silent limit: worth a look, not a refusal. */
export function maybeTruncated(groups: readonly string[]): boolean {
  return groups.length === oktaGroupLimit;
}

/** Microsoft Entra: `hasgroups`, or claims kept elsewhere as in OpenID Connect Core section 5.6.2. */
export function refuseOverage(claims: JsonObject): void {
  const { _claim_names: names, _claim_sources: sources, hasgroups } = claims;
  const elsewhere = [names, sources].some(
    (marker) => marker !== undefined && !(isObject(marker) && Object.keys(marker).length === 0),
  );
  const flagged = hasgroups !== undefined && hasgroups !== false && hasgroups !== "false";
  // SAML has an attribute of its own in place of the groups above 150.
  const pointer = Object.keys(claims).some(
    (name) => name.startsWith("groups:src") || name.toLowerCase().endsWith("/claims/groups.link"),
  );
  if (elsewhere || flagged || pointer) {
    throw new IdentityError(
      "GROUPS_OVERAGE",
      "the token leaves claims out and points elsewhere for them; limit its groups at the provider",
    );
  }
}

/**
 * Who acts on the subject's behalf, nearest first. RFC 8693 section 4.1: the outermost `act` is the current actor. Without `act`, and for
 * an agent that is not itself the subject, the client the token was issued to (RFC 8693 section 4.3, `azp` of OpenID Connect Core).
 * `may_act` says who could act one day, not who does, and is not read (RFC 8693 section 4.4).
 */
export function readActors(
  claims: JsonObject,
  facts: {
    readonly paths: ClaimPaths;
    readonly subject: string;
    readonly agent: boolean;
    /** Longest chain accepted. */
    readonly maxDepth: number;
  },
): readonly Actor[] {
  const client = readClient(claims, facts.paths);
  const actors: Actor[] = [];
  for (let act = claims.act; act !== undefined; ) {
    if (!isObject(act)) throw bad("act is not an object");
    const { sub, iss } = act;
    if (!isText(sub, maxSubjectBytes)) throw bad("act names no sub");
    if (iss !== undefined && !isText(iss, maxTextBytes)) throw bad("act.iss is not a text");
    actors.push({ subject: sub, issuer: iss ?? null });
    if (actors.length > facts.maxDepth)
      throw new IdentityError("TOKEN_DELEGATION", `handed on more than ${facts.maxDepth} times`);
    act = act.act;
  }
  if (actors.length === 0 && facts.agent && client !== null && client !== facts.subject) {
    actors.push({ subject: client, issuer: null });
  }
  return actors;
}

function readClient(claims: JsonObject, paths: ClaimPaths): string | null {
  const client = claimAt(claims, paths.agent) ?? claims.azp;
  if (client === undefined || client === null) return null;
  if (!isText(client, maxSubjectBytes)) throw bad(`${paths.agent} (agent) is not a text`);
  return client;
}

/** The token's own name (`jti`, RFC 7519 section 4.1.7), null when it has none. */
export function readTokenId(claims: JsonObject): string | null {
  const { jti } = claims;
  if (jti === undefined) return null;
  if (!isText(jti, maxTextBytes)) throw bad("jti is not a text");
  return jti;
}

/** A NumericDate (RFC 7519 section 2) in whole seconds since the epoch, rounded down. */
export function readTime(claims: JsonObject, name: "exp" | "iat"): number {
  const value = claims[name];
  if (typeof value !== "number" || value < 0 || value > maxTime) throw bad(`${name} is not a time`);
  return Math.floor(value);
}

/** `aud` as a list (RFC 7519 section 4.1.3). */
export function readAudience(claims: JsonObject): readonly string[] {
  const { aud } = claims;
  const list: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  const texts = list.filter((item) => typeof item === "string" && item !== "") as string[];
  if (texts.length === 0 || texts.length !== list.length)
    throw new IdentityError("TOKEN_AUDIENCE", "aud names no audience");
  return texts;
}

/** Not empty, not too long, no control characters: a NUL would end the text in a start-up packet, a line break would forge a log line. */
export function isText(value: unknown, maxBytes: number): value is string {
  return (
    typeof value === "string" &&
    value !== "" &&
    Buffer.byteLength(value) <= maxBytes &&
    !/\p{Cc}/u.test(value)
  );
}

function bad(cause: string): IdentityError {
  return new IdentityError("TOKEN_CLAIMS", cause);
}
