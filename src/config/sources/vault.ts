/** HashiCorp Vault (and OpenBao) over its HTTP API: logging in, and reading with a token that is kept alive. */
import type { SecretSource } from "../../facts/secret.ts";
import { SecretFault } from "../secretfault.ts";
import { isRecord, readObject, type SmallResponse, send } from "./http.ts";

export type VaultAuth =
  | { readonly method: "token"; readonly token: SecretSource }
  | {
      readonly method: "approle";
      readonly mount: string;
      readonly roleId: SecretSource;
      readonly secretId: SecretSource | null;
    }
  | {
      readonly method: "kubernetes";
      readonly mount: string;
      readonly role: string;
      /** The projected service account token, read for each login. */
      readonly jwt: SecretSource;
    };

export interface VaultSettings {
  /** Without a trailing slash. */
  readonly address: string;
  readonly namespace: string | null;
  /** PEM; null: the system's authorities. */
  readonly ca: SecretSource | null;
  readonly auth: VaultAuth;
}

export interface Vault {
  /** GETs `/v1/PATH`; null: there is nothing. Rejects with SecretFault. */
  read(path: string): Promise<Readonly<Record<string, unknown>> | null>;
  /** PUTs a JSON body. Rejects with SecretFault. */
  write(path: string, body: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
}

const what = "Vault";
/** A token is taken anew when less than this part of its life is left. */
const renewBelow = 1 / 3;
const fallbackSeconds = 300;

/** `now`: milliseconds of a clock that does not jump. */
export function createVault(settings: VaultSettings, now: () => number = () => performance.now()): Vault {
  let held: { readonly token: string; readonly renewAt: number } | null = null;
  let pending: Promise<string> | null = null;

  async function call(
    method: "GET" | "PUT" | "POST",
    path: string,
    token: string | null,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<SmallResponse> {
    return send(`${settings.address}/v1/${path}`, what, {
      method,
      headers: {
        accept: "application/json",
        "x-vault-request": "true",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(token === null ? {} : { "x-vault-token": token }),
        ...(settings.namespace === null ? {} : { "x-vault-namespace": settings.namespace }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ca: settings.ca === null ? null : await settings.ca.read(),
    });
  }

  async function login(): Promise<string> {
    const { auth } = settings;
    if (auth.method === "token") return auth.token.read();
    const body =
      auth.method === "approle"
        ? {
            role_id: await auth.roleId.read(),
            ...(auth.secretId === null ? {} : { secret_id: await auth.secretId.read() }),
          }
        : { role: auth.role, jwt: await auth.jwt.read() };
    const answer = await call("POST", `auth/${encodePath(auth.mount)}/login`, null, body);
    if (answer.status !== 200) throw refused(answer.status, `the login by ${auth.method}`);
    const { auth: given } = readObject(answer.text, what);
    const token = isRecord(given) ? given.client_token : null;
    if (typeof token !== "string" || token === "") throw new SecretFault(`${what} gave no token`);
    held = {
      token,
      renewAt: now() + lifetime(isRecord(given) ? given.lease_duration : 0) * (1 - renewBelow) * 1000,
    };
    return token;
  }

  /** One login at a time, shared by all who wait for it. */
  function token(): Promise<string> {
    // A token of the operator's own is read anew each time: it may be a file that an agent keeps.
    if (settings.auth.method !== "token" && held !== null && now() < held.renewAt)
      return Promise.resolve(held.token);
    pending ??= login().finally(() => {
      pending = null;
    });
    return pending;
  }

  async function authorized(
    method: "GET" | "PUT",
    path: string,
    body?: Readonly<Record<string, unknown>>,
  ): Promise<SmallResponse> {
    const first = await token();
    const answer = await call(method, path, first, body);
    // Revoked, or ended early: once more with a fresh token.
    if (answer.status !== 403 || settings.auth.method === "token") return answer;
    if (held?.token === first) held = null;
    return call(method, path, await token(), body);
  }

  return {
    async read(path) {
      const answer = await authorized("GET", encodePath(path));
      if (answer.status === 404) return null;
      if (answer.status !== 200) throw refused(answer.status, "reading the secret");
      return readObject(answer.text, what);
    },
    async write(path, body) {
      const answer = await authorized("PUT", encodePath(path), body);
      if (answer.status !== 200) throw refused(answer.status, "the request");
      return readObject(answer.text, what);
    },
  };
}

function refused(status: number, action: string): SecretFault {
  const why = status === 403 ? "permission denied" : status === 503 ? "it is sealed" : `HTTP ${status}`;
  return new SecretFault(`${what} refused ${action}: ${why}`);
}

function encodePath(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "")
    .map(encodeURIComponent)
    .join("/");
}

/** Seconds; what is no positive number counts as a few minutes. */
export function lifetime(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : fallbackSeconds;
}
