/** A new connection to a database, logged in and idle, or a cancel request to it. */
import type { Socket } from "node:net";
import {
  decodeBackendKeyData,
  decodeErrorFields,
  decodeParameterStatus,
  decodeReadyForQuery,
  encodeCancelRequest,
  encodeStartup,
  ProtocolError,
} from "../../protocol/index.ts";
import type { UpstreamConnection } from "../ports.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import { type Attempt, attempt } from "./attempt.ts";
import { authenticate } from "./authenticate.ts";
import { type Conversation, converse, decoded } from "./conversation.ts";
import { dial } from "./dial.ts";
import { type Failures, failures } from "./errors.ts";

export { UpstreamError } from "./errors.ts";

export interface ConnectOptions {
  /** For everything, from the look-up of the name to ReadyForQuery; milliseconds. */
  readonly timeoutMs: number;
  readonly replication?: "physical" | "database";
  /** Ends the attempt. */
  readonly signal?: AbortSignal;
}

/** What `connectUpstream` gives: the socket is known to be one of Node's own. */
export interface OpenConnection extends UpstreamConnection {
  readonly socket: Socket;
}

/** Far more than any server sends, and little enough to hold. */
const maxParameters = 200;
const maxNotices = 100;

/**
 * Connects and logs in (PostgreSQL manual, "Message Flow", Start-up), always with protocol 3.0.
 * @param parameters start-up settings by name, `application_name` and `postern.*` included; `user`, `database`,
 *   `replication`, `options` and `_pq_.*` are the gateway's own and may not be among them.
 * Throws UpstreamError; then nothing stays open.
 */
export function connectUpstream(
  database: DatabaseSettings,
  login: LoginSettings,
  parameters: ReadonlyMap<string, string>,
  options: ConnectOptions,
): Promise<OpenConnection> {
  const errors = failures(database.name);
  return attempt(errors, options, async (current) => {
    const effective = await lend(login, current, errors);
    const packet = startupPacket(database, effective, parameters, options.replication, errors);
    const line = await dial(database, current, errors);
    const talk = converse(line.socket, errors);
    talk.send(packet);
    await authenticate({ login: effective, line, talk, attempt: current, errors, settings: parameters });
    const session = await untilReady(talk, errors, parameters);
    // Nothing may come unasked behind ReadyForQuery now: it would be taken for the answer to the first statement.
    if (talk.end() > 0) throw errors.protocol("data behind ReadyForQuery");
    if (line.socket.destroyed) throw errors.lost();
    return { ...session, socket: line.socket, readInto: line.reads?.use ?? null };
  });
}

/**
 * Asks the server to cancel what the backend `pid` runs, over a connection of its own with the same TLS settings.
 * Resolves when the server has closed that connection, that is, has sent the signal, or after `timeoutMs` milliseconds,
 * or when it cannot be reached. Never rejects: a cancel request has no answer (PostgreSQL manual, "Canceling Requests").
 */
export async function cancelUpstream(
  database: DatabaseSettings,
  pid: number,
  key: Buffer,
  timeoutMs: number,
): Promise<void> {
  const errors = failures(database.name);
  try {
    await attempt(errors, { timeoutMs }, async (current) => {
      const packet = encodeCancelRequest(pid, key);
      const { socket } = await dial(database, current, errors);
      await new Promise<void>((resolve) => {
        socket.once("end", resolve);
        socket.once("close", resolve);
        // Whatever the server says is read so that its end is seen.
        socket.resume();
        socket.write(packet);
      });
      socket.destroy();
    });
  } catch {
    // Nothing can be done, and nobody be told.
  }
}

/** The login as it is shown to the server: where its user is made for a time, that user acts as the role that was configured. */
type Effective = LoginSettings & { readonly role?: string };

async function lend(login: LoginSettings, current: Attempt, errors: Failures): Promise<Effective> {
  const { password } = login;
  if (password?.readLogin === undefined) return login;
  const { label } = password;
  const lent = await current.wait(
    password.readLogin().catch(() => {
      throw errors.setup(`the login cannot be read from ${label}`);
    }),
  );
  return {
    ...login,
    user: lent.user,
    role: login.user,
    password: { label, read: async () => lent.password },
  };
}

function startupPacket(
  database: DatabaseSettings,
  login: Effective,
  parameters: ReadonlyMap<string, string>,
  replication: ConnectOptions["replication"],
  errors: Failures,
): Buffer {
  const packet = new Map([
    ["user", login.user],
    ["database", database.server.dbname],
  ]);
  if (login.role !== undefined) packet.set("role", login.role);
  if (replication !== undefined) packet.set("replication", replication === "physical" ? "true" : "database");
  for (const [name, value] of parameters) {
    if (isReserved(name)) throw errors.startup("a reserved name among the start-up settings");
    packet.set(name, value);
  }
  try {
    return encodeStartup(packet);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw error.code === "54000"
      ? errors.tooLarge()
      : errors.startup("start-up settings that cannot be encoded");
  }
}

function isReserved(name: string): boolean {
  const lower = name.toLowerCase();
  return ["user", "database", "replication", "options"].includes(lower) || lower.startsWith("_pq_.");
}

type Session = Omit<UpstreamConnection, "socket" | "readInto">;

/** Reads what follows AuthenticationOk, up to ReadyForQuery. */
async function untilReady(
  talk: Conversation,
  errors: Failures,
  settings: ReadonlyMap<string, string>,
): Promise<Session> {
  const parameters = new Map<string, string>();
  const notices: Buffer[] = [];
  let backend: { pid: number; key: Buffer } | null = null;
  for (;;) {
    const { type, body } = await talk.next();
    switch (String.fromCharCode(type)) {
      case "S": {
        const { name, value } = decoded(errors, () => decodeParameterStatus(body));
        parameters.set(name, value);
        if (parameters.size > maxParameters) throw errors.protocol("too many parameters");
        break;
      }
      case "K": {
        const { pid, key } = decoded(errors, () => decodeBackendKeyData(body));
        if (backend !== null || key.length !== 4) throw errors.protocol("invalid cancel key");
        backend = { pid, key: Buffer.from(key) };
        break;
      }
      case "N":
        // Checked like any error: it goes to the client as it is.
        decoded(errors, () => decodeErrorFields(body));
        notices.push(rawNotice(body));
        if (notices.length > maxNotices) throw errors.protocol("too many notices");
        break;
      case "E":
        throw errors.server(
          decoded(errors, () => decodeErrorFields(body)),
          settings,
        );
      case "Z":
        if (decoded(errors, () => decodeReadyForQuery(body)).status !== "I") {
          throw errors.protocol("a transaction is open at the start of the session");
        }
        if (backend === null) throw errors.protocol("no cancel key");
        return { ...backend, parameters, version: parameters.get("server_version") ?? "", notices };
      default:
        throw errors.protocol("unexpected message before ReadyForQuery");
    }
  }
}

/** The whole message again, type byte and length in front. */
function rawNotice(body: Buffer): Buffer {
  const raw = Buffer.allocUnsafe(5 + body.length);
  raw[0] = 0x4e;
  raw.writeInt32BE(4 + body.length, 1);
  body.copy(raw, 5);
  return raw;
}
