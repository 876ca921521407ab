/** The grants of /oauth/token: what is shown → a principal → a Postern token. */
import type { Principal } from "../../facts/principal.ts";
import { type CallContext, type Identity, IdentityError } from "../../identity/index.ts";
import { isObject } from "../../identity/json.ts";
import { tokenPrefix } from "../../identity/tokens/format.ts";
import {
  type IssuedToken,
  IssueError,
  type IssueRequest,
  type PosternTokens,
} from "../../identity/tokens/index.ts";
import type { Store } from "../../store/types.ts";
import { type Form, OauthError } from "./form.ts";
import { redeemCode } from "./handover.ts";
import { type Granted, readGranted, readTarget, type Target } from "./target.ts";

export interface ExchangeDeps {
  readonly identity: Pick<Identity, "authenticate" | "verifyGrant">;
  readonly tokens: PosternTokens;
  readonly store: Store;
  readonly publicUrl: () => string;
  /** Throws IdentityError when the principal was shut out. */
  readonly refuseRevoked: (principal: Principal) => void;
  /** Whether there is such a database and the principal has a login there. */
  readonly mayUse: (principal: Principal, database: string) => boolean;
}

export interface Exchanged {
  readonly issued: IssuedToken;
  readonly grant: string;
  /** An old token has ended with this. */
  readonly rotated: boolean;
}

const exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange";
const jwtGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const samlGrant = "urn:ietf:params:oauth:grant-type:saml2-bearer";
const grants: readonly string[] = [exchangeGrant, jwtGrant, samlGrant, "authorization_code"];

/** RFC 8693 section 3. ID tokens say who logged in somewhere; they are no login here. */
const tokenTypes: ReadonlyMap<string, "any" | "saml"> = new Map([
  ["urn:ietf:params:oauth:token-type:access_token", "any"],
  ["urn:ietf:params:oauth:token-type:jwt", "any"],
  ["urn:ietf:params:oauth:token-type:saml2", "saml"],
]);
export const accessTokenType = "urn:ietf:params:oauth:token-type:access_token";

/** Throws OauthError, IdentityError (a token that is not accepted), IssueError. */
export async function exchange(form: Form, deps: ExchangeDeps, from: CallContext): Promise<Exchanged> {
  const grant = form.need("grant_type");
  const target = readTarget(form, deps.publicUrl());
  const context: CallContext = { ...from, via: "api" };
  switch (grant) {
    case exchangeGrant:
      return { grant: "token-exchange", ...(await byExchange(form, target, deps, context)) };
    case jwtGrant:
      return {
        grant: "jwt-bearer",
        ...(await byJwt(form, target, deps, context)),
      };
    case samlGrant: {
      const assertion = form.need("assertion");
      // Above all no Postern token: what it is bound to is kept by token exchange alone.
      if (!isSaml(assertion)) throw new OauthError("invalid_grant", "the assertion is not one of SAML");
      const principal = await deps.identity.authenticate(assertion, context);
      return { grant: "saml2-bearer", ...(await byAssertion(principal, target, deps)) };
    }
    case "authorization_code": {
      const principal = await redeemCode(form, deps.store);
      deps.refuseRevoked(principal);
      return { grant: "authorization_code", ...(await byAssertion(principal, target, deps)) };
    }
    default:
      throw new OauthError("unsupported_grant_type", `grant_type must be one of ${grants.join(", ")}`);
  }
}

/** RFC 8693. */
async function byExchange(
  form: Form,
  target: Target,
  deps: ExchangeDeps,
  context: CallContext,
): Promise<Omit<Exchanged, "grant">> {
  const wanted = form.one("requested_token_type");
  if (wanted !== null && wanted !== accessTokenType)
    throw new OauthError("invalid_request", "only access tokens are issued here");
  const token = readTyped(form, "subject_token");
  const actorToken = form.one("actor_token");
  if (actorToken === null && form.one("actor_token_type") !== null)
    throw new OauthError("invalid_request", "actor_token_type without actor_token");
  const actor = actorToken === null ? null : await shown(readTyped(form, "actor_token"), deps, context);
  // `keep`: a further token beside this one, which lives on, in place of a successor.
  const keep = form.one("keep") === "true";
  if (token.startsWith(tokenPrefix) && actor === null && target.agent === null && !keep) {
    // A fresh token in the place of this one.
    const principal = await shown(token, deps, context);
    checkDatabase(principal, target, deps);
    return { issued: await deps.tokens.rotate(token, requestOf(target), context), rotated: true };
  }
  const principal = await shown(token, deps, context);
  if (actor !== null) checkMayAct(principal, actor);
  const within = token.startsWith(tokenPrefix) ? await deps.tokens.inspect(token) : null;
  checkDatabase(principal, target, deps);
  const issued = await deps.tokens.issue(principal, { ...requestOf(target), actor, within });
  return { issued, rotated: false };
}

/** RFC 7523 and RFC 7522. `within`: what the assertion itself is good for; null: everything. */
async function byAssertion(
  principal: Principal,
  target: Target,
  deps: ExchangeDeps,
  within: Granted | null = null,
): Promise<Omit<Exchanged, "grant">> {
  checkDatabase(principal, { database: target.database ?? within?.database ?? null }, deps);
  const issued = await deps.tokens.issue(principal, {
    ...requestOf(target),
    within: within === null ? null : { ...within, certificate: null },
  });
  return { issued, rotated: false };
}

/** A JWT of a provider, or an ID-JAG, which is good once. */
async function byJwt(
  form: Form,
  target: Target,
  deps: ExchangeDeps,
  context: CallContext,
): Promise<Omit<Exchanged, "grant">> {
  const assertion = form.need("assertion");
  if (typeOf(assertion) !== "oauth-id-jag+jwt") {
    if (assertion.startsWith(tokenPrefix))
      throw new OauthError("invalid_grant", "a Postern token is exchanged by token-exchange");
    return byAssertion(await deps.identity.authenticate(assertion, context), target, deps);
  }
  const url = deps.publicUrl();
  const grant = await deps.identity.verifyGrant(assertion, [url, `${url}/`, `${url}/oauth/token`]);
  const client = form.one("client_id");
  if (client !== null && client !== grant.clientId)
    throw new OauthError("invalid_grant", "the grant is for another client");
  const within = readGranted(grant, url);
  const { issuer, token } = grant.principal;
  const fresh = await spendOnce(deps.store, `${issuer} ${grant.jti}`, token.expires * 1000 + 120_000);
  if (!fresh) throw new IdentityError("TOKEN_REVOKED", "the grant was used before");
  deps.refuseRevoked(grant.principal);
  // Whoever comes with a grant acts for the person: he is not the person.
  return byAssertion({ ...grant.principal, kind: "agent" }, target, deps, within);
}

/** The principal of a token that is shown to be exchanged: a Postern token's audience and database say where it is used, not this. */
async function shown(token: string, deps: ExchangeDeps, context: CallContext): Promise<Principal> {
  if (!token.startsWith(tokenPrefix)) return deps.identity.authenticate(token, context);
  const { audience } = await deps.tokens.inspect(token);
  const [first] = audience ?? [];
  return deps.identity.authenticate(token, first === undefined ? context : { ...context, audience: first });
}

/** The header's `typ`, unverified: it only says which checks to make. */
function typeOf(jwt: string): string {
  try {
    const header: unknown = JSON.parse(Buffer.from(jwt.slice(0, jwt.indexOf(".")), "base64url").toString());
    return isObject(header) && typeof header.typ === "string" ? header.typ.toLowerCase() : "";
  } catch {
    return "";
  }
}

function readTyped(form: Form, name: "subject_token" | "actor_token"): string {
  const token = form.need(name);
  const type = tokenTypes.get(form.need(`${name}_type`));
  if (type === undefined)
    throw new OauthError("invalid_request", `${name}_type must be access_token, jwt or saml2`);
  if ((type === "saml") !== isSaml(token))
    throw new OauthError("invalid_request", `${name} is not of the type it is said to be`);
  return token;
}

/** A SAML assertion comes in base64url (RFC 8693 section 3); a JWT has dots, and a Postern token says what it is. */
function isSaml(token: string): boolean {
  return !token.includes(".") && !token.startsWith(tokenPrefix);
}

/** RFC 8693 section 4.4: a token that says who may act for its subject lets nobody else. */
function checkMayAct(principal: Principal, actor: Principal): void {
  const { may_act: allowed } = principal.claims;
  if (allowed === undefined) return;
  const fits =
    isObject(allowed) &&
    allowed.sub === actor.subject &&
    (allowed.iss === undefined ? actor.issuer === principal.issuer : allowed.iss === actor.issuer);
  if (!fits) throw new OauthError("invalid_grant", "the subject does not let this actor act for it");
}

/** The same answer whether the database is not there or not for this principal. */
function checkDatabase(principal: Principal, target: Pick<Target, "database">, deps: ExchangeDeps): void {
  if (target.database !== null && !deps.mayUse(principal, target.database))
    throw new OauthError("invalid_target", "there is no such database for you");
}

function requestOf({ audience, database, agent, seconds, certificate }: Target): IssueRequest {
  return { audience, database, agent, seconds, certificate };
}

async function spendOnce(store: Store, name: string, until: number): Promise<boolean> {
  const key = Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(name))).toString("hex");
  try {
    return await store.insert("spent", key, { v: 1 }, { expires: until });
  } catch {
    throw new IdentityError("STORE_UNAVAILABLE", "whether it was used before cannot be found out");
  }
}

/** What a refusal inside means to the client: its cause is for the audit log. */
export function asOauthError(error: unknown): OauthError | null {
  if (error instanceof OauthError) return error;
  if (error instanceof IssueError) return new OauthError(error.code, error.message);
  if (!(error instanceof IdentityError)) return null;
  switch (error.code) {
    case "STORE_UNAVAILABLE":
    case "KEYS_UNAVAILABLE":
      return new OauthError(
        "temporarily_unavailable",
        "a part that is needed to check the token does not answer",
      );
    case "IDENTITY_INTERNAL":
      return new OauthError("server_error", "internal error of the gateway");
    default:
      return new OauthError("invalid_grant", "the token was not accepted");
  }
}
