/** One client's session: its upstream connection, both streams wired to the statement's walk, and its end. */
import type pino from "pino";
import {
  type AuditLog,
  AuditUnavailable,
  type ColumnsContext,
  type DecisionContext,
  ResultDigest,
  type SessionContext,
  type StatementContext,
  uuidv7,
} from "../audit/index.ts";
import type { AuditSettings } from "../audit/settings.ts";
import type { Principal } from "../facts/principal.ts";
import type { MaskKeys } from "../masking/index.ts";
import { MaskError, MaskOutput } from "../masking/index.ts";
import type { Budget, BudgetKeeper } from "../policy/index.ts";
import {
  encodeAuthenticationOk,
  encodeBackendKeyData,
  encodeError,
  encodeNotice,
  encodeParameterStatus,
  encodeReadyForQuery,
  ProtocolError,
  terminate,
} from "../protocol/index.ts";
import type { SqlReader } from "../sql/index.ts";
import type { Judging } from "./analyst/registry.ts";
import type { CancelKeys } from "./cancel.ts";
import { describeSession, type SessionDescription } from "./describe.ts";
import { followGrants, type Granted, grantedTo } from "./granted.ts";
import type { ApprovalDesk } from "./hold/desk.ts";
import { chooseLogin, setBackstop, startupParameters } from "./logins.ts";
import type { AuthenticatedClient, UpstreamConnection } from "./ports.ts";
import { readsOnly } from "./readonly.ts";
import type { DatabaseSettings, GatewaySettings, LoginSettings } from "./settings.ts";
import { concludeUnknown } from "./statement/conclude.ts";
import { createFate, noteEnd } from "./statement/fate.ts";
import { createGate, maxHeld } from "./statement/forward.ts";
import { Disagreement } from "./statement/guard.ts";
import { abandon, drop } from "./statement/holdend.ts";
import { createGuarding, sessionFacts } from "./statement/judgement.ts";
import { createNames, type Shape } from "./statement/names.ts";
import { createQueue, queueLength, shift } from "./statement/queue.ts";
import { ready, receive, resume } from "./statement/receive.ts";
import { poisonName } from "./statement/refuse.ts";
import { relay } from "./statement/relay.ts";
import type { Counters, Walk } from "./statement/state.ts";
import { tunnel } from "./tunnel.ts";
import { cancelUpstream, connectUpstream, UpstreamError } from "./upstream/connect.ts";
import type { UpstreamPool } from "./upstream/pool.ts";

/** What sessions share. */
export interface SessionDeps {
  readonly settings: GatewaySettings;
  readonly auditSettings: Pick<AuditSettings, "durability" | "parameters" | "results" | "analysis">;
  readonly audit: AuditLog;
  readonly reader: SqlReader;
  readonly allowed: DecisionContext;
  readonly contexts: WeakMap<Shape, StatementContext>;
  readonly columnsCache: Map<string, ColumnsContext>;
  readonly cancelKeys: CancelKeys;
  readonly pools: ReadonlyMap<string, UpstreamPool>;
  /** null: no policy; every statement is forwarded and recorded. */
  readonly judging: Judging | null;
  /** null: nobody can be asked; what needs approval is refused. */
  readonly approvals: ApprovalDesk | null;
  readonly maskKeys: MaskKeys;
  /** How often principals break parsers. */
  readonly parserBreaks: BudgetKeeper;
  readonly logger: pino.Logger;
}

export interface Session {
  readonly id: string;
  readonly principal: Principal;
  readonly database: string;
  readonly started: number;
  readonly counters: Counters;
  /** performance.now() of the last byte from the client or ReadyForQuery. */
  readonly lastActive: number;
  /** Nothing is outstanding and no transaction is open. */
  readonly idle: boolean;
  /** Ends the session with a FATAL error as soon as no statement is running and no transaction is open; `now`: whatever is running. */
  end(reason: EndReason, now: boolean): void;
  /** What it is doing now. */
  describe(): SessionDescription;
  /** When its time is over, in seconds since the epoch, and what says so. */
  readonly deadline: Deadline;
  /** Whom its tokens stood for: the one it began with, and those it was renewed with. */
  readonly principals: readonly Principal[];
  /** Takes no more statements, and ends once what runs is answered; an open transaction is rolled back. Call it again until it has ended. */
  expire(reason: EndReason): void;
  /** Looks again at the groups that its principal has for a while. */
  refreshGrants(): void;
  /** Cancels what runs and ends at once; the outcome of what ran is still recorded. */
  cutOff(reason: EndReason): void;
  /** Tells the client something, if nothing is running now. false: not now. */
  notice(message: string, hint: string): boolean;
  /** Goes on until this principal's token ends; it was found to be the same one. */
  renew(principal: Principal): void;
  readonly closed: Promise<void>;
}

export interface Deadline {
  readonly at: number;
  readonly cause: "token" | "certificate" | "limit";
}

export interface EndReason {
  readonly sqlstate: string;
  readonly message: string;
  /** For the record. */
  readonly reason: string;
  /** The gateway itself ends: what waits for people is gone with it. */
  readonly restart?: boolean;
}

/** Each costs a fresh parser, 10 ms and memory: nobody needs more of them. */
const parserBreaks: Budget = { rule: "parser", unit: "statements", amount: 20, perSeconds: 60 };

/** A cancel request that the server has not taken by then is given up. */
const cancelMs = 5_000;
/** How long a cancelled statement of a client that is gone may take to answer before the connection is dropped. */
const lingerMs = 10_000;

/** A refusal before the session began: told to the client, recorded as a failed login or start. */
export class SessionRefused extends Error {
  readonly sqlstate: string;
  readonly code: string;
  override readonly cause: string;
  constructor(sqlstate: string, code: string, message: string, cause: string) {
    super(message);
    this.sqlstate = sqlstate;
    this.code = code;
    this.cause = cause;
  }
}

/**
 * Connects an authenticated client upstream and runs its session. Resolves when the client has its ReadyForQuery.
 * Throws SessionRefused, with a message that may be told to the client.
 */
export async function startSession(client: AuthenticatedClient, deps: SessionDeps): Promise<Session> {
  const database = deps.settings.databases.find((d) => d.name === client.database);
  if (database === undefined)
    throw new SessionRefused("3D000", "UNKNOWN_DATABASE", "unknown database", "unknown database");
  const granted = grantedTo(deps.approvals?.grants ?? null, client.principal, database.name);
  const login = chooseLogin(database, granted.principal);
  if (login === null) {
    throw new SessionRefused(
      "28000",
      "NO_LOGIN",
      "no access to this database: none of your groups has a login here; ask its owner",
      "no login for the principal's groups",
    );
  }
  if (client.replication !== "off" && !database.replication) {
    throw new SessionRefused(
      "0A000",
      "REPLICATION",
      "replication connections are not allowed here",
      "replication refused",
    );
  }
  const parameters = startupParameters(client.principal, client.parameters);
  const policy = deps.judging?.policies.current ?? null;
  const readOnly =
    policy !== null &&
    client.replication === "off" &&
    readsOnly(policy, granted.principal, sessionFacts(client, database, login));
  if (readOnly) parameters.set("default_transaction_read_only", "on");
  if (policy !== null && client.replication === "off") setBackstop(parameters, policy.timeoutCeilingMs);
  const upstream = await openUpstream(client, database, login, parameters, deps);
  const id = uuidv7();
  let context: SessionContext;
  try {
    context = deps.audit.session({
      session: id,
      principal: client.principal,
      client: {
        ip: client.ip,
        port: client.port,
        tls: client.tls,
        application: client.application,
        user: client.user,
        via: client.via,
      },
      claimed: client.claimed,
      database: {
        name: database.name,
        login: login.user,
        backend: upstream.pid,
        server_version: upstream.version,
      },
    });
    deps.audit.sessionStart(context);
    await new Promise<void>((auditSafe, auditFailed) =>
      deps.audit.whenSafe(deps.auditSettings.durability, { auditSafe, auditFailed }),
    );
  } catch {
    upstream.socket.destroy();
    deps.pools.get(database.name)?.release(upstream, false);
    throw new SessionRefused(
      "58030",
      "AUDIT_UNAVAILABLE",
      "the audit log is unavailable; no session can begin",
      "audit log unavailable",
    );
  }
  return runSession(id, context, client, database, login, granted, readOnly, upstream, deps);
}

async function openUpstream(
  client: AuthenticatedClient,
  database: DatabaseSettings,
  login: LoginSettings,
  parameters: ReadonlyMap<string, string>,
  deps: SessionDeps,
): Promise<UpstreamConnection> {
  const timeoutMs = deps.settings.limits.startupSeconds * 1000;
  const gone = new AbortController();
  const onGone = () => gone.abort();
  client.socket.once("close", onGone);
  try {
    if (client.replication !== "off") {
      return await connectUpstream(database, login, parameters, {
        timeoutMs,
        replication: client.replication,
        signal: gone.signal,
      });
    }
    const pool = deps.pools.get(database.name);
    if (pool === undefined)
      throw new SessionRefused("3D000", "UNKNOWN_DATABASE", "unknown database", "no pool");
    return await pool.acquire(login, parameters, { timeoutMs, signal: gone.signal });
  } catch (error) {
    if (error instanceof UpstreamError)
      throw new SessionRefused(error.sqlstate, "UPSTREAM", error.clientMessage, error.cause);
    throw error;
  } finally {
    client.socket.removeListener("close", onGone);
  }
}

/** What the client gets when its session begins: PostgreSQL manual, "Start-up". */
function greeting(
  client: AuthenticatedClient,
  upstream: UpstreamConnection,
  pid: number,
  key: Buffer,
): Buffer {
  const messages: Buffer[] = [encodeAuthenticationOk()];
  for (const [name, value] of upstream.parameters) {
    // Upstream the name is the gateway's; the client sees the one it gave.
    messages.push(
      encodeParameterStatus(name, name === "application_name" ? (client.application ?? "") : value),
    );
  }
  messages.push(encodeBackendKeyData(pid, key), ...upstream.notices, encodeReadyForQuery("I"));
  return Buffer.concat(messages);
}

function runSession(
  id: string,
  context: SessionContext,
  client: AuthenticatedClient,
  database: DatabaseSettings,
  login: LoginSettings,
  granted: Granted,
  readOnly: boolean,
  upstream: UpstreamConnection,
  deps: SessionDeps,
): Session {
  const { audit, settings, auditSettings } = deps;
  const pool = deps.pools.get(database.name);
  const started = performance.now();
  const counters: Counters = { statements: 0, denied: 0, errors: 0, bytesIn: 0, bytesOut: 0 };
  const { socket } = client;
  const server = upstream.socket;
  let lastActive = started;
  let finished = false;
  let clientEnded = false;
  let endWhenIdle: EndReason | null = null;
  let forced: EndReason | null = null;
  const principals: Principal[] = [client.principal];
  const beganAt = Date.now() / 1000;
  let deadline = deadlineOf(client.principal);
  let reason = "client closed the connection";
  let linger: NodeJS.Timeout | null = null;
  const { promise: closed, resolve: resolveClosed } = Promise.withResolvers<void>();

  const auditFailed = () =>
    fail(
      { sqlstate: "58030", message: "the audit log is unavailable; the session ends" },
      "audit unavailable",
    );
  const walk: Walk = {
    client: socket,
    server,
    toServer: createGate(server, audit, { failed: auditFailed, released: readOn }),
    toClient: createGate(socket, audit, { failed: auditFailed, released: readServer }),
    audit,
    reader: deps.reader,
    limits: settings.limits,
    durability: auditSettings.durability,
    parameters: auditSettings.parameters,
    digestResults: auditSettings.results.digest,
    functionCall: settings.protocol.functionCall,
    context,
    allowed: deps.allowed,
    contexts: deps.contexts,
    columnsCache: deps.columnsCache,
    counters,
    guard:
      deps.judging === null || client.replication !== "off"
        ? null
        : createGuarding(
            id,
            deps.judging,
            client,
            database,
            login,
            readOnly,
            auditSettings.analysis === "lazy",
            upstream.parameters,
            deps.approvals,
          ),
    watch: client.watch ?? null,
    maskKeys: deps.maskKeys,
    maskOutput: new MaskOutput(),
    maskedColumns: new WeakMap(),
    asked: null,
    concluded: 0,
    beside: false,
    unsaid: false,
    fate: createFate(),
    lastRun: -1,
    own: null,
    drained: null,
    backendSwallow: 0,
    mustAbort: null,
    queue: createQueue(),
    names: createNames(),
    poison: poisonName(),
    transaction: "I",
    batch: 1,
    skipping: false,
    copyIn: false,
    copyRefused: false,
    utf8: upstream.parameters.get("client_encoding") === "UTF8",
    conforming: upstream.parameters.get("standard_conforming_strings") !== "off",
    touched: false,
    unsettledBatch: -1,
    texts: 0,
    unsynced: false,
    copySync: false,
    crowded: false,
    wake: false,
    hold: null,
    pass: null,
    gathered: false,
    gatherOver: false,
    deadline: () => deadline.at,
    serverPid: upstream.pid,
    tickets: client.approvals.tickets,
    breakGlass: client.approvals.breakGlass,
    stalled: [],
    stalledBytes: 0,
    stall: null,
    cancelling: 0,
    frontend: null,
    frontendStream: 0,
    frontendSwallow: 0,
    backend: null,
    backendStream: 0,
    backendStreamType: 0,
    result: {
      rows: 0,
      bytes: 0,
      columns: null,
      firstRow: 0,
      digest: new ResultDigest(),
      source: null,
      capture: undefined,
    },
    leaving: false,
    closing: false,
    auditLost: false,
    fatal: false,
    fail,
    poisoned() {
      const charged = deps.parserBreaks.charge(client.principal, [parserBreaks], performance.now());
      if (charged.ok) return;
      fail(
        { sqlstate: "54000", message: "too many statements that no parser survives; the session ends" },
        "too many statements that break the parser",
      );
    },
    cancel: () => void cancel(),
    notice: (error) =>
      deps.logger.warn(
        { session: id, database: database.name, err: error },
        "a statement could not be analysed",
      ),
    alarm: (message, facts) => deps.logger.warn({ session: id, database: database.name, ...facts }, message),
    resume: () =>
      guarded(() => {
        resume(walk);
        endOfClient();
      }),
    readOn,
    guarded,
    // What was answered is the client's, whatever comes next.
    onLeaving: () => walk.toServer.whenWritten(() => walk.toClient.whenWritten(leave)),
    onIdle() {
      lastActive = performance.now();
      if (endWhenIdle !== null && (walk.transaction === "I" || walk.closing)) setImmediate(endIfIdle);
      else grants?.idle();
    },
  };

  const grants =
    deps.approvals === null
      ? null
      : followGrants({
          source: deps.approvals.grants,
          base: client.principal,
          database,
          login,
          granted,
          readOnly,
          walk,
          judged: client.replication === "off",
          record(held) {
            if (audit.failure !== null) return auditFailed();
            audit.event("admin.action", {
              action: "access.in-force",
              session: id,
              principal: { issuer: client.principal.issuer, subject: client.principal.subject },
              database: database.name,
              grants: held.map(({ id: approval, group, until }) => ({
                approval,
                group,
                until: new Date(until).toISOString(),
              })),
            });
          },
          end: (why) => cutOff(why),
        });

  const cancelKey = deps.cancelKeys.add({
    minor: client.minor,
    ip: client.ip,
    cancel,
  });

  async function cancel(): Promise<void> {
    if (finished) return;
    // What runs may be a question about what is held.
    if (queueLength(walk.queue) === 0 || (walk.hold !== null && walk.own !== null)) {
      drop(walk, "cancel");
      return;
    }
    walk.cancelling++;
    try {
      // What is to be cancelled may still wait for its record.
      await new Promise<void>((resolve) => walk.toServer.whenWritten(resolve));
      await cancelUpstream(database, upstream.pid, upstream.key, cancelMs);
    } finally {
      walk.cancelling--;
      if (walk.cancelling === 0 && walk.stall?.until === "cancelled") {
        walk.stall = null;
        walk.resume();
      }
    }
  }

  /** No exception of a handler may leave the session half alive: protocol errors are told, anything else is our fault. */
  function guarded(step: () => void): void {
    if (finished) return;
    try {
      step();
    } catch (error) {
      if (error instanceof Disagreement || error instanceof MaskError) {
        // Nothing of the result has been delivered; what the server has is not what was analysed.
        walk.guard?.analyst.bump();
        deps.logger.warn({ session: id, cause: error.message }, "a result was not what the analysis said");
        fail(
          {
            sqlstate: "XX000",
            message: "policy: the result is not what the analysis of the statement said; the session ends",
            hint: "Connect again and repeat the statement.",
          },
          `result and analysis disagree: ${error.message}`,
        );
      } else if (error instanceof ProtocolError)
        fail({ sqlstate: error.code, message: error.message }, `protocol error: ${error.message}`);
      else if (error instanceof AuditUnavailable) auditFailed();
      else {
        deps.logger.error({ session: id, err: error }, "internal error in a session");
        fail(
          { sqlstate: "XX000", message: "internal error of the gateway; the session ends" },
          "internal error",
        );
      }
    }
  }

  function fail(error: { sqlstate: string; message: string; hint?: string }, why: string): void {
    if (finished) return;
    reason = why;
    const fatal = encodeError({
      severity: "FATAL",
      code: error.sqlstate,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
    // Only at a message boundary would the client understand it.
    finish(walk.toClient.whole ? fatal : null, false);
  }

  function deadlineOf(principal: Principal): Deadline {
    let earliest: Deadline = { at: principal.token.expires, cause: "token" };
    const { certificateExpires = null } = client;
    const { sessionSeconds = null } = settings.limits;
    if (certificateExpires !== null && certificateExpires < earliest.at)
      earliest = { at: certificateExpires, cause: "certificate" };
    if (sessionSeconds !== null && beganAt + sessionSeconds < earliest.at)
      earliest = { at: beganAt + sessionSeconds, cause: "limit" };
    return earliest;
  }

  /** To the client it is over at once; what the server still says of the statement that ran is for the record. */
  function cutOff(why: EndReason): void {
    if (finished || forced !== null) return;
    forced = why;
    walk.closing = true;
    if (queueLength(walk.queue) === 0 || client.replication !== "off") {
      fail(why, why.reason);
      return;
    }
    const whole = walk.toClient.whole && walk.toClient.held === 0;
    walk.toClient.close();
    if (whole && !socket.destroyed)
      socket.write(encodeError({ severity: "FATAL", code: why.sqlstate, message: why.message }));
    socket.end();
    setTimeout(() => socket.destroy(), 1_000).unref();
    onClientClose();
  }

  function notice(message: string, hint: string): boolean {
    const free =
      !finished &&
      client.replication === "off" &&
      queueLength(walk.queue) === 0 &&
      walk.toClient.held === 0 &&
      walk.toClient.whole;
    if (free) walk.toClient.write([encodeNotice({ severity: "NOTICE", code: "01000", message, hint })], null);
    return free;
  }

  /** The end: what is outstanding is of unknown outcome, both connections close, the record says why. */
  function finish(last: Buffer | null, reusable: boolean): void {
    if (finished) return;
    finished = true;
    if (linger !== null) clearTimeout(linger);
    grants?.stop();
    abandon(walk, endWhenIdle?.restart === true ? "restart" : "disconnect");
    deps.cancelKeys.remove(cancelKey.pid);
    if (queueLength(walk.queue) > 0) void cancelUpstream(database, upstream.pid, upstream.key, cancelMs);
    walk.own?.lost();
    noteEnd(walk);
    for (let entry = shift(walk.queue); entry !== undefined; entry = shift(walk.queue))
      concludeUnknown(walk, entry);
    walk.toServer.close();
    walk.toClient.close();
    server.removeListener("data", onServerData);
    upstream.readInto?.(null);
    server.removeListener("end", onServerEnd);
    server.removeListener("close", onServerClose);
    server.removeListener("drain", readOn);
    socket.removeListener("data", onClientData);
    socket.removeListener("drain", readServer);
    audit.sessionEnd(context, {
      reason,
      statements: counters.statements,
      bytesIn: counters.bytesIn,
      bytesOut: counters.bytesOut,
      durationMs: Math.round(performance.now() - started),
    });
    if (client.replication === "off") pool?.release(upstream, reusable);
    else server.destroy();
    // The client may still be reading what was written; its own close, or a time limit, ends the connection.
    socket.resume();
    if (last !== null && !socket.destroyed) socket.write(last);
    if (!socket.destroyed) {
      socket.end();
      setTimeout(() => socket.destroy(), 5_000).unref();
    }
    resolveClosed();
  }

  function onClientData(chunk: Buffer): void {
    lastActive = performance.now();
    guarded(() => receive(walk, chunk));
  }

  /** Terminate was received: nothing outstanding means that the connection can serve again. */
  function leave(): void {
    if (finished) return;
    reason = "client terminated";
    if (clean()) finish(null, true);
    // The server carries out what it has got, then closes, as it would for a client of its own.
    else walk.toServer.write([terminate], null);
  }

  function clean(): boolean {
    return (
      queueLength(walk.queue) === 0 &&
      walk.transaction === "I" &&
      walk.cancelling === 0 &&
      walk.backend === null &&
      walk.backendStream === 0 &&
      walk.frontendStream === 0 &&
      !walk.skipping &&
      !walk.unsynced &&
      walk.toServer.held === 0
    );
  }

  /** The client's end of stream is passed on: the server answers what it has got, then closes (PROTOCOL.md D8). */
  function onClientEnd(): void {
    clientEnded = true;
    drop(walk, "disconnect");
    endOfClient();
  }

  function endOfClient(): void {
    // What the client has sent and still waits here goes first.
    if (finished || !clientEnded || walk.stall !== null) return;
    walk.toServer.whenWritten(() =>
      walk.toClient.whenWritten(() => {
        // Where a cancel is under way, the server's answer to it is still wanted for the record.
        if (finished || linger !== null) return;
        if (walk.frontend === null && clean()) finish(null, true);
        else server.end();
      }),
    );
  }

  /** The client's connection broke: what it was running is cancelled, and its outcome still awaited for the record. */
  function onClientClose(): void {
    if (finished || linger !== null) return;
    abandon(walk, "disconnect");
    if (queueLength(walk.queue) === 0) {
      finish(null, clean());
      return;
    }
    reason = forced?.reason ?? (walk.leaving ? "client terminated" : "client connection lost");
    linger = setTimeout(() => finish(null, false), lingerMs);
    linger.unref();
    server.resume();
    void new Promise<void>((resolve) => walk.toServer.whenWritten(resolve))
      .then(() => cancelUpstream(database, upstream.pid, upstream.key, cancelMs))
      .then(() => {
        if (!finished) server.end(terminate);
      });
  }

  function onServerData(chunk: Buffer): void {
    guarded(() => relay(walk, chunk));
  }

  /** The chunk's memory is used again unless something of it still waits to be written. */
  function onServerChunk(chunk: Buffer): boolean {
    onServerData(chunk);
    return socket.writableLength > 0 || walk.toClient.held > 0;
  }

  function onServerEnd(): void {
    onServerClose();
  }

  function onServerClose(): void {
    if (!finished) walk.toClient.whenWritten(serverGone);
  }

  function serverGone(): void {
    if (finished) return;
    if (walk.leaving || forced !== null || socket.destroyed || socket.readableEnded) {
      finish(null, false);
      return;
    }
    // After the server's own FATAL a second error would only confuse drivers (PROTOCOL.md D11).
    if (walk.fatal) {
      reason = "the database ended the session";
      finish(null, false);
    } else
      fail(
        { sqlstate: "57P01", message: "the connection to the database was lost" },
        "upstream connection lost",
      );
  }

  /** The client is read again once the server and the log keep up with it. */
  function readOn(): void {
    if (!finished && ready(walk)) socket.resume();
  }

  /** The server is read again once the client and the log keep up with it. */
  function readServer(): void {
    if (!finished && !socket.writableNeedDrain && walk.toClient.held <= maxHeld) server.resume();
  }

  function endIfIdle(): void {
    if (
      finished ||
      endWhenIdle === null ||
      queueLength(walk.queue) > 0 ||
      (walk.transaction !== "I" && !walk.closing) ||
      walk.toServer.held > 0
    )
      return;
    // The last answer is the client's first.
    if (walk.toClient.held > 0) walk.toClient.whenWritten(() => setImmediate(endIfIdle));
    else fail(endWhenIdle, endWhenIdle.reason);
  }

  socket.on("end", onClientEnd);
  socket.on("close", onClientClose);
  socket.on("drain", readServer);
  server.on("close", onServerClose);
  server.on("end", onServerEnd);
  server.on("drain", readOn);
  walk.toClient.write([greeting(client, upstream, cancelKey.pid, cancelKey.key)], null);
  if (client.replication !== "off") tunnel(walk, client.rest, guarded);
  else {
    if (upstream.readInto === null) server.on("data", onServerData);
    else upstream.readInto(onServerChunk);
    socket.on("data", onClientData);
    if (client.rest.length > 0) onClientData(client.rest);
  }
  grants?.idle();
  server.resume();
  socket.resume();
  if (socket.destroyed) onClientClose();
  if (server.destroyed) onServerClose();

  return {
    id,
    principal: client.principal,
    database: database.name,
    started,
    counters,
    get lastActive() {
      return lastActive;
    },
    get idle() {
      return queueLength(walk.queue) === 0 && walk.transaction === "I" && walk.hold === null;
    },
    end(why, now) {
      endWhenIdle = why;
      drop(walk, why.restart === true ? "restart" : "disconnect");
      // A replication stream has no statements to wait for.
      if (now || client.replication !== "off") fail(why, why.reason);
      else endIfIdle();
    },
    describe: () => ({
      ...describeSession(id, client, login.user, walk, { started, lastActive }),
      expires: Math.floor(deadline.at * 1000),
    }),
    get deadline() {
      return deadline;
    },
    principals,
    expire(why) {
      if (finished) return;
      walk.closing = true;
      endWhenIdle = why;
      if (client.replication !== "off") fail(why, why.reason);
      else endIfIdle();
    },
    cutOff,
    refreshGrants: () => guarded(() => grants?.refresh()),
    notice,
    renew(principal) {
      principals.push(principal);
      deadline = deadlineOf(principal);
    },
    closed,
  };
}
