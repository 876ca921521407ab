/** `vault:` → a client of it, and passwords that are kept there. */
import type { SecretSource } from "../../facts/secret.ts";
import type { ServerSettings } from "../../gateway/settings.ts";
import type { Path } from "../problem.ts";
import type { PasswordInput, VaultInput } from "../schema/scalars.ts";
import { vault as vaultSchema } from "../schema/vault.ts";
import { fileSecret, secretSource } from "../secrets.ts";
import { awsCredentials } from "../sources/awscredentials.ts";
import { rdsToken, regionOf } from "../sources/rds.ts";
import { createVault, type Vault, type VaultAuth } from "../sources/vault.ts";
import { type VaultPlace, vaultSecret } from "../sources/vaultsecrets.ts";
import { isSafeUrl } from "../units.ts";
import { type Context, isGiven, readNamed, take } from "./context.ts";
import { checkCertificates } from "./pem.ts";

/** null: none given, or a problem was noted. */
export function buildVault(context: Context): Vault | null {
  if (!isGiven(context, ["vault"])) return null;
  const input = take(context, ["vault"], vaultSchema);
  if (input === null) return null;
  if (!isSafeUrl(input.address)) {
    context.problem(["vault", "address"], "is no safe address", "an https URL (or http on loopback)");
    return null;
  }
  const { ca } = input;
  if (ca !== undefined)
    context.later(async () => {
      const pem = await readNamed(context, ["vault", "ca"], ca, "a readable PEM file");
      if (pem !== "") checkCertificates(context, ["vault", "ca"], pem);
    });
  const secret = (given: Parameters<typeof secretSource>[0]) =>
    secretSource(given, context.folder, context.env);
  const auth = ((): VaultAuth => {
    if ("token" in input.auth) return { method: "token", token: secret(input.auth.token) };
    if ("approle" in input.auth) {
      const { role_id: roleId, secret_id: secretId, mount } = input.auth.approle;
      return {
        method: "approle",
        mount,
        roleId: secret(roleId),
        secretId: secretId === undefined ? null : secret(secretId),
      };
    }
    const { role, mount, token } = input.auth.kubernetes;
    return { method: "kubernetes", mount, role, jwt: fileSecret(token, context.folder) };
  })();
  return createVault({
    address: input.address.replace(/\/+$/, ""),
    namespace: input.namespace ?? null,
    ca: ca === undefined ? null : fileSecret(ca, context.folder),
    auth,
  });
}

export interface PasswordMeans {
  readonly vault: Vault | null;
  readonly server: ServerSettings | null;
  readonly user: string;
}

/** The source of a login's password; null when a problem was noted. */
export function passwordSource(
  context: Context,
  given: PasswordInput,
  means: PasswordMeans,
  path: Path,
): SecretSource | null {
  if ("vault" in given) {
    if (means.vault !== null) return vaultSecret(means.vault, placeOf(given.vault));
    if (!isGiven(context, ["vault"]))
      context.problem(
        [...path, "vault"],
        "it is not said where Vault is",
        "vault: { address, auth } in this file",
        "key",
      );
    return null;
  }
  if ("aws_rds_iam" in given) return rds(context, given.aws_rds_iam, means, [...path, "aws_rds_iam"]);
  return secretSource(given, context.folder, context.env);
}

function placeOf(input: VaultInput): VaultPlace {
  if (typeof input === "string") {
    const [where = "", field = "password"] = input.split("#", 2);
    const slash = where.indexOf("/");
    return { engine: "kv", version: 2, mount: where.slice(0, slash), path: where.slice(slash + 1), field };
  }
  if ("path" in input) return { engine: "kv", ...input };
  const { database } = input;
  return "role" in database
    ? { engine: "database", mount: database.mount, role: database.role, rotation: "dynamic" }
    : { engine: "database", mount: database.mount, role: database.static_role, rotation: "static" };
}

function rds(
  context: Context,
  input: true | { readonly region: string },
  { server, user }: PasswordMeans,
  path: Path,
): SecretSource | null {
  if (server === null) return null;
  const said = input === true ? null : input.region;
  const region = said ?? regionOf(server.host) ?? context.env.AWS_REGION ?? context.env.AWS_DEFAULT_REGION;
  if (region === undefined) {
    context.problem(path, "the AWS region is not known", "aws_rds_iam: { region: NAME }, or AWS_REGION");
    return null;
  }
  if (server.tls.mode === "disable" || server.tls.mode === "require")
    context.problem(
      path,
      "the token would be shown to a server that is not verified",
      "server.tls.mode: verify-full",
    );
  const { host, port } = server;
  return rdsToken({ host, port, user, region }, awsCredentials(context.env, region));
}
