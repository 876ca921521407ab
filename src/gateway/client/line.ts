/** One connection before it is a session: its socket, what is known of it, and the ways it can end early. */
import type { Socket } from "node:net";
import { encodeError } from "../../protocol/index.ts";
import type { AuthFailure, WireSocket } from "../ports.ts";
import { isLoopback, plainAddress, unixPeer } from "./address.ts";
import { Inbox } from "./inbox.ts";
import { type Answer, Over, type Refusal } from "./refusal.ts";
import type { PeerCertificate } from "./secure.ts";
import { clean } from "./text.ts";

/** How long a refused client may take to read why, and how much it may still send, before it is cut off. */
const lingerMs = 2000;
const lingerBytes = 256 * 1024;

export class Line {
  readonly raw: Socket;
  readonly ip: string;
  readonly port: number;
  /** The bytes never leave the machine: a Unix socket, or loopback at both ends. */
  readonly local: boolean;
  readonly unix: boolean;
  socket: WireSocket;
  inbox: Inbox;
  /** TLS version; null while plain. */
  tls: string | null = null;
  /** What the client showed in the handshake; null: no certificate. */
  certificate: PeerCertificate | null = null;
  user: string | null = null;
  database: string | null = null;
  application: string | null = null;

  readonly #onFailure: (failure: AuthFailure) => void;
  readonly #broken = Promise.withResolvers<never>();
  #reported = false;
  #speechless = false;

  constructor(raw: Socket, unix: boolean, onFailure: (failure: AuthFailure) => void) {
    this.raw = raw;
    this.unix = unix;
    this.ip = unix ? unixPeer : plainAddress(raw.remoteAddress ?? "");
    this.port = unix ? 0 : (raw.remotePort ?? 0);
    this.local = unix || (isLoopback(raw.remoteAddress ?? "") && isLoopback(raw.localAddress ?? ""));
    this.#onFailure = onFailure;
    this.#broken.promise.catch(ignore);
    this.socket = raw;
    this.inbox = new Inbox(raw);
    raw.on("error", ignore);
    raw.on("close", this.#onClose);
  }

  readonly #onClose = (): void => {
    // During a handshake TlsFront.upgrade knows better why.
    if (!this.#speechless) this.#broken.reject(new Over());
  };

  /** Waits for a promise, but not longer than the connection lives. */
  until<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#broken.promise]);
  }

  /** Ends whatever is being waited for. */
  fail(error: Refusal | Over): void {
    this.#broken.reject(error);
  }

  /** The next `length` bytes; null at the end of the stream (see Inbox.take). */
  take(length: number): Promise<Buffer | null> {
    return this.until(this.inbox.take(length));
  }

  write(bytes: Buffer): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  /** From here on plain text would break into a TLS handshake. */
  beginHandshake(): void {
    this.inbox.detach();
    this.#speechless = true;
  }

  endHandshake(socket: WireSocket, version: string, certificate: PeerCertificate | null): void {
    this.socket = socket;
    this.certificate = certificate;
    this.inbox = new Inbox(socket);
    this.tls = version;
    this.#speechless = false;
    if (this.raw.destroyed) this.#onClose();
  }

  /** Puts a refusal on the record, once: what follows from a refusal is not another one. */
  report(code: string, cause: string, tokenSha256: string | null): void {
    if (this.#reported) return;
    this.#reported = true;
    try {
      this.#onFailure({
        code,
        cause,
        ip: this.ip,
        port: this.port,
        tls: this.tls,
        user: this.user,
        database: this.database === null ? null : clean(this.database),
        application: this.application,
        tokenSha256,
      });
    } catch {
      // The record has its own way to fail closed; this connection is refused in any case.
    }
  }

  /** Says last words, if there are any and the client can read them, and ends the connection; it is gone soon in any case. */
  hangUp(answer: Answer | null): void {
    this.inbox.detach();
    const { raw, socket } = this;
    if (raw.destroyed) return;
    if (this.#speechless || !socket.writable) {
      raw.destroy();
      return;
    }
    // Unread bytes would turn our close into a reset, which can overtake the answer: read on for a moment, and forget it.
    let discarded = 0;
    socket.on("data", (chunk: Buffer) => {
      discarded += chunk.length;
      if (discarded > lingerBytes) raw.destroy();
    });
    const timer = setTimeout(() => raw.destroy(), lingerMs);
    raw.on("close", () => clearTimeout(timer));
    if (answer === null) socket.end();
    else socket.end(encodeError({ severity: "FATAL", code: answer.sqlstate, ...answer }));
    socket.resume();
  }

  /** Lets go of the socket for the next owner: paused, an error guard on it, none of our other listeners. */
  handOver(): Buffer {
    const rest = this.inbox.detach();
    this.raw.off("close", this.#onClose);
    return rest;
  }
}

function ignore(): void {}
