/** A SAML 2.0 identity provider of postern.yaml: logins for people, and assertions as tokens (docs/identity.md). */
import { createHash } from "node:crypto";
import type { Principal } from "../../facts/principal.ts";
import type { Store } from "../../store/types.ts";
import { isText, readEmail, readGroups, refuseOverage } from "../claims.ts";
import { compileDerivation, type Derivation } from "../derive.ts";
import { IdentityConfigError, IdentityError } from "../errors.ts";
import { urlFault } from "../fetch.ts";
import { deepFreeze, type JsonObject } from "../json.ts";
import { compileKinds } from "../kinds.ts";
import type { SamlProviderSettings } from "../settings.ts";
import { type AssertionFacts, readAssertion } from "./assertion.ts";
import { checkResponse, decodeMessage, type Message, namedIssuer, signedAssertion } from "./message.ts";
import { metadataSource, readMetadataFile } from "./metadatasource.ts";
import { type OneTime, oneTime } from "./once.ts";
import { type LoginRequest, loginRequest, type SigningKey, serviceMetadata } from "./request.ts";

export interface SamlProvider {
  readonly name: string;
  /** SP metadata (XML). Throws IdentityError KEYS_UNAVAILABLE when Postern does not know its own public address. */
  metadata(): string;
  /** Begins a login. `relayState`: at most 80 bytes. Rejects with IdentityError KEYS_UNAVAILABLE. */
  begin(relayState: string, options?: { readonly stepUp?: boolean }): Promise<LoginRequest>;
  /** Takes the `SAMLResponse` of a login that `begin` started. Rejects with IdentityError. */
  finish(response: string, request: string): Promise<Principal>;
  /** entityID of the identity provider, as its metadata have it. Rejects with IdentityError KEYS_UNAVAILABLE. */
  issuer(): Promise<string>;
  /** The same as far as it is known without asking; null: not yet. */
  readonly knownIssuer: string | null;
  /** An assertion (or a whole response) as a token, good once. Rejects with IdentityError. */
  verify(message: Message, token: string): Promise<Principal>;
  close(): void;
}

export interface SamlDeps {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly timeoutMs: number;
  readonly store: Store | null;
  /** Where users reach the HTTP listener, without a trailing slash; null: not known. */
  readonly publicUrl: () => string | null;
}

/** Throws IdentityConfigError for faults of the settings. A metadata file is read once, so that a wrong one shows at start. */
export async function openSamlProvider(
  settings: SamlProviderSettings,
  deps: SamlDeps,
): Promise<SamlProvider> {
  const fail = (key: string, what: string) => new IdentityConfigError(settings.name, key, what);
  const [entityId] = settings.audience;
  if (entityId === undefined || settings.audience.includes(""))
    throw fail("audience", "an audience is expected");
  const { metadata: place } = settings;
  if (/^https?:/.test(place)) {
    const fault = urlFault(place);
    if (fault !== null) throw fail("metadata", fault);
  } else {
    try {
      await readMetadataFile(place, settings.entityId, null);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
      throw fail(
        "metadata",
        `the file cannot be used: ${error instanceof SyntaxError ? error.message : code}`,
      );
    }
  }
  const source = metadataSource(place, { provider: settings.name, entityId: settings.entityId, ...deps });
  const kindOf = compileKinds(settings.name, settings.kinds);
  const derivation = compileDerivation(settings.name, settings);
  const seen = oneTime(deps.store, deps.now);

  /** The addresses a message may have been made for: the browser's, and that of the token endpoint (RFC 7522 section 3). */
  function addresses(): { readonly acs: string; readonly all: readonly string[] } {
    const base = deps.publicUrl();
    const acs = settings.acs ?? (base === null ? null : `${base}/saml/acs`);
    if (acs === null)
      throw new IdentityError(
        "KEYS_UNAVAILABLE",
        "Postern's public address is not known: set listen.public_url or acs",
      );
    return { acs, all: base === null ? [acs] : [acs, `${base}/oauth/token`] };
  }

  async function signingKey(): Promise<SigningKey | null> {
    if (settings.signing === undefined) return null;
    const { cert, key } = settings.signing;
    try {
      return { cert, key: await key.read() };
    } catch {
      throw new IdentityError(
        "KEYS_UNAVAILABLE",
        `SAML: the key for requests cannot be read from ${key.label}`,
      );
    }
  }

  async function judge(
    message: Message,
    token: string,
    rules: { readonly request: string | null; readonly response: boolean },
  ): Promise<Principal> {
    const { entityId: issuer } = await source.current();
    const { acs, all } = addresses();
    const bare = message.root.name === "Assertion";
    if (bare && rules.response)
      throw new IdentityError("TOKEN_TYPE", "SAML: an assertion without a response");
    const recipients = rules.response ? [acs] : all;
    if (!bare) checkResponse(message.root, { destination: recipients, issuer, request: rules.request });
    const assertion = await signedAssertion(message, source, settings.signed);
    const expected = {
      issuer,
      audience: settings.audience,
      recipients,
      request: rules.request,
      now: deps.now(),
    };
    const facts = readAssertion(assertion, expected);
    const principal = toPrincipal(settings, facts, { issuer, token, now: deps.now(), kindOf, derivation });
    await spend(seen, issuer, facts);
    return principal;
  }

  return {
    name: settings.name,
    metadata: () => serviceMetadata(entityId, addresses().acs, settings.signing?.cert ?? null),
    async begin(relayState, options = {}) {
      const { acs } = addresses();
      const ours = { entityId, acs, stepUp: options.stepUp === true, signing: await signingKey() };
      return loginRequest(await source.current(), ours, relayState, deps.now());
    },
    async finish(response, request) {
      return judge(decodeMessage(response), response, { request, response: true });
    },
    issuer: async () => (await source.current()).entityId,
    get knownIssuer() {
      return source.entityId;
    },
    verify: (message, token) => judge(message, token, { request: null, response: false }),
    close: () => source.close(),
  };
}

/** Last of all checks: what was refused for another reason must not use up somebody's assertion. */
async function spend(seen: OneTime, issuer: string, facts: AssertionFacts): Promise<void> {
  // A minute more than the tolerance of clocks with which the assertion would still be taken.
  if (!(await seen.first(`${issuer}\n${facts.id}`, facts.until + 90_000)))
    throw new IdentityError("TOKEN_REPLAYED", "SAML: the assertion was used before");
}

function toPrincipal(
  settings: SamlProviderSettings,
  facts: AssertionFacts,
  means: {
    readonly issuer: string;
    readonly token: string;
    readonly now: number;
    readonly kindOf: ReturnType<typeof compileKinds>;
    readonly derivation: Derivation;
  },
): Principal {
  const { attributes: names } = settings;
  refuseOverage(facts.attributes);
  const claims: JsonObject = {
    ...facts.attributes,
    iss: means.issuer,
    sub: facts.nameId,
    auth_time: facts.authTime,
    ...(facts.context === null ? {} : { acr: facts.context }),
    ...(facts.sessionIndex === null ? {} : { sid: facts.sessionIndex }),
  };
  if (names.subject === null && facts.nameIdTransient)
    throw new IdentityError(
      "TOKEN_CLAIMS",
      "SAML: the NameID is transient and names nobody twice; ask for a persistent one, or map attributes.subject",
    );
  const subject = names.subject === null ? facts.nameId : single(facts.attributes, names.subject);
  if (!isText(subject, 1024))
    throw new IdentityError("TOKEN_CLAIMS", "SAML: the subject is not a text of 1 to 1024 bytes");
  const email = single(facts.attributes, names.email);
  const given = Object.hasOwn(facts.attributes, names.groups) ? facts.attributes[names.groups] : [];
  const mapped = readGroups({ groups: given }, "groups");
  const groups = means.derivation.groups(claims, mapped);
  means.derivation.admit(claims, groups);
  const nowSeconds = Math.floor(means.now / 1000);
  const longest = nowSeconds + settings.sessionSeconds;
  return deepFreeze<Principal>({
    subject,
    issuer: means.issuer,
    email: email === null ? null : readEmail({ email }, "email"),
    kind: means.kindOf(claims, groups),
    groups,
    actor: [],
    provider: settings.name,
    claims,
    token: {
      jti: facts.id,
      sha256: createHash("sha256").update(means.token).digest("hex"),
      issued: facts.issued,
      expires: Math.min(longest, facts.sessionEnds ?? longest),
    },
  });
}

/** The only value of an attribute; null when absent. Two values would leave it to chance who it is. */
function single(attributes: JsonObject, name: string): string | null {
  const values = Object.hasOwn(attributes, name) ? attributes[name] : null;
  if (!Array.isArray(values) || values.length === 0) return null;
  const [value] = values;
  if (values.length > 1 || typeof value !== "string")
    throw new IdentityError(
      "TOKEN_CLAIMS",
      `SAML: attribute ${JSON.stringify(name)} has more than one value`,
    );
  return value;
}

/** Whether a token looks like a SAML message: base64 of "<", and no dot as a JWT has. */
export function looksLikeSaml(token: string): boolean {
  return token.startsWith("P") && !token.includes(".") && /^P[A-P]/.test(token);
}

/**
 * The provider that answers for a message, by the issuer it names and, where several are that issuer's, the audience; then everything is
 * checked. Rejects with IdentityError.
 */
export async function verifySamlToken(providers: readonly SamlProvider[], token: string): Promise<Principal> {
  const message = decodeMessage(token);
  const issuer = namedIssuer(message);
  let refusal: IdentityError | null = null;
  for (const provider of providers) {
    try {
      if ((await provider.issuer()) === issuer) return await provider.verify(message, token);
    } catch (error) {
      // Nothing was used up by these two.
      const next =
        error instanceof IdentityError && ["KEYS_UNAVAILABLE", "TOKEN_AUDIENCE"].includes(error.code);
      if (!next) throw error;
      if (refusal === null || error.code === "TOKEN_AUDIENCE") refusal = error;
    }
  }
  throw (
    refusal ??
    new IdentityError("TOKEN_ISSUER", "SAML: the message's issuer is not that of a configured provider")
  );
}
