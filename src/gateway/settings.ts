import type { SecretSource } from "../facts/secret.ts";

export type AuthMethod = "password" | "oauthbearer" | "scram" | "cert";

export interface ListenerSettings {
  /** Host and port, or the absolute path of a Unix socket. Port 0 takes a free one. */
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  readonly auth: readonly AuthMethod[];
  readonly tls: "required" | "optional";
}

/** PEM texts, read again on SIGHUP. */
export interface TlsSettings {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | null;
}

export type TlsMode = "disable" | "require" | "verify-ca" | "verify-full";

export interface ServerSettings {
  /** A host name, an address, or the absolute folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly dbname: string;
  readonly tls: {
    readonly mode: TlsMode;
    /** PEM texts; null: the system's roots, no client certificate. */
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: SecretSource | null;
    /** The files behind `ca` and `cert`, read anew for each connection: they may be renewed in place. */
    readonly files?: { readonly ca: SecretSource | null; readonly cert: SecretSource | null };
  };
}

/** `secrets`: columns with `access: none`; `all`: every protected column. */
export type Hardened = "no" | "secrets" | "all";

export interface LoginSettings {
  /** "group" or "provider:group"; any one of them is enough. */
  readonly groups: readonly string[];
  readonly user: string;
  /** null: trust or client certificate. */
  readonly password: SecretSource | null;
  /** What the database itself must refuse to this login, lest nothing runs. Left out: no. */
  readonly hardened?: Hardened;
}

/** Functions of the database's own that count as harmless. */
export interface FunctionSettings {
  /** "schema.function", unquoted: the operator vouches for every one of that name. */
  readonly trusted: readonly string[];
  /** Also those whose bodies show that they only compute a value. */
  readonly readBodies: boolean;
}

export interface DatabaseSettings {
  readonly name: string;
  readonly server: ServerSettings;
  readonly replication: boolean;
  readonly logins: readonly LoginSettings[];
  /** Left out: none is vouched for, bodies are read. */
  readonly functions?: FunctionSettings;
  readonly pool: { readonly max: number; readonly minIdle: number; readonly reset: "discard_all" | "close" };
}

/** How much is refused before nothing is looked at for a while. Counts are for a minute. */
export interface RefusalLimits {
  /** The same statement for the same reason, by one principal. */
  readonly same: number;
  readonly session: number;
  readonly principal: number;
  readonly pauseSeconds: number;
}

export interface Limits {
  readonly statementBytes: number;
  readonly messageBytes: number;
  readonly connections: number;
  readonly connectionsPerPrincipal: number;
  readonly startupSeconds: number;
  readonly idleSeconds: number;
  readonly holdSeconds: number;
  /** Left out: those of statement/refusals.ts. */
  readonly refusals?: RefusalLimits;
  /** Longest session; left out: as long as its token lives. */
  readonly sessionSeconds?: number | null;
  /** How long before its end a session is told of it; left out: 300. */
  readonly warnSeconds?: number;
  /** How long a statement may run on behind the end of its session's time; left out: 900. */
  readonly finishSeconds?: number;
}

export interface GatewaySettings {
  readonly listeners: readonly ListenerSettings[];
  readonly tls: TlsSettings | null;
  readonly databases: readonly DatabaseSettings[];
  readonly protocol: { readonly functionCall: boolean };
  readonly limits: Limits;
}
