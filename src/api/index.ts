/** HTTP: health and metrics, the REST API, login and the console. */
import { createServer as createHttpServer, type Server, type ServerOptions } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import { getRequestListener } from "@hono/node-server";
import type { TlsSettings } from "../gateway/settings.ts";
import { type ApiDeps, createApp } from "./app.ts";
import { hostCheck } from "./host.ts";
import { hangUpOnStalled } from "./stalled.ts";

export type { ApiDeps } from "./app.ts";
export { builtConsole } from "./console.ts";
export { type ConsoleSessions, createConsoleSessions } from "./console-sessions.ts";
export type { ApiEnv, Caller } from "./env.ts";
export { ApiError } from "./failure.ts";
export type { Metric } from "./metrics.ts";
export type { WellKnown, WellKnownProvider } from "./oauth/wellknown.ts";
export { oauthRoutes } from "./oauth.ts";
export { createRest } from "./rest.ts";
export { rolesOf } from "./roles.ts";
export { lifecycleRoutes } from "./routes/lifecycle.ts";

export interface HttpListener {
  /** Where it listens: the port is the real one when 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number };
  /** New connections get the new certificate. Throws when it cannot be used, and keeps the old one; no-op without TLS. */
  reloadTls(tls: TlsSettings): void;
  /** Takes no more connections, lets answers under way finish (2 s), and closes. Safe to call twice. */
  close(): Promise<void>;
}

/** Slow clients hold nothing for long (slowloris): whole head in 10 s, whole request in 30 s. */
const serverOptions: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16_384,
  noDelay: true,
};
const maxConnections = 1_000;
/** How long a client may take nothing of an answer. */
const stalledMs = 60_000;
const closeGraceMs = 2_000;

/**
 * Starts to listen; with `tls` it speaks HTTPS only. `limits.stalledMs`: how long a client may take nothing of an answer that is there; left
 * out: a minute. Rejects with what listen() says (EADDRINUSE, EACCES …) or a bad certificate.
 */
export async function startHttp(
  address: { readonly host: string; readonly port: number },
  deps: ApiDeps,
  tls: TlsSettings | null,
  limits: { readonly stalledMs?: number } = {},
): Promise<HttpListener> {
  const isOurs = hostCheck(address.host, () => deps.publicUrl?.() ?? null);
  const listener = getRequestListener(createApp(deps, tls !== null, isOurs).fetch, {
    overrideGlobalObjects: false,
  });
  const secure =
    tls === null ? null : createHttpsServer({ ...serverOptions, ...secureContext(tls) }, listener);
  const server = secure ?? createHttpServer(serverOptions, listener);
  server.maxConnections = maxConnections;
  server.prependListener("request", (_request, answer) =>
    hangUpOnStalled(answer, limits.stalledMs ?? stalledMs),
  );
  const port = await listen(server, address);
  // accept() may fail for want of file descriptors; the server goes on.
  server.on("error", deps.onError);
  let closing: Promise<void> | null = null;
  return {
    address: { host: address.host, port },
    reloadTls: (next) => secure?.setSecureContext(secureContext(next)),
    close() {
      closing ??= Promise.all([deps.rest?.close(), close(server)]).then(() => {});
      return closing;
    },
  };
}

function secureContext(tls: TlsSettings) {
  return { cert: tls.cert, key: tls.key, minVersion: "TLSv1.2" } as const;
}

function listen(server: Server | HttpsServer, address: { host: string; port: number }): Promise<number> {
  return new Promise((done, fail) => {
    server.once("error", fail);
    server.listen({ host: address.host, port: address.port }, () => {
      server.off("error", fail);
      const bound = server.address();
      done(typeof bound === "object" && bound !== null ? bound.port : address.port);
    });
  });
}

async function close(server: Server | HttpsServer): Promise<void> {
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), closeGraceMs);
  await closed.promise;
  clearTimeout(timer);
}
