/** `databases:` → databases with their servers and logins. */
import type { SecretSource } from "../../facts/secret.ts";
import type { DatabaseSettings, LoginSettings, ServerSettings } from "../../gateway/settings.ts";
import { valueAt } from "../explain.ts";
import type { Path } from "../problem.ts";
import {
  databaseName,
  functions as functionsSchema,
  login as loginSchema,
  pool as poolSchema,
  readBodies as readBodiesSchema,
  replication as replicationSchema,
  type ServerInput,
  server as serverSchema,
} from "../schema/databases.ts";
import type { PasswordInput } from "../schema/scalars.ts";
import { fileSecret, secretSource } from "../secrets.ts";
import { isHostName, isLoopback } from "../units.ts";
import { type Context, readNamed, take, takeItems } from "./context.ts";
import { checkGroups } from "./groups.ts";
import { checkCertificates, checkForTls, checkPrivateKey } from "./pem.ts";
import { checkSecret } from "./secret.ts";
import { buildVault, type PasswordMeans, passwordSource } from "./vault.ts";

/** Every part of every database is taken by itself, so that one fault does not hide another. */
export async function buildDatabases(
  context: Context,
  providers: readonly string[],
): Promise<readonly DatabaseSettings[]> {
  const names = new Set<string>();
  const vault = buildVault(context);
  const built: DatabaseSettings[] = [];
  const given = valueAt(context.raw, ["databases"]);
  for (const index of Array.isArray(given) ? given.keys() : []) {
    const path: Path = ["databases", index];
    const name = take(context, [...path, "name"], databaseName);
    if (name !== null && names.has(name))
      context.problem([...path, "name"], "another database has this name", "a name of its own");
    if (name !== null) names.add(name);
    const server = await buildServer(context, name ?? "", [...path, "server"]);
    const logins = buildLogins(context, [...path, "logins"], providers, { vault, server });
    const pool = take(context, [...path, "pool"], poolSchema);
    if (pool !== null && pool.min_idle > pool.max)
      context.problem([...path, "pool", "min_idle"], "is more than pool.max", `at most ${pool.max}`);
    const replication = take(context, [...path, "replication"], replicationSchema);
    const functions = take(context, [...path, "functions"], functionsSchema);
    const readBodies = take(context, [...path, "read_bodies"], readBodiesSchema);
    // What is not valid has its problem already.
    if (name === null || server === null || pool === null || replication === null) continue;
    if (functions === null || readBodies === null) continue;
    built.push({
      name,
      server,
      replication,
      logins,
      functions: { trusted: functions, readBodies },
      pool: { max: pool.max, minIdle: pool.min_idle, reset: pool.reset },
    });
  }
  return built;
}

function buildLogins(
  context: Context,
  base: Path,
  providers: readonly string[],
  means: Omit<PasswordMeans, "user">,
): LoginSettings[] {
  const seen = new Set<string>();
  const built: LoginSettings[] = [];
  for (const [index, login] of takeItems(context, base, loginSchema).entries()) {
    const path = [...base, index];
    const groups = take(context, [...path, "groups"], loginSchema.shape.groups);
    if (groups !== null) checkGroups(context, [...path, "groups"], groups, providers);
    if (login === null) continue;
    if (login.groups.every((group) => seen.has(group)))
      context.warning(
        [...path, "groups"],
        "earlier logins have all of these groups",
        "a group of its own: this login is never used",
      );
    for (const group of login.groups) seen.add(group);
    built.push({
      groups: login.groups,
      user: login.user,
      hardened: login.hardened,
      password: buildPassword(context, login.password, { ...means, user: login.user }, [...path, "password"]),
    });
  }
  return built;
}

function buildPassword(
  context: Context,
  given: PasswordInput | undefined,
  means: PasswordMeans,
  path: Path,
): SecretSource | null {
  const password = given === undefined ? null : passwordSource(context, given, means, path);
  if (password !== null) checkSecret(context, path, password);
  return password;
}

async function buildServer(context: Context, name: string, path: Path): Promise<ServerSettings | null> {
  const server = take(context, path, serverSchema);
  if (server === null) return null;
  const socket = server.host.startsWith("/");
  if (!socket && !isHostName(server.host))
    context.problem(
      [...path, "host"],
      "is not a host",
      "a host name, an address without brackets, or an absolute folder",
    );
  const mode =
    server.tls?.mode ??
    (socket || (server.tls === undefined && isLoopback(server.host)) ? "disable" : "verify-full");
  if (socket && mode !== "disable")
    context.problem([...path, "tls", "mode"], "there is no TLS on a Unix socket", "disable");
  return {
    host: server.host,
    port: server.port,
    dbname: server.dbname ?? name,
    tls: await buildServerTls(context, server.tls ?? {}, mode, [...path, "tls"]),
  };
}

async function buildServerTls(
  context: Context,
  input: NonNullable<ServerInput["tls"]>,
  mode: ServerSettings["tls"]["mode"],
  path: Path,
): Promise<ServerSettings["tls"]> {
  // A trust anchor that is not used is a check that its owner believes in and that does not happen.
  if (input.ca !== undefined && (mode === "disable" || mode === "require"))
    context.problem(
      [...path, "ca"],
      `mode ${mode} does not check the server's certificate`,
      "mode: verify-ca or verify-full",
    );
  if (mode === "disable" && (input.cert !== undefined || input.key !== undefined))
    context.problem([...path, "mode"], "a client certificate is given, but TLS is off", "mode: verify-full");
  if ((input.cert === undefined) !== (input.key === undefined))
    context.problem(path, "cert and key belong together", "both, or neither", "key");
  const ca =
    input.ca === undefined
      ? null
      : await readNamed(context, [...path, "ca"], input.ca, "a readable PEM file");
  if (ca !== null && ca !== "") checkCertificates(context, [...path, "ca"], ca);
  const cert =
    input.cert === undefined
      ? null
      : await readNamed(context, [...path, "cert"], input.cert, "a readable PEM file");
  const certificate =
    cert === null || cert === "" ? null : checkCertificates(context, [...path, "cert"], cert);
  const file = (name: string | undefined) => (name === undefined ? null : fileSecret(name, context.folder));
  const files = { ca: file(input.ca), cert: file(input.cert) };
  if (input.key === undefined) return { mode, ca, cert, key: null, files };
  const key =
    typeof input.key === "string"
      ? fileSecret(input.key, context.folder)
      : secretSource(input.key, context.folder, context.env);
  checkSecret(context, [...path, "key"], key, (pem) => {
    if (checkPrivateKey(context, [...path, "key"], pem, certificate) && cert !== null && certificate !== null)
      checkForTls(context, [...path, "cert"], cert, pem);
  });
  return { mode, ca, cert, key, files };
}
