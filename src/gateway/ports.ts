/** What the parts of the gateway hand to each other. */
import type { Duplex } from "node:stream";
import type { Principal } from "../facts/principal.ts";
import type { Claimed, Via } from "../facts/session.ts";
import type { Judgement } from "./statement/judgement.ts";
import type { Refusal } from "./statement/refuse.ts";

/** A socket as the relay needs it: net.Socket or tls.TLSSocket. */
export interface WireSocket extends Duplex {
  setNoDelay(on?: boolean): this;
  setKeepAlive(on?: boolean, delayMs?: number): this;
  readonly bytesRead: number;
  readonly bytesWritten?: number;
}

/**
 * What a session within the process is told beside its stream, where the stream could not say it or a database might forge it.
 * Called while the walk goes on: it must return at once and may not throw.
 */
export interface Watch {
  /** A statement was judged, when it is prepared and again when it is run. */
  judged(judgement: Judgement): void;
  /** The error that comes next in the stream is the gateway's own. */
  refused(refusal: Refusal): void;
  /** No session begins; the error that comes next in the stream says so, and is the gateway's own. */
  unopened(refused: Unopened): void;
}

/** Why a session did not begin, as its client is told. */
export interface Unopened {
  readonly sqlstate: string;
  readonly code: string;
  readonly message: string;
}

/** How a client wants its statements to be held. */
export interface ApprovalWish {
  /** It cannot wait: it is told to come again once people have agreed. */
  readonly tickets: boolean;
  /** Why it wants to go ahead without them (break-glass); null: it does not. */
  readonly breakGlass: string | null;
}

/** A client that has shown a valid token and waits for its session; nothing was sent to it after the authentication request. */
export interface AuthenticatedClient {
  /** Paused, no listeners but an error guard. */
  readonly socket: WireSocket;
  /** Bytes that came behind the last authentication message; usually empty. */
  readonly rest: Buffer;
  readonly ip: string;
  readonly port: number;
  /** TLS version, null when plain. */
  readonly tls: string | null;
  /** The door it came by. */
  readonly via: Via;
  /** Minor protocol version agreed with the client: 0 or 2. */
  readonly minor: 0 | 2;
  readonly principal: Principal;
  readonly user: string;
  readonly database: string;
  readonly application: string | null;
  /** Allow-listed settings of the startup packet and its `options`, to be sent upstream; names in PostgreSQL's spelling, lower case. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly claimed: Claimed;
  readonly approvals: ApprovalWish;
  readonly replication: "off" | "physical" | "database";
  /** Left out: a client of the wire. */
  readonly watch?: Watch | undefined;
  /** When the certificate that it showed ends, in seconds since the epoch; null or left out: it showed none. */
  readonly certificateExpires?: number | null;
}

/** An upstream connection that is logged in and idle. */
export interface UpstreamConnection {
  /** Paused, no listeners but an error guard; nothing is buffered. */
  readonly socket: WireSocket;
  /**
   * Takes the chunks from a plain socket in place of 'data' events; the reader gives true while it still needs the chunk's
   * memory. null: the socket has only 'data' events (TLS).
   */
  readonly readInto: ((reader: ((chunk: Buffer) => boolean) | null) => void) | null;
  /** ParameterStatus values in the order they came. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly pid: number;
  readonly key: Buffer;
  /** server_version as reported, e.g. "18.4". */
  readonly version: string;
  /** Raw NoticeResponse messages that came during start-up, to be forwarded. */
  readonly notices: readonly Buffer[];
}

/** One refused connection attempt, for the audit log. */
export interface AuthFailure {
  /** Stable code, e.g. TOKEN_EXPIRED, TLS_REQUIRED, STARTUP_TIMEOUT, PROTOCOL. */
  readonly code: string;
  /** For the auditor, no secrets. */
  readonly cause: string;
  readonly ip: string;
  readonly port: number;
  readonly tls: string | null;
  readonly user: string | null;
  readonly database: string | null;
  readonly application: string | null;
  /** From the refused token, unverified. */
  readonly tokenSha256: string | null;
  /** Left out: the wire. */
  readonly via?: Via;
}
