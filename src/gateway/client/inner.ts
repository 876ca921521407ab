/**
 * Sessions from within the process (MCP, REST): a pair of streams in place of a socket, so that they enter the same walk as
 * the wire. The caller has been authenticated; from here on both ends speak as after AuthenticationOk.
 */
import { Duplex } from "node:stream";
import type { Principal } from "../../facts/principal.ts";
import type { Claimed, Via } from "../../facts/session.ts";
import type { AuthenticatedClient, Watch, WireSocket } from "../ports.ts";

/** Who wants a session from within. */
export interface InnerClient {
  readonly principal: Principal;
  readonly database: string;
  readonly application: string | null;
  readonly claimed: Claimed;
  readonly via: Exclude<Via, "wire">;
  /** Of the HTTP request. */
  readonly ip: string;
  readonly port: number;
  readonly tls: string | null;
  /** Settings of the session, as in a startup packet; `client_encoding` is UTF8 in any case. */
  readonly parameters?: ReadonlyMap<string, string>;
  readonly watch?: Watch;
}

/** One end; what is written to it the other end reads. */
class End extends Duplex implements WireSocket {
  bytesRead = 0;
  #other: End | null = null;
  /** The other end's write waits until this one reads again. */
  #taken: (() => void) | null = null;
  readonly #copies: boolean;

  /** `copies`: what is written is copied, because its memory is the writer's to use again. */
  constructor(copies: boolean) {
    super({ allowHalfOpen: true });
    this.#copies = copies;
  }

  join(other: End): void {
    this.#other = other;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  override _read(): void {
    const taken = this.#taken;
    this.#taken = null;
    taken?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const other = this.#other;
    if (other === null || other.destroyed || chunk.length === 0) process.nextTick(done);
    else other.receive(this.#copies ? Buffer.from(chunk) : chunk, done);
  }

  override _final(done: () => void): void {
    const other = this.#other;
    if (other !== null && !other.destroyed) other.push(null);
    done();
  }

  /** As with a socket: an end that goes before both directions have ended is a broken connection to the other. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const broken = !this.writableFinished || !this.readableEnded;
    const other = this.#other;
    this.#other = null;
    this._read();
    if (broken && other !== null) process.nextTick(() => other.destroy());
    done(error);
  }

  private receive(chunk: Buffer, done: () => void): void {
    this.bytesRead += chunk.length;
    this.#taken = done;
    this.push(chunk);
  }
}

/** Makes a client of the gateway, and the caller's end of its stream. Destroying that end cancels what is running. */
export function innerClient(client: InnerClient): {
  readonly client: AuthenticatedClient;
  readonly end: Duplex;
} {
  const inside = new End(true);
  const outside = new End(false);
  inside.join(outside);
  outside.join(inside);
  inside.pause();
  inside.on("error", () => undefined);
  const parameters = new Map(client.parameters ?? []);
  parameters.set("client_encoding", "UTF8");
  return {
    end: outside,
    client: {
      socket: inside,
      rest: Buffer.alloc(0),
      ip: client.ip,
      port: client.port,
      tls: client.tls,
      via: client.via,
      minor: 2,
      principal: client.principal,
      user: client.principal.subject,
      database: client.database,
      application: client.application,
      parameters,
      claimed: client.claimed,
      // Whoever calls through a door answers its own caller; nobody waits minutes for an HTTP reply.
      approvals: { tickets: true, breakGlass: null },
      replication: "off",
      watch: client.watch,
    },
  };
}
