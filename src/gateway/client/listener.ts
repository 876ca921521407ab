/** Listens for clients and makes authenticated ones of them. */
import { createServer, type Server } from "node:net";
import { createProtection, type Protection } from "../../identity/protection.ts";
import { idOfUser } from "../../identity/tokens/format.ts";
import { encodeOauthFailure } from "../../protocol/index.ts";
import type { AuthenticatedClient, AuthFailure } from "../ports.ts";
import type { AuthMethod, Limits, ListenerSettings, TlsSettings } from "../settings.ts";
import type { Authenticator, Offer } from "./authentication.ts";
import type { ConnectionRules } from "./connection.ts";
import { createDoor } from "./door.ts";
import { createTlsFront, type TlsFront } from "./secure.ts";
import { listenOnPath } from "./unix.ts";

export interface ListenerDeps {
  /** null: SSLRequest is answered "N". */
  readonly tls: TlsSettings | null;
  readonly identity: Authenticator;
  /** Waits after failed logins; absent: none. */
  readonly protection?: Protection;
  readonly limits: Limits;
  /** The names clients may ask for. */
  readonly databases: readonly string[];
  /** Takes the client over; from here on its socket is the taker's. The client's side had not ended at that moment. */
  onClient(client: AuthenticatedClient): void;
  /** The cancel connection stays open until this settles. */
  onCancel(request: { pid: number; key: Buffer; ip: string }): Promise<void>;
  onFailure(failure: AuthFailure): void;
  /** Asked once for each startup packet, before a token is asked for; not for cancel requests. */
  admit(ip: string): boolean;
}

export interface Listener {
  /** Where it listens: the port is the real one when 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  /** For the handshakes to come; sessions go on. Throws Error, and keeps the old ones, when certificate and key cannot be used. */
  reloadTls(tls: TlsSettings): void;
  /** Takes no more connections. Those in their start-up go on. */
  stopAccepting(): void;
  /** stopAccepting, and ends what has not been handed over. Sessions that were handed over are not touched. */
  close(): Promise<void>;
}

/** A listener that cannot be: settings that contradict each other, or a certificate that cannot be used. */
export class ListenerError extends Error {
  override readonly name = "ListenerError";
  readonly code = "LISTENER_SETTINGS";
}

/** TCP keepalive, so that a client that vanished without a word is noticed. */
const keepAliveMs = 30_000;

/**
 * Starts to listen.
 * Throws ListenerError for impossible settings, else what listen() says (EADDRINUSE, EACCES …).
 */
export async function createListener(settings: ListenerSettings, deps: ListenerDeps): Promise<Listener> {
  const offer = offered(settings.auth);
  const unix = "path" in settings.address;
  if (settings.tls === "required" && unix)
    throw new ListenerError("a Unix socket carries no TLS: it needs tls: optional");
  if (settings.tls === "required" && deps.tls === null)
    throw new ListenerError("tls: required needs a certificate and key");
  if (settings.auth.includes("cert") && (unix || deps.tls === null || deps.tls.clientCa === null))
    throw new ListenerError("auth: cert needs TLS with a client_ca");
  if (settings.auth.includes("oauthbearer")) checkDiscovery(deps.identity);

  let front: TlsFront | null = deps.tls === null ? null : makeFront(deps.tls, deps.limits);
  const rules: ConnectionRules = {
    settings,
    offer,
    identity: deps.identity,
    protection: deps.protection ?? createProtection(null),
    limits: deps.limits,
    databases: new Set(deps.databases),
    front: () => front,
    onClient: (client) => deps.onClient(client),
    onCancel: (request) => deps.onCancel(request),
    onFailure: (failure) => deps.onFailure(failure),
    admit: (ip) => deps.admit(ip),
  };
  const door = createDoor(unix, rules);
  const server = createServer(
    {
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveMs,
      pauseOnConnect: true,
    },
    door.enter,
  );
  const address = await listen(server, settings);
  // accept() may fail for want of file descriptors; libuv goes on accepting, and so do we.
  server.on("error", () => {});
  const stopAccepting = (): void => {
    if (server.listening) server.close();
  };
  return {
    address,
    reloadTls(tls) {
      if (front === null) front = makeFront(tls, deps.limits);
      else front.reload(tls);
    },
    stopAccepting,
    async close() {
      stopAccepting();
      await door.clear();
    },
  };
}

/**
 * What is offered to clients. The startup packet does not say what a client can do, and libpq takes the first SASL
 * mechanism it knows or fails, so that two cannot be asked for: the first entry of `auth` besides `cert` counts. A certificate is seen in
 * the handshake, before anything is asked; `scram` may stand beside another one, since its clients say by their `user` which token they hold.
 */
function offered(auth: readonly AuthMethod[]): (user: string) => Offer {
  if (auth.length === 0) throw new ListenerError("auth must name password, oauthbearer, scram or cert");
  const certificate = auth.includes("cert");
  const scram = auth.includes("scram");
  const other = auth.find((method) => method === "password" || method === "oauthbearer") ?? null;
  return (user) => ({
    certificate,
    ask: scram && (other === null || idOfUser(user) !== null) ? "scram" : other,
  });
}

/** Better found out now than by the first client without a token. */
function checkDiscovery({ discovery }: Authenticator): void {
  if (discovery === null) throw new ListenerError("auth: oauthbearer needs an OIDC provider");
  try {
    encodeOauthFailure(discovery.configurationUrl, discovery.scope);
  } catch {
    throw new ListenerError(
      "auth: oauthbearer: the provider's issuer URL and scope are too long for clients",
    );
  }
}

function makeFront(tls: TlsSettings, limits: Limits): TlsFront {
  try {
    // Our own limit, which covers the whole start-up, comes first.
    return createTlsFront(tls, limits.startupSeconds + 1);
  } catch {
    // OpenSSL's words for it may quote the key's file or kind; the operator needs to know which pair it is.
    throw new ListenerError("tls: certificate and key cannot be used together");
  }
}

async function listen(server: Server, settings: ListenerSettings): Promise<Listener["address"]> {
  const wanted = settings.address;
  if ("path" in wanted) {
    await listenOnPath(server, wanted.path);
    return { path: wanted.path };
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host: wanted.host, port: wanted.port }, resolve);
  await promise;
  server.off("error", reject);
  const bound = server.address();
  return { host: wanted.host, port: bound !== null && typeof bound === "object" ? bound.port : wanted.port };
}
