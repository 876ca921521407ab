/** Ready-made connection lines: as a terminal and as an .env file take them. */
import type { Person } from "./people.ts";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

/** The connection of a person, without and with the token in the URL. */
function url(person: Person, endpoint: Endpoint, token: string | null): string {
  // A JWT's characters (base64url and dots) need no escape in a URL.
  const who = token === null ? person.client : `${person.client}:${token}`;
  return `postgresql://${who}@${endpoint.host}:${endpoint.port}/${endpoint.database}?sslmode=disable`;
}

/** `psql` with the token in PGPASSWORD: in a URL on the command line it would show in the list of processes. */
export function psqlLine(
  person: Person,
  endpoint: Endpoint,
  token: string,
  platform: NodeJS.Platform = process.platform,
): string {
  const command = `psql "${url(person, endpoint, null)}"`;
  return platform === "win32" ? `$env:PGPASSWORD="${token}"; ${command}` : `PGPASSWORD=${token} ${command}`;
}

/** One variable of an .env file, for drivers and tools that take a URL. */
export function databaseUrlLine(person: Person, endpoint: Endpoint, token: string): string {
  return `DATABASE_URL="${url(person, endpoint, token)}"`;
}

/** An .env file: PGPASSWORD and friends for libpq and its kin, DATABASE_URL for the rest. */
export function envFile(person: Person, endpoint: Endpoint, token: string): string {
  return [
    `# ${person.role} ${person.subject}; groups ${person.groups.join(", ")}`,
    `PGHOST=${endpoint.host}`,
    `PGPORT=${endpoint.port}`,
    `PGDATABASE=${endpoint.database}`,
    `PGUSER=${person.client}`,
    "PGSSLMODE=disable",
    `PGPASSWORD=${token}`,
    databaseUrlLine(person, endpoint, token),
    "",
  ].join("\n");
}
