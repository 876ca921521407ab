/** One client's session: both streams wired to the statement's walk, and its end. */
import type { Principal } from "../../facts/principal.ts";
import { encodeError, encodeNotice, terminate } from "../../protocol/index.ts";
import { readShared } from "../client/reads.ts";
import { describeSession } from "../describe.ts";
import { followGrants } from "../granted.ts";
import { destroyAfter } from "../linger.ts";
import { noteOver } from "../statement/aftermath.ts";
import { cancelWaiting } from "../statement/ask.ts";
import { concludeUnknown } from "../statement/conclude.ts";
import { noteEnd } from "../statement/fate.ts";
import { maxHeld } from "../statement/forward.ts";
import { abandon, drop } from "../statement/holdend.ts";
import { queueLength, shift } from "../statement/queue.ts";
import { ready, receive, resume } from "../statement/receive.ts";
import { relay } from "../statement/relay.ts";
import type { Walk } from "../statement/state.ts";
import { tunnel } from "../tunnel.ts";
import { cancelUpstream } from "../upstream/connect.ts";
import { deadlineOf } from "./deadline.ts";
import { auditLost, auditReason, faultOf, type Told } from "./faults.ts";
import { greeting } from "./greeting.ts";
import type { EndReason, Session, SessionDeps } from "./types.ts";
import { createWalk, type SessionParts } from "./walk.ts";

/** A cancel request that the server has not taken by then is given up. */
const cancelMs = 5_000;
/** How long a cancelled statement of a client that is gone may take to answer before the connection is dropped. */
const lingerMs = 10_000;

/** Runs the session of a client that is connected upstream and on the record. */
export function runSession(parts: SessionParts, deps: SessionDeps): Session {
  const { id, context, client, database, login, granted, readOnly, upstream } = parts;
  const { audit, settings } = deps;
  const pool = deps.pools.get(database.name);
  const started = performance.now();
  const { socket } = client;
  const server = upstream.socket;
  let lastActive = started;
  let finished = false;
  let clientEnded = false;
  let endWhenIdle: EndReason | null = null;
  let forced: EndReason | null = null;
  const principals: Principal[] = [client.principal];
  const began = Date.now() / 1000;
  let deadline = deadlineOf(client.principal, client, settings.limits, { began, accepted: began });
  let reason = "client closed the connection";
  let linger: NodeJS.Timeout | null = null;
  const { promise: closed, resolve: resolveClosed } = Promise.withResolvers<void>();

  const auditFailed = () => fail(auditLost, auditReason);
  const walk: Walk = createWalk(parts, deps, {
    auditFailed,
    readServer,
    deadline: () => deadline.at,
    fail,
    cancel: () => void cancel(),
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
  });

  const { counters } = walk;

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
    pid: upstream.pid,
    async cancel() {
      if (!cancelWaiting(walk)) await cancel();
    },
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
      // What is to be cancelled may still wait for its record, and the session be over before that.
      await Promise.race([new Promise<void>((resolve) => walk.toServer.whenWritten(resolve)), closed]);
      if (finished) return;
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
      const { told, reason: why, cause } = faultOf(error);
      if (cause === "disagreement") {
        // Nothing of the result has been delivered; what the server has is not what was analysed.
        walk.guard?.analyst.bump();
        deps.logger.warn(
          { session: id, cause: error instanceof Error ? error.message : why },
          "a result was not what the analysis said",
        );
      } else if (cause === "internal")
        deps.logger.error({ session: id, err: error }, "internal error in a session");
      fail(told, why);
    }
  }

  function fail(error: Told, why: string): void {
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
    destroyAfter(socket, 1_000);
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
    cancelKey.remove();
    if (queueLength(walk.queue) > 0) void cancelUpstream(database, upstream.pid, upstream.key, cancelMs);
    walk.large.free(walk);
    walk.own?.lost();
    noteEnd(walk);
    if (walk.guard !== null) noteOver(walk.guard);
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
      destroyAfter(socket, 5_000);
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
      // What was flushed without a Sync is open until that comes, too.
      ((walk.transaction !== "I" || walk.unsynced) && !walk.closing) ||
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
    const shared = readShared(socket, onClientData);
    if (!shared) socket.on("data", onClientData);
    if (client.rest.length > 0) onClientData(client.rest);
    // What the socket had read before it was set to share.
    const early: Buffer | null = shared ? socket.read() : null;
    if (early !== null) onClientData(early);
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
      return (
        queueLength(walk.queue) === 0 && walk.transaction === "I" && !walk.unsynced && walk.hold === null
      );
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
      deadline = deadlineOf(principal, client, settings.limits, { began, accepted: Date.now() / 1000 });
    },
    closed,
  };
}
