/** `identity:` → providers. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { OidcProviderSettings } from "../../identity/settings.ts";
import { valueAt } from "../explain.ts";
import type { Path } from "../problem.ts";
import { type OidcInput, provider as providerSchema } from "../schema/identity.ts";
import { secretSource } from "../secrets.ts";
import { isSafeUrl } from "../units.ts";
import { type Context, readNamed, takeItems } from "./context.ts";
import { checkSecret } from "./secret.ts";

const base: Path = ["identity", "providers"];

/** Names of all providers, valid or not: what a login may refer to. */
export function providerNames(context: Context): readonly string[] {
  const providers = valueAt(context.raw, base);
  if (!Array.isArray(providers)) return [];
  return [...new Set(providers.map((p) => valueAt(p, ["name"])).filter((name) => typeof name === "string"))];
}

export function buildProviders(context: Context): readonly OidcProviderSettings[] {
  const names = new Set<string>();
  const built: OidcProviderSettings[] = [];
  for (const [index, input] of takeItems(context, base, providerSchema).entries()) {
    if (input === null) continue;
    const path = [...base, index];
    if (names.has(input.name))
      context.problem([...path, "name"], "another provider has this name", "a name of its own");
    names.add(input.name);
    if (input.type !== "oidc") continue; // refused by unavailable.ts
    // Two providers for one token would make it a matter of luck which of them judges it.
    const twin = built.find(
      (one) => one.issuer === input.issuer && input.audience.some((a) => one.audience.includes(a)),
    );
    if (twin !== undefined)
      context.problem(
        [...path, "audience"],
        `provider ${twin.name} has the same issuer and audience`,
        "an audience of its own",
      );
    built.push(buildOidc(context, input, path));
  }
  return built;
}

function buildOidc(context: Context, input: OidcInput, path: Path): OidcProviderSettings {
  const jwks = input.jwks === undefined ? null : keySet(context, input.jwks, [...path, "jwks"]);
  if (input.jwks === undefined && !isSafeUrl(input.issuer))
    context.problem(
      [...path, "issuer"],
      "its keys cannot be discovered safely",
      "an https URL (or http on loopback), or jwks: URL or file:PATH",
    );
  const client = input.client;
  const secret =
    client?.secret === undefined ? null : secretSource(client.secret, context.folder, context.env);
  if (secret !== null) checkSecret(context, [...path, "client", "secret"], secret);
  return {
    name: input.name,
    type: "oidc",
    issuer: input.issuer,
    audience: input.audience,
    jwks,
    algorithms: input.algorithms,
    tokenTypes: input.token_types,
    claims: input.claims,
    kinds: input.kinds,
    client:
      client === undefined
        ? null
        : {
            id: client.id,
            cli: client.cli ?? null,
            secret,
            scopes: [...new Set(["openid", ...client.scopes])],
            resource: client.resource ?? null,
          },
    maxTokenAge: input.max_token_age ?? null,
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
