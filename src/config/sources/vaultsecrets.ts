/** Secrets in Vault: the KV engine (versions 1 and 2), and logins that its database engine makes or rotates. */
import type { SecretSource } from "../../facts/secret.ts";
import { SecretFault } from "../secretfault.ts";
import { isRecord } from "./http.ts";
import { lifetime, type Vault } from "./vault.ts";

export type VaultPlace =
  | {
      readonly engine: "kv";
      readonly version: 1 | 2;
      readonly mount: string;
      readonly path: string;
      readonly field: string;
    }
  | {
      readonly engine: "database";
      readonly mount: string;
      readonly role: string;
      readonly rotation: "dynamic" | "static";
    };

/** How long a value is used without asking again, and how long when Vault does not answer. */
const freshMs = 15_000;
const staleMs = 900_000;
/** A lease is renewed, or another login taken, when less than this part of it is left. */
const renewBelow = 1 / 3;

/** A secret in Vault. `now`: milliseconds of a clock that does not jump. */
export function vaultSecret(
  vault: Vault,
  place: VaultPlace,
  now: () => number = () => performance.now(),
): SecretSource {
  if (place.engine === "kv") {
    const { mount, path, field, version } = place;
    const where = version === 2 ? `${mount}/data/${path}` : `${mount}/${path}`;
    return cached(`vault ${mount}/${path}#${field}`, now, async () => {
      const data = dataOf(await vault.read(where));
      const inner = version === 2 ? data.data : data;
      return textOf(isRecord(inner) ? inner[field] : undefined, `field ${field}`);
    });
  }
  const { mount, role } = place;
  if (place.rotation === "static")
    return cached(`vault ${mount}/static-creds/${role}`, now, async () =>
      textOf(dataOf(await vault.read(`${mount}/static-creds/${role}`)).password, "password"),
    );
  return leased(vault, `${mount}/creds/${role}`, now);
}

function cached(label: string, now: () => number, load: () => Promise<string>): SecretSource {
  let known: { readonly value: string; readonly at: number } | null = null;
  let pending: Promise<string> | null = null;
  const refresh = async (): Promise<string> => {
    try {
      const value = await load();
      known = { value, at: now() };
      return value;
    } catch (error) {
      if (known !== null && now() - known.at < staleMs) return known.value;
      throw error;
    }
  };
  return {
    label,
    read() {
      if (known !== null && now() - known.at < freshMs) return Promise.resolve(known.value);
      pending ??= refresh().finally(() => {
        pending = null;
      });
      return pending;
    },
  };
}

interface Lease {
  readonly user: string;
  readonly password: string;
  readonly id: string;
  readonly renewable: boolean;
  readonly seconds: number;
  readonly until: number;
}

/** A login made for us and taken away when its lease ends: shared by new connections while enough of the lease is left. */
function leased(vault: Vault, path: string, now: () => number): SecretSource {
  let lease: Lease | null = null;
  let pending: Promise<Lease> | null = null;

  async function take(): Promise<Lease> {
    const answer = await vault.read(path);
    const data = dataOf(answer);
    const seconds = lifetime(answer?.lease_duration);
    return {
      user: textOf(data.username, "username"),
      password: textOf(data.password, "password"),
      id: typeof answer?.lease_id === "string" ? answer.lease_id : "",
      renewable: answer?.renewable === true,
      seconds,
      until: now() + seconds * 1000,
    };
  }

  /** The same lease with a later end; null when it cannot be made longer, which a role's max_ttl sees to sooner or later. */
  async function renew(old: Lease): Promise<Lease | null> {
    if (!old.renewable || old.id === "" || now() >= old.until) return null;
    try {
      const answer = await vault.write("sys/leases/renew", { lease_id: old.id, increment: old.seconds });
      const seconds = lifetime(answer.lease_duration);
      return seconds < old.seconds * (1 - renewBelow) ? null : { ...old, until: now() + seconds * 1000 };
    } catch (error) {
      if (error instanceof SecretFault) return null;
      throw error;
    }
  }

  async function refresh(): Promise<Lease> {
    const old = lease;
    try {
      const next = (old === null ? null : await renew(old)) ?? (await take());
      lease = next;
      return next;
    } catch (error) {
      // While the lease lasts its login is good, whether or not Vault answers.
      if (old !== null && now() < old.until) return old;
      throw error;
    }
  }

  function current(): Promise<Lease> {
    if (lease !== null && lease.until - now() > lease.seconds * 1000 * renewBelow)
      return Promise.resolve(lease);
    pending ??= refresh().finally(() => {
      pending = null;
    });
    return pending;
  }

  return {
    label: `vault ${path}`,
    read: async () => (await current()).password,
    async readLogin() {
      const { user, password } = await current();
      return { user, password };
    },
  };
}

function dataOf(answer: Readonly<Record<string, unknown>> | null): Readonly<Record<string, unknown>> {
  if (answer === null) throw new SecretFault("Vault has nothing there");
  if (!isRecord(answer.data)) throw new SecretFault("Vault gave an answer without data");
  return answer.data;
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== "string" || value === "")
    throw new SecretFault(`Vault's answer has no text as ${what}`);
  if (value.includes("\0")) throw new SecretFault(`Vault's ${what} holds a NUL byte`);
  return value;
}
