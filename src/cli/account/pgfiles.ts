/**
 * Service and pass files for libpq's clients. They lie in our own folder, never in ~/.pgpass or ~/.pg_service.conf, and a file that does not begin
 * with our line is not ours.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "./error.ts";
import type { GatewayInfo, Place } from "./gateway.ts";
import { accountHome, privateFolder, readPrivate, writePrivate } from "./home.ts";

const mark = "# Written by postern: changes are lost.";

export interface PgPlace {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

/** Where libpq connects: the gateway's first address that takes passwords. Throws CliError. */
export function pgPlace(info: GatewayInfo): PgPlace {
  const found = info.postgres.find((one) => one.auth.includes("password")) ?? info.postgres[0];
  if (found === undefined) throw new CliError(1, "the gateway names no address for PostgreSQL clients");
  const { host, port } = found;
  // It is written into files of lines, and handed to libpq, to which a comma and a slash mean more than a name.
  if (!/^[\w.:%-]+$/.test(host))
    throw new CliError(1, "the gateway's address for PostgreSQL clients is no name");
  const tls = found.tls !== "none";
  if (!tls && !["localhost", "127.0.0.1", "::1"].includes(host))
    throw new CliError(
      1,
      `the gateway offers no TLS at ${host}:${port}`,
      "Tokens are only sent over TLS, or on loopback.",
    );
  return { host, port, tls };
}

/** One line of a pass file (PostgreSQL manual, "The Password File"): backslash and colon are escaped. */
export function passLine(place: PgPlace, database: string, user: string, token: string): string {
  const escaped = (text: string) => text.replaceAll(/[\\:]/g, "\\$&");
  return [place.host, String(place.port), database, user, token].map(escaped).join(":");
}

/** libpq's environment for one database (PostgreSQL manual, "Environment Variables"). */
export function pgEnvironment(
  place: PgPlace,
  gateway: Place,
  target: { readonly database: string; readonly user: string; readonly passfile: string },
): Record<string, string> {
  return {
    PGHOST: place.host,
    PGPORT: String(place.port),
    PGDATABASE: target.database,
    PGUSER: target.user,
    PGPASSFILE: target.passfile,
    ...tlsOf(place, gateway, (name) => `PG${name.toUpperCase()}`),
  };
}

/** TLS is verified wherever there is any. */
function tlsOf(place: PgPlace, gateway: Place, name: (key: string) => string): Record<string, string> {
  if (!place.tls) return {};
  return {
    [name("sslmode")]: "verify-full",
    // "system" needs libpq 16; older ones look into ~/.postgresql/root.crt by themselves.
    ...(gateway.ca === null ? {} : { [name("sslrootcert")]: gateway.ca }),
  };
}

/** The files of one profile. */
export function serviceFiles(profile: string) {
  const folder = join(accountHome(), "pg", profile);
  return { folder, service: join(folder, "pg_service.conf"), pass: join(folder, "pgpass") };
}

/**
 * Writes a service for a database, beside those that are there, and its line of the pass file. The token stands in the pass file alone: lines of a service
 * file are cut at about 1,000 bytes. Throws CliError for files that are not ours.
 */
export function writeService(
  profile: string,
  place: PgPlace,
  gateway: Place,
  target: { readonly database: string; readonly user: string; readonly token: string },
): { readonly service: string; readonly pass: string } {
  const files = serviceFiles(profile);
  privateFolder(files.folder);
  if (/[\]\n\r]/.test(target.database))
    throw new CliError(2, "this database's name cannot be that of a service");
  const services = sections(ours(files.service));
  services.set(
    target.database,
    Object.entries({
      host: place.host,
      port: String(place.port),
      dbname: target.database,
      user: target.user,
      passfile: files.pass,
      ...tlsOf(place, gateway, (name) => name),
    }).map(([name, value]) => `${name}=${value}`),
  );
  const text = [...services].map(([name, lines]) => `[${name}]\n${lines.join("\n")}\n`).join("\n");
  const line = passLine(place, target.database, target.user, target.token);
  const prefix = passLine(place, target.database, "", "").slice(0, -1);
  const others = ours(files.pass).filter((one) => !one.startsWith(prefix));
  writePrivate(files.pass, `${mark}\n${[...others, line].join("\n")}\n`);
  writePrivate(files.service, `${mark}\n${text}`);
  return files;
}

export function removeFiles(profile: string): void {
  const files = serviceFiles(profile);
  for (const file of [files.service, files.pass])
    if (isOurs(readQuietly(file))) rmSync(file, { force: true });
}

function readQuietly(file: string): string | null {
  try {
    return readPrivate(file);
  } catch {
    return null;
  }
}

function isOurs(text: string | null): boolean {
  return text?.startsWith(mark) === true;
}

/** The lines of a file of ours; none when it is not there. */
function ours(file: string): string[] {
  const text = readPrivate(file);
  if (text === null) return [];
  if (!isOurs(text)) throw new CliError(2, `${file} was not written by postern`, "Move it away.");
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

function sections(lines: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of lines) {
    const name = /^\[(.+)\]$/.exec(line)?.[1];
    if (name === undefined) current.push(line);
    else {
      current = [];
      found.set(name, current);
    }
  }
  return found;
}
