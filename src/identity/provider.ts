/** One OIDC provider of postern.yaml, its settings checked and compiled. */
import { knownAlgorithms } from "./algorithms.ts";
import { normaliseType } from "./compact.ts";
import { compileDerivation, type Derivation } from "./derive.ts";
import { discoveryFault } from "./discovery.ts";
import { IdentityConfigError, quote } from "./errors.ts";
import { urlFault } from "./fetch.ts";
import { fileKeys, type KeySource, keyFilePath, readKeyFile, remoteKeys } from "./keysource.ts";
import { compileKinds, type KindOf } from "./kinds.ts";
import type { OidcProviderSettings, ProviderSettings } from "./settings.ts";
import { mayBeLogin } from "./tokentype.ts";

export interface Provider {
  readonly settings: OidcProviderSettings;
  readonly types: ReadonlySet<string>;
  readonly algorithms: ReadonlySet<string>;
  readonly kindOf: KindOf;
  readonly derivation: Derivation;
  readonly keys: KeySource;
}

export interface ProviderDeps {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  readonly timeoutMs: number;
}

/**
 * Checks a provider's settings and makes it ready. Nothing is fetched. A key file is read once, so that a wrong path shows at start.
 * Throws IdentityConfigError.
 */
export async function openProvider(settings: OidcProviderSettings, deps: ProviderDeps): Promise<Provider> {
  const fail = (key: string, what: string) => new IdentityConfigError(settings.name, key, what);
  if (settings.issuer === "") throw fail("issuer", "an issuer is expected");
  if (settings.audience.length === 0 || settings.audience.includes(""))
    throw fail("audience", "an audience is expected");
  if (settings.algorithms.length === 0) throw fail("algorithms", "at least one algorithm is expected");
  for (const algorithm of settings.algorithms) {
    if (!knownAlgorithms.includes(algorithm)) {
      // "none" and HS* above all: with them anyone who can read the public key can sign.
      throw fail(
        "algorithms",
        `${quote(algorithm)} is not accepted; expected any of ${knownAlgorithms.join(", ")}`,
      );
    }
  }
  if (settings.tokenTypes.length === 0) throw fail("token_types", "at least one type is expected");
  for (const type of settings.tokenTypes) {
    if (type === "" || !mayBeLogin(type)) throw fail("token_types", `${quote(type)} can never be a login`);
  }
  for (const [name, path] of Object.entries(settings.claims)) {
    if (path === "") throw fail(`claims.${name}`, "the name of a claim is expected");
  }
  const { maxTokenAge } = settings;
  if (maxTokenAge !== null && !(Number.isFinite(maxTokenAge) && maxTokenAge > 0)) {
    throw fail("max_token_age", "a number of seconds above 0 is expected");
  }
  return {
    settings,
    types: new Set(settings.tokenTypes.map(normaliseType)),
    algorithms: new Set(settings.algorithms),
    kindOf: compileKinds(settings.name, settings.kinds),
    derivation: compileDerivation(settings.name, settings),
    keys: await openKeys(settings, deps, fail),
  };
}

async function openKeys(
  settings: OidcProviderSettings,
  deps: ProviderDeps,
  fail: (key: string, what: string) => IdentityConfigError,
): Promise<KeySource> {
  const keyUse = settings.dialect === "spiffe" ? { keyUse: "jwt-svid" } : {};
  const options = { provider: settings.name, issuer: settings.issuer, ...keyUse, ...deps };
  const { jwks } = settings;
  if (jwks === null) {
    const fault = discoveryFault(settings.issuer);
    if (fault !== null) throw fail("issuer", `${fault}; without jwks the keys are found through the issuer`);
    return remoteKeys(null, options);
  }
  if (!jwks.startsWith("file:")) {
    const fault = urlFault(jwks);
    if (fault !== null) throw fail("jwks", fault);
    return remoteKeys(jwks, options);
  }
  let path: string;
  try {
    path = keyFilePath(jwks);
    await readKeyFile(path);
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : systemCode(error);
    throw fail("jwks", `the key file cannot be used: ${why}`);
  }
  return fileKeys(path, options);
}

function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unreadable";
}

/** Two providers that would both answer for the same token make it a matter of luck which of them decides. Throws IdentityConfigError. */
export function checkTogether(providers: readonly ProviderSettings[]): void {
  providers.forEach((provider, index) => {
    for (const earlier of providers.slice(0, index)) {
      if (earlier.name === provider.name)
        throw new IdentityConfigError(provider.name, "name", "two providers have this name");
      if (provider.type !== "oidc" || earlier.type !== "oidc") continue;
      const shared = provider.audience.find((audience) => earlier.audience.includes(audience));
      if (earlier.issuer === provider.issuer && shared !== undefined) {
        throw new IdentityConfigError(
          provider.name,
          "audience",
          `provider ${quote(earlier.name)} has the same issuer and also the audience ${quote(shared)}`,
        );
      }
    }
  });
}
