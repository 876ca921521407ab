/** From settings to a connected socket, inside TLS where the settings ask for it. */
import { once } from "node:events";
import { connect, isIP, type Socket } from "node:net";
import {
  type ConnectionOptions,
  checkServerIdentity,
  getCACertificates,
  type TLSSocket,
  connect as tlsConnect,
} from "node:tls";
import type { SecretSource } from "../../facts/secret.ts";
import { encodeSslRequest } from "../../protocol/index.ts";
import type { DatabaseSettings, ServerSettings } from "../settings.ts";
import type { Attempt } from "./attempt.ts";
import { errorGuard } from "./conversation.ts";
import type { Failures } from "./errors.ts";
import { type Reads, reusedReads } from "./reads.ts";

export interface Line {
  /** Paused, no listeners but the error guard. */
  readonly socket: Socket;
  /** Who may be listening in, or answering in the server's stead: what may be said over it follows from that. */
  readonly privacy: "local" | "verified" | "unverified" | "plain";
  /** How a plain socket is read; null inside TLS. */
  readonly reads: Reads | null;
  /** The server's certificate (DER) when there is TLS. */
  readonly certificate: Buffer | null;
}

/** libpq, too, sends no SSLRequest over a Unix socket, whatever sslmode says (PostgreSQL manual, "SSL Support"). */
export function isUnix(server: ServerSettings): boolean {
  return server.host.startsWith("/");
}

/**
 * Connects to a database's server and, unless its TLS mode is `disable` or the host is a Unix socket's folder, sends
 * SSLRequest and secures the connection (PostgreSQL manual, "SSL Session Encryption").
 * Throws UpstreamError. The attempt holds the socket.
 */
export async function dial(database: DatabaseSettings, attempt: Attempt, errors: Failures): Promise<Line> {
  const { server } = database;
  const unix = isUnix(server);
  // Read before the first byte goes out: between the server's answer and the handshake nothing may wait.
  const secure = unix || server.tls.mode === "disable" ? null : await tlsOptions(server, attempt, errors);
  const reads = secure === null ? reusedReads() : null;
  const raw = connect({
    ...(reads === null ? {} : { onread: reads.onread }),
    ...(unix ? { path: `${server.host}/.s.PGSQL.${server.port}` } : { host: server.host, port: server.port }),
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  });
  reads?.attach(raw);
  raw.on("error", errorGuard);
  attempt.hold(raw);
  await attempt.wait(once(raw, "connect")).catch((error: unknown) => {
    throw raw.errored === null ? error : errors.unreachable(raw.errored);
  });
  const local = unix || isLoopback(raw.remoteAddress);
  if (secure === null) return { socket: raw, privacy: local ? "local" : "plain", reads, certificate: null };
  await attempt.wait(requestTls(raw, errors));
  const socket = await secureSocket(raw, secure, attempt, errors);
  const certificate = socket.getPeerX509Certificate()?.raw ?? null;
  if (certificate === null) throw errors.tls("the server showed no certificate");
  const verified = server.tls.mode === "verify-ca" || server.tls.mode === "verify-full";
  return {
    socket,
    reads: null,
    privacy: verified ? "verified" : local ? "local" : "unverified",
    certificate,
  };
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (address === "::1" || /^(::ffff:)?127\./.test(address));
}

/**
 * SSLRequest and its answer: one byte, and nothing behind it, or a man in the middle could put words into the secured
 * stream (CVE-2021-23222). What a server says here in clear text is not read, let alone shown (CVE-2024-10977).
 */
function requestTls(socket: Socket, errors: Failures): Promise<void> {
  return new Promise((resolve, reject) => {
    function settle(error: Error | null): void {
      socket.pause();
      socket.removeListener("data", onData);
      socket.removeListener("end", onEnd);
      socket.removeListener("close", onEnd);
      if (error === null) resolve();
      else reject(error);
    }
    function onData(chunk: Buffer): void {
      if (chunk.length !== 1 || socket.readableLength > 0)
        settle(errors.tls("unencrypted data behind the answer"));
      else if (chunk[0] === 0x53) settle(null);
      else if (chunk[0] === 0x4e) settle(errors.tls("the server does not offer it"));
      else if (chunk[0] === 0x45) settle(errors.tls("the server answered with an error"));
      else settle(errors.tls("the server gave no valid answer"));
    }
    const onEnd = () => settle(errors.lost(socket.errored ?? undefined));
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("close", onEnd);
    socket.write(encodeSslRequest());
    socket.resume();
  });
}

async function tlsOptions(
  server: ServerSettings,
  attempt: Attempt,
  errors: Failures,
): Promise<ConnectionOptions> {
  const { mode, key, files } = server.tls;
  const [ca, cert] = await attempt.wait(
    Promise.all([latest(files?.ca ?? null, server.tls.ca), latest(files?.cert ?? null, server.tls.cert)]),
  );
  const verify = mode === "verify-ca" || mode === "verify-full";
  let keyText: string | null = null;
  if (key !== null) {
    keyText = await attempt.wait(
      key.read().catch(() => {
        throw errors.setup("the key of the client certificate cannot be read");
      }),
    );
  }
  return {
    ...(ca !== null ? { ca } : verify ? { ca: systemRoots() } : {}),
    ...(cert === null || keyText === null ? {} : { cert, key: keyText }),
    ...(isIP(server.host) === 0 ? { servername: server.host } : {}),
    minVersion: "TLSv1.2",
    // PostgreSQL 17 and later select it; a TLS server with a list that lacks it ends the handshake (PROTOCOL.md A5).
    ALPNProtocols: ["postgresql"],
    rejectUnauthorized: verify,
    checkServerIdentity: (_name, certificate) =>
      mode === "verify-full" ? checkServerIdentity(server.host, certificate) : undefined,
  };
}

/** The file as it is now; as it was at the start while it cannot be read. */
async function latest(file: SecretSource | null, known: string | null): Promise<string | null> {
  if (file === null) return known;
  return file.read().catch(() => known);
}

async function secureSocket(
  raw: Socket,
  options: ConnectionOptions,
  attempt: Attempt,
  errors: Failures,
): Promise<TLSSocket> {
  let socket: TLSSocket;
  try {
    socket = tlsConnect({ ...options, socket: raw });
  } catch (error) {
    throw errors.setup(`the TLS settings cannot be used: ${errors.code(error)}`);
  }
  socket.on("error", errorGuard);
  attempt.hold(socket);
  await attempt.wait(handshake(socket, errors));
  socket.pause();
  socket.disableRenegotiation();
  return socket;
}

function handshake(socket: TLSSocket, errors: Failures): Promise<void> {
  return new Promise((resolve, reject) => {
    function onSecure(): void {
      socket.removeListener("close", onClose);
      resolve();
    }
    function onClose(): void {
      socket.removeListener("secureConnect", onSecure);
      reject(errors.tls("handshake failed", socket.errored));
    }
    socket.once("secureConnect", onSecure);
    socket.once("close", onClose);
  });
}

let roots: string[] | null = null;

/** The system's trusted authorities; Node's own list where the system has none. */
function systemRoots(): string[] {
  if (roots === null) {
    const system = getCACertificates("system");
    roots = system.length > 0 ? system : getCACertificates("default");
  }
  return roots;
}
