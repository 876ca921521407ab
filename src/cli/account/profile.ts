/** Logins, one profile a gateway: `profiles/NAME.json` in the user's folder, and `current`, the name of the one in use. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { CliError } from "./error.ts";
import { accountHome, privateFolder, readPrivate, writePrivate } from "./home.ts";

const common = {
  v: z.literal(1),
  /** Origin of the gateway's http listener. */
  url: z.string(),
  /** PEM file with the authorities of the gateway's certificates; null: the system's. */
  ca: z.string().nullable(),
  provider: z.string(),
  subject: z.string(),
};

const schema = z.discriminatedUnion("kind", [
  /** Tokens of the identity provider. */
  z.strictObject({
    ...common,
    kind: z.literal("oidc"),
    issuer: z.string(),
    clientId: z.string(),
    scopes: z.array(z.string()),
    resource: z.string().nullable(),
    accessToken: z.string(),
    /** Seconds since the epoch. */
    accessExpires: z.number(),
    refreshToken: z.string().nullable(),
  }),
  /** A Postern token, from a login in the browser at the gateway. */
  z.strictObject({
    ...common,
    kind: z.literal("gateway"),
    accessToken: z.string(),
    accessExpires: z.number(),
  }),
  /** A workload: its token is read anew each time. */
  z.strictObject({ ...common, kind: z.literal("ci"), source: z.string(), audience: z.string() }),
]);
export type Profile = z.output<typeof schema>;

const namePattern = /^[A-Za-z0-9][\w.-]{0,99}$/;
const lockStaleMs = 30_000;

function folder(): string {
  return join(accountHome(), "profiles");
}

function fileOf(name: string): string {
  if (!namePattern.test(name)) throw new CliError(2, `${JSON.stringify(name)} is not a profile's name`);
  return join(folder(), `${name}.json`);
}

/** The name a gateway gets when the user gives none. */
export function profileName(url: string): string {
  return new URL(url).host.replaceAll(/[^\w.-]/g, "_");
}

/** The profile to use: the one asked for, POSTERN_PROFILE, or the current one. Throws CliError when there is none. */
export function openProfile(wanted: string | undefined): { name: string; profile: Profile } {
  const name = wanted ?? process.env.POSTERN_PROFILE ?? readPrivate(join(accountHome(), "current"))?.trim();
  if (name === undefined || name === "") throw notLoggedIn();
  const profile = readProfile(name);
  if (profile === null) throw notLoggedIn();
  return { name, profile };
}

export function readProfile(name: string): Profile | null {
  const text = readPrivate(fileOf(name));
  if (text === null) return null;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new CliError(2, `the profile ${name} cannot be read`, "Log in again: postern login URL");
  }
}

export function saveProfile(name: string, profile: Profile): void {
  writePrivate(fileOf(name), `${JSON.stringify(profile)}\n`);
}

export function selectProfile(name: string): void {
  writePrivate(join(accountHome(), "current"), `${name}\n`);
}

export function removeProfile(name: string): void {
  rmSync(fileOf(name), { force: true });
}

export function listProfiles(): string[] {
  if (!existsSync(folder())) return [];
  return readdirSync(folder())
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
}

/** One process at a time: a refresh token may be good once, and two that use it at once would both be logged out. */
export async function locked<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = join(privateFolder(folder()), `${name}.lock`);
  for (let waited = 0; ; waited += 50) {
    try {
      mkdirSync(lock, { mode: 0o700 });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const made = statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    // Whoever made it did not live to remove it.
    if (made > 0 && Date.now() - made > lockStaleMs) rmSync(lock, { recursive: true, force: true });
    else if (waited > lockStaleMs) throw new CliError(1, `another postern works on the profile ${name}`);
    else await sleep(50);
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function notLoggedIn(): CliError {
  return new CliError(1, "you are not logged in", "postern login https://your-gateway");
}
