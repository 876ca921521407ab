/** TLS towards clients (PostgreSQL manual, "SSL Session Encryption"). */
import { constants, createPrivateKey, X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import * as tls from "node:tls";
import type { TlsSettings } from "../settings.ts";

/** The name registered for the protocol (IANA, ALPN protocol IDs; required by PostgreSQL 17's direct TLS). */
export const alpnName = "postgresql";

/** A handshake that did not succeed. The message is OpenSSL's or Node's short reason. */
export class HandshakeError extends Error {
  override readonly name = "HandshakeError";
}

/** Turns accepted sockets into TLS sockets. */
export interface TlsFront {
  /**
   * Takes a paused socket over; the client's first TLS bytes are in it or still to come.
   * @returns the secured socket, with an error guard, once the handshake is through. Rejects with HandshakeError, the socket destroyed.
   */
  upgrade(socket: Socket): Promise<tls.TLSSocket>;
  /** From the next handshake on. Throws Error, and changes nothing, when certificate and key cannot be used. */
  reload(settings: TlsSettings): void;
}

interface Handshake {
  done(socket: tls.TLSSocket): void;
  failed(reason: string): void;
}

/**
 * Makes the TLS side of a listener: TLS 1.2 and up, ALPN "postgresql", session tickets, no renegotiation.
 * It is a tls.Server that listens nowhere and is handed its connections: a bare `new TLSSocket(socket, {isServer: true})`
 * would not report whether a client certificate was accepted.
 * @param handshakeSeconds Node's own limit; the caller's limit on the whole start-up should end earlier.
 * Throws Error when certificate and key cannot be used.
 */
export function createTlsFront(settings: TlsSettings, handshakeSeconds: number): TlsFront {
  const handshakes = new Map<string, Handshake>();
  const server = tls.createServer({
    ...contextOptions(settings),
    ALPNProtocols: [alpnName],
    handshakeTimeout: handshakeSeconds * 1000,
    // Whether the certificate is good is looked at after the startup packet, where a refusal can be told and recorded.
    requestCert: settings.clientCa !== null,
    rejectUnauthorized: false,
  });
  server.on("secureConnection", (socket) => {
    socket.on("error", ignore);
    const handshake = handshakes.get(endpoints(socket));
    if (handshake === undefined) {
      socket.destroy();
      return;
    }
    socket.disableRenegotiation();
    socket.allowHalfOpen = true;
    handshake.done(socket);
  });
  server.on("tlsClientError", (error, socket) => {
    socket.on("error", ignore);
    // The address is gone when the peer is; the socket's "close" speaks for it then.
    handshakes.get(endpoints(socket))?.failed(reasonOf(error));
    socket.destroy();
  });
  return {
    upgrade(socket) {
      const key = endpoints(socket);
      const { promise, resolve, reject } = Promise.withResolvers<tls.TLSSocket>();
      const settle = (): void => {
        handshakes.delete(key);
        socket.off("close", onClose);
      };
      const handshake: Handshake = {
        done(secured) {
          settle();
          resolve(secured);
        },
        failed(reason) {
          settle();
          socket.destroy();
          reject(new HandshakeError(reason));
        },
      };
      const onClose = (): void => handshake.failed("the connection was closed during the TLS handshake");
      if (socket.destroyed || handshakes.has(key)) {
        socket.destroy();
        return Promise.reject(new HandshakeError("the connection was closed before the TLS handshake"));
      }
      handshakes.set(key, handshake);
      socket.on("close", onClose);
      try {
        // The TLS socket takes this over. Half-open is for sessions; a client that leaves its handshake is to be noticed.
        socket.allowHalfOpen = false;
        server.emit("connection", socket);
      } catch (error) {
        handshake.failed(reasonOf(error));
      }
      return promise;
    },
    reload(next) {
      const options = contextOptions(next);
      // setSecureContext() takes fields over before it looks at them: try them on a context of their own.
      tls.createSecureContext(options);
      server.setSecureContext(options);
    },
  };
}

/** Throws Error when certificate and key do not belong together; an empty certificate Node itself would not mind. */
function contextOptions(settings: TlsSettings): tls.SecureContextOptions {
  if (!new X509Certificate(settings.cert).checkPrivateKey(createPrivateKey(settings.key)))
    throw new Error("the key is not the certificate's");
  return {
    cert: settings.cert,
    key: settings.key,
    ...(settings.clientCa === null ? {} : { ca: settings.clientCa }),
    minVersion: "TLSv1.2",
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** What a client showed of itself in the handshake. */
export interface PeerCertificate {
  readonly der: Buffer;
  /** null: it was verified against `client_ca`; else OpenSSL's or Node's short reason. */
  readonly fault: string | null;
}

/** null: the client showed no certificate. */
export function peerCertificate(socket: tls.TLSSocket): PeerCertificate | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  const { authorizationError: error } = socket;
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : error;
  const fault = socket.authorized ? null : typeof code === "string" ? code : "not verified";
  return { der: certificate.raw, fault };
}

/** What tells connections of one listener apart, on the plain socket and on the TLS socket over it. */
function endpoints(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}|${socket.localAddress}|${socket.localPort}`;
}

/** OpenSSL's code if there is one: its message is long and names source files. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? code : error.name;
}

function ignore(): void {}
