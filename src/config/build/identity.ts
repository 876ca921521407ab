/** `identity:` → providers. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { ProtectionSettings } from "../../identity/protection.ts";
import type {
  GroupRule,
  MtlsProviderSettings,
  OidcProviderSettings,
  PrincipalRules,
  ProviderSettings,
  SamlProviderSettings,
} from "../../identity/settings.ts";
import type { TokenSettings } from "../../identity/tokens/settings.ts";
import { valueAt } from "../explain.ts";
import { type Preset, presetOf } from "../presets.ts";
import type { Path } from "../problem.ts";
import {
  maxDelegationDepth as depthSchema,
  lockout as lockoutSchema,
  type MtlsInput,
  type OidcInput,
  provider as providerSchema,
  type RulesInput,
  type SamlInput,
  tokens as tokensSchema,
} from "../schema/identity.ts";
import { fileSecret, secretSource } from "../secrets.ts";
import { isSafeUrl } from "../units.ts";
import { type Context, isGiven, readNamed, take, takeItems } from "./context.ts";
import { checkCertificates, checkPrivateKey } from "./pem.ts";
import { checkSecret } from "./secret.ts";

const base: Path = ["identity", "providers"];
/** What the identity room takes of metadata; federations' are large. */
const maxMetadataBytes = 4 * 1024 * 1024;

/** Names of all providers, valid or not: what a login may refer to. */
export function providerNames(context: Context): readonly string[] {
  const providers = valueAt(context.raw, base);
  if (!Array.isArray(providers)) return [];
  return [...new Set(providers.map((p) => valueAt(p, ["name"])).filter((name) => typeof name === "string"))];
}

/** `identity.tokens`; null: not valid (the schema pass has said why). */
export function buildTokens(context: Context): TokenSettings | null {
  const input = take(context, ["identity", "tokens"], tokensSchema);
  if (input === null) return null;
  if (input.lifetime > input.longest)
    context.problem(
      ["identity", "tokens", "lifetime"],
      "is more than identity.tokens.longest",
      "at most that",
    );
  return { lifetime: input.lifetime, longest: input.longest, perPrincipal: input.per_principal };
}

/** What concerns all providers. */
export interface IdentitySettings {
  readonly maxDelegationDepth: number;
  /** null: no waits after failed logins. */
  readonly lockout: ProtectionSettings | null;
}

export function buildIdentity(context: Context): IdentitySettings {
  const depth = take(context, ["identity", "max_delegation_depth"], depthSchema);
  const lockout = take(context, ["identity", "lockout"], lockoutSchema);
  if (lockout !== null && lockout.first > lockout.longest)
    context.problem(["identity", "lockout", "first"], "is longer than lockout.longest", "at most that");
  return {
    maxDelegationDepth: depth ?? 0,
    lockout:
      lockout === null || !lockout.enabled
        ? null
        : {
            perIp: lockout.per_ip,
            perPrincipal: lockout.per_principal,
            windowSeconds: lockout.window,
            firstSeconds: lockout.first,
            longestSeconds: lockout.longest,
          },
  };
}

export async function buildProviders(context: Context): Promise<readonly ProviderSettings[]> {
  const names = new Set<string>();
  const built: ProviderSettings[] = [];
  for (const [index, input] of takeItems(context, base, providerSchema).entries()) {
    if (input === null) continue;
    const path = [...base, index];
    if (names.has(input.name))
      context.problem([...path, "name"], "another provider has this name", "a name of its own");
    names.add(input.name);
    switch (input.type) {
      case "oidc": {
        const settings = buildOidc(context, input, path);
        refuseTwin(context, built, settings, path);
        built.push(settings);
        break;
      }
      case "saml":
        built.push(await buildSaml(context, input, path));
        break;
      case "mtls":
        built.push(buildMtls(context, input, path));
        break;
      default:
        input satisfies never;
    }
  }
  return built;
}

/** Two providers for one token would make it a matter of luck which of them judges it. */
function refuseTwin(
  context: Context,
  built: readonly ProviderSettings[],
  settings: OidcProviderSettings,
  path: Path,
): void {
  const twin = built.find(
    (one) =>
      one.type === "oidc" &&
      one.issuer === settings.issuer &&
      settings.audience.some((audience) => one.audience.includes(audience)),
  );
  if (twin !== undefined)
    context.problem(
      [...path, "audience"],
      `provider ${twin.name} has the same issuer and audience`,
      "an audience of its own",
    );
}

function buildOidc(context: Context, input: OidcInput, path: Path): OidcProviderSettings {
  const preset = input.preset === undefined ? null : presetOf(input.preset);
  const issuer = input.issuer ?? preset?.issuer ?? null;
  if (issuer === null)
    context.problem(
      input.preset === undefined ? path : [...path, "preset"],
      "the issuer is missing",
      "issuer: the `iss` of its tokens",
      input.preset === undefined ? "key" : "value",
    );
  if (preset !== null && issuer !== null) checkPreset(context, input, { preset, issuer }, path);
  const jwks = input.jwks === undefined ? null : keySet(context, input.jwks, [...path, "jwks"]);
  if (input.jwks === undefined && issuer !== null && !isSafeUrl(issuer))
    context.problem(
      [...path, "issuer"],
      "its keys cannot be discovered safely",
      "an https URL (or http on loopback), or jwks: URL or file:PATH",
    );
  const client = input.client;
  const secret =
    client?.secret === undefined ? null : secretSource(client.secret, context.folder, context.env);
  if (secret !== null) checkSecret(context, [...path, "client", "secret"], secret);
  const said = (...key: string[]) => preset === null || isGiven(context, [...path, ...key]);
  const claim = (name: keyof OidcInput["claims"]) =>
    said("claims", name) ? input.claims[name] : (preset?.claims[name] ?? input.claims[name]);
  return {
    name: input.name,
    type: "oidc",
    issuer: issuer ?? "",
    audience: input.audience,
    jwks,
    algorithms: said("algorithms") ? input.algorithms : (preset?.algorithms ?? []),
    tokenTypes: said("token_types") ? input.token_types : (preset?.tokenTypes ?? []),
    claims: {
      subject: claim("subject"),
      groups: claim("groups"),
      email: claim("email"),
      agent: claim("agent"),
    },
    ...buildRules(input, preset),
    client:
      client === undefined
        ? null
        : {
            id: client.id,
            cli: client.cli ?? (client.secret === undefined ? client.id : null),
            secret,
            scopes: [...new Set(["openid", ...client.scopes])],
            resource: client.resource ?? null,
          },
    maxTokenAge: input.max_token_age ?? null,
    ...(preset === null || preset.dialect === null ? {} : { dialect: preset.dialect }),
    ...(input.id_jag ? { idJag: true } : {}),
  };
}

function checkPreset(
  context: Context,
  input: OidcInput,
  { preset, issuer }: { readonly preset: Preset; readonly issuer: string },
  path: Path,
): void {
  if (preset.open(issuer) && input.require.length === 0)
    context.problem(
      [...path, "preset"],
      "this issuer gives tokens to anybody, for any audience",
      "require: a condition that names your own, such as [ 'claims.repository_owner_id == \"12345\"' ]",
    );
  if (preset.dialect === "spiffe" && !/^spiffe:\/\/[a-z0-9._-]+$/.test(issuer))
    context.problem([...path, "issuer"], "is not a trust domain's SPIFFE ID", "spiffe://TRUST-DOMAIN");
}

/** The operator's own rules come before those of a preset. */
function buildRules(input: RulesInput, preset: Preset | null): PrincipalRules {
  const own: GroupRule[] = input.groups_from.map((rule) =>
    "group" in rule
      ? { group: rule.group, when: rule.when }
      : { group: { expression: rule.value }, when: rule.when ?? null },
  );
  const groupsFrom = [...own, ...(preset?.groupsFrom ?? [])];
  const require = [...input.require, ...(preset?.require ?? [])];
  return {
    kinds: [...input.kinds, ...(preset?.kinds ?? [])],
    ...(groupsFrom.length === 0 ? {} : { groupsFrom }),
    ...(require.length === 0 ? {} : { require }),
  };
}

async function buildSaml(context: Context, input: SamlInput, path: Path): Promise<SamlProviderSettings> {
  let metadata = input.metadata;
  if (/^https?:/.test(metadata)) {
    if (!isSafeUrl(metadata))
      context.problem(
        [...path, "metadata"],
        "metadata cannot be fetched safely from there",
        "an https URL (or http on loopback), or a file",
      );
  } else {
    metadata = resolve(context.folder, metadata);
    const file = metadata;
    context.later(async () => {
      await readNamed(
        context,
        [...path, "metadata"],
        file,
        "the identity provider's metadata: a file, or an https URL",
        maxMetadataBytes,
      );
    });
  }
  if (input.acs !== undefined && !isSafeUrl(input.acs))
    context.problem([...path, "acs"], "is no safe address", "an https URL (or http on loopback)");
  return {
    name: input.name,
    type: "saml",
    metadata,
    entityId: input.entity_id ?? null,
    audience: input.audience,
    attributes: {
      subject: input.attributes.subject ?? null,
      groups: input.attributes.groups,
      email: input.attributes.email,
    },
    ...buildRules(input, null),
    signed: input.signed,
    sessionSeconds: input.session,
    acs: input.acs ?? null,
    ...(input.signing === undefined
      ? {}
      : { signing: await buildSigning(context, input.signing, [...path, "signing"]) }),
  };
}

async function buildSigning(
  context: Context,
  input: NonNullable<SamlInput["signing"]>,
  path: Path,
): Promise<NonNullable<SamlProviderSettings["signing"]>> {
  const cert = await readNamed(context, [...path, "cert"], input.cert, "a readable PEM file");
  const certificate = cert === "" ? null : checkCertificates(context, [...path, "cert"], cert);
  if (certificate !== null && certificate.publicKey.asymmetricKeyType !== "rsa")
    context.problem([...path, "cert"], "its key is no RSA key", "a certificate with an RSA key");
  const key =
    typeof input.key === "string"
      ? fileSecret(input.key, context.folder)
      : secretSource(input.key, context.folder, context.env);
  checkSecret(context, [...path, "key"], key, (pem) => {
    checkPrivateKey(context, [...path, "key"], pem, certificate);
  });
  return { cert, key };
}

function buildMtls(context: Context, input: MtlsInput, path: Path): MtlsProviderSettings {
  if (!isGiven(context, ["tls", "client_ca"]))
    context.problem(
      path,
      "client certificates are checked against tls.client_ca, which is not given",
      "tls: { client_ca: FILE } in this file",
    );
  return {
    name: input.name,
    type: "mtls",
    subject: input.subject,
    domains: input.domains.map((domain) => domain.toLowerCase()),
    ...buildRules(input, null),
  };
}

/** An https URL as it is; `file:PATH` (relative to the configuration) → a file URL of a key set that is there now. */
function keySet(context: Context, text: string, path: Path): string {
  if (!text.startsWith("file:")) {
    if (!isSafeUrl(text))
      context.problem(
        path,
        "keys cannot be fetched safely from there",
        "an https URL (or http on loopback), or file:PATH",
      );
    return text;
  }
  const file = resolve(context.folder, filePath(text));
  context.later(async () => {
    const content = await readNamed(context, path, file, "a readable JSON Web Key Set");
    const fault = content === "" ? null : keySetFault(content);
    if (fault !== null) context.problem(path, fault, 'a JSON Web Key Set: { "keys": [public keys] }');
  });
  return pathToFileURL(file).href;
}

/** file:./a, file:/a and file:///a are all understood. */
function filePath(text: string): string {
  const rest = text.slice("file:".length);
  return rest.startsWith("//") && URL.canParse(text) ? decodeURIComponent(new URL(text).pathname) : rest;
}

/** RFC 7517 section 5; private and symmetric members (RFC 7518 section 6) have no business here. */
function keySetFault(content: string): string | null {
  let keys: unknown;
  try {
    keys = valueAt(JSON.parse(content), ["keys"]);
  } catch {
    return "the file is not JSON";
  }
  if (!Array.isArray(keys) || keys.length === 0) return "the file holds no keys";
  const secret = keys.some((key) => valueAt(key, ["d"]) !== undefined || valueAt(key, ["k"]) !== undefined);
  return secret ? "the file holds private or symmetric keys" : null;
}
