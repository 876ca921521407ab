/** The gateway: listeners, sessions and their limits. */
import { createSecretKey, randomBytes } from "node:crypto";
import { requesterKey, requesterOf } from "../approvals/index.ts";
import { createMaskKeys } from "../masking/index.ts";
import { createBudgets } from "../policy/index.ts";
import { encodeError } from "../protocol/index.ts";
import { createSqlReader } from "../sql/index.ts";
import { createJudging } from "./analyst/registry.ts";
import { createCancelKeys } from "./cancel.ts";
import { innerClient } from "./client/inner.ts";
import { createListener, type Listener } from "./client/listener.ts";
import { createDesk } from "./desk.ts";
import { createLifecycle } from "./lifecycle.ts";
import { destroyAfter } from "./linger.ts";
import type { AuthenticatedClient, AuthFailure } from "./ports.ts";
import { createPreviews, PreviewRefused } from "./preview/index.ts";
import { createQuiet } from "./quiet.ts";
import { startSession } from "./session/open.ts";
import { type EndReason, type Session, type SessionDeps, SessionRefused } from "./session/types.ts";
import type { GatewaySettings } from "./settings.ts";
import { LargeMessages } from "./statement/gather.ts";
import { createRefusalMemory } from "./statement/refusals.ts";
import type { Gateway, GatewayRooms } from "./types.ts";
import { createUpstreamPool, type UpstreamPool } from "./upstream/pool.ts";

export { type AccessTable, typeText } from "./access.ts";
export type { SessionDescription } from "./describe.ts";
export type { Asker, DatabaseAccess, TableDetail } from "./desk.ts";
export type { Unopened } from "./ports.ts";
export { PreviewRefused } from "./preview/index.ts";
export type { Judgement } from "./statement/judgement.ts";
export type { Refusal } from "./statement/refuse.ts";
export type { Gateway, GatewayRooms, PolicyRooms } from "./types.ts";

/** So many of the largest messages may be on their way at a time: they are held until they are whole. */
const largeMessages = 8;

const shutdown: EndReason = {
  sqlstate: "57P01",
  message: "terminating connection due to administrator command",
  reason: "gateway shut down",
  restart: true,
};
const idleTooLong: EndReason = {
  sqlstate: "57P05",
  message: "terminating connection due to idle time-out",
  reason: "idle time-out",
};
const auditLost: EndReason = {
  sqlstate: "58030",
  message: "the audit log is unavailable; the session ends, open transactions are rolled back",
  reason: "audit unavailable",
};

/** Starts listening. Rejects when an address cannot be taken; nothing is left open then. */
export async function startGateway(settings: GatewaySettings, rooms: GatewayRooms): Promise<Gateway> {
  const { identity, audit, logger } = rooms;
  const pools = new Map<string, UpstreamPool>();
  for (const database of settings.databases) pools.set(database.name, createUpstreamPool(database));
  const judging =
    rooms.policy === null
      ? null
      : createJudging(
          rooms.policy.policies,
          rooms.policy.budgets,
          logger,
          createRefusalMemory(settings.limits.refusals),
        );
  const deps: SessionDeps = {
    settings,
    auditSettings: rooms.auditSettings,
    audit,
    reader: createSqlReader(),
    allowed: audit.decision({
      verdict: "allow",
      rule: null,
      rules: [],
      code: null,
      policy: null,
      masked: [],
      limits: {},
    }),
    contexts: new WeakMap(),
    columnsCache: new Map(),
    large: new LargeMessages(largeMessages * settings.limits.messageBytes),
    cancelKeys: createCancelKeys(),
    judging,
    approvals: rooms.approvals ?? null,
    parserBreaks: createBudgets(),
    maskKeys: createMaskKeys(rooms.policy?.maskKey ?? createSecretKey(randomBytes(32))),
    pools,
    logger,
  };
  const previews =
    judging === null || deps.approvals === null
      ? null
      : createPreviews({
          desk: deps.approvals,
          databases: settings.databases,
          judging,
          maskKeys: deps.maskKeys,
          audit,
          logger,
        });
  const access = createDesk(settings.databases, judging, deps.approvals?.grants ?? null, logger);
  const sessions = new Map<string, Session>();
  /** Sessions and connections that are becoming sessions, by principal. */
  const perPrincipal = new Map<string, number>();
  const past = { sessions: 0, statements: 0, denied: 0, errors: 0, authFailures: 0, bytesIn: 0, bytesOut: 0 };
  let starting = 0;
  let accepting = true;
  let toldFailure = false;

  function refuse(client: AuthenticatedClient, refused: SessionRefused): void {
    recordFailure({
      code: refused.code,
      cause: refused.cause,
      ip: client.ip,
      port: client.port,
      tls: client.tls,
      user: client.user,
      database: client.database,
      application: client.application,
      tokenSha256: client.principal.token.sha256,
      via: client.via,
    });
    client.watch?.unopened(refused);
    client.socket.end(encodeError({ severity: "FATAL", code: refused.sqlstate, message: refused.message }));
    destroyAfter(client.socket, 5_000);
    client.socket.resume();
  }

  const quiet = createQuiet();
  function recordFailure(failure: AuthFailure): void {
    past.authFailures++;
    const told = quiet(failure);
    if (told === null) return;
    logger.warn(
      { code: told.code, cause: told.cause, ip: told.ip, database: told.database },
      "connection refused",
    );
    try {
      audit.authFailed(told);
    } catch {
      // The log has failed: that is known and told elsewhere, and nothing was let in.
    }
  }

  async function admitClient(client: AuthenticatedClient): Promise<void> {
    const who = requesterKey(requesterOf(client.principal));
    const open = perPrincipal.get(who) ?? 0;
    if (!accepting)
      return refuse(
        client,
        new SessionRefused("57P03", "SHUTTING_DOWN", "the gateway is shutting down", "shutting down"),
      );
    if (audit.failure !== null || audit.low) {
      return refuse(
        client,
        new SessionRefused(
          "58030",
          "AUDIT_UNAVAILABLE",
          "the audit log is unavailable; no session can begin",
          "audit log unavailable",
        ),
      );
    }
    if (
      sessions.size + starting >= settings.limits.connections ||
      open >= settings.limits.connectionsPerPrincipal
    ) {
      return refuse(
        client,
        new SessionRefused("53300", "TOO_MANY_CONNECTIONS", "too many connections", "connection limit"),
      );
    }
    perPrincipal.set(who, open + 1);
    starting++;
    try {
      const session = await startSession(client, deps);
      sessions.set(session.id, session);
      past.sessions++;
      if (!accepting) session.end(shutdown, false);
      lifecycle.begun(session);
      void session.closed.then(() => {
        sessions.delete(session.id);
        release(who);
        past.statements += session.counters.statements;
        past.denied += session.counters.denied;
        past.errors += session.counters.errors;
        past.bytesIn += session.counters.bytesIn;
        past.bytesOut += session.counters.bytesOut;
      });
    } catch (error) {
      release(who);
      if (error instanceof SessionRefused) refuse(client, error);
      else {
        logger.error({ err: error }, "internal error while a session began");
        refuse(
          client,
          new SessionRefused("XX000", "INTERNAL", "internal error of the gateway", "internal error"),
        );
      }
    } finally {
      starting--;
    }
  }

  function release(who: string): void {
    const open = (perPrincipal.get(who) ?? 1) - 1;
    if (open <= 0) perPrincipal.delete(who);
    else perPrincipal.set(who, open);
  }

  const lifecycle = createLifecycle({
    sessions,
    limits: settings.limits,
    audit,
    store: rooms.store ?? null,
    revocations: rooms.revocations ?? null,
    identity,
    logger,
  });

  /** Idle limits, the ends of tokens, and whether the audit log still lives: looked at once a second. */
  const sweep = setInterval(() => {
    const now = performance.now();
    if (audit.failure === null) toldFailure = false;
    else if (!toldFailure) {
      toldFailure = true;
      logger.fatal(
        { err: audit.failure },
        "the audit log has failed: nothing is forwarded until it can be written again",
      );
    }
    for (const session of sessions.values()) {
      session.refreshGrants();
      // What PostgreSQL has open it rolls back; an idle session is told with its next statement.
      if (audit.failure !== null && !session.idle) session.end(auditLost, true);
      else if (session.idle && now - session.lastActive > settings.limits.idleSeconds * 1000)
        session.end(idleTooLong, false);
    }
    lifecycle.tick();
  }, 1_000);
  sweep.unref();

  const listeners: Listener[] = [];
  try {
    for (const address of settings.listeners) {
      listeners.push(
        await createListener(address, {
          tls: settings.tls,
          identity,
          ...(rooms.protection === undefined ? {} : { protection: rooms.protection }),
          limits: settings.limits,
          databases: settings.databases.map((d) => d.name),
          onClient: (client) => void admitClient(client),
          onCancel: (request) => deps.cancelKeys.cancel(request),
          onFailure: recordFailure,
          admit: () => accepting,
        }),
      );
    }
  } catch (error) {
    clearInterval(sweep);
    lifecycle.close();
    await Promise.all(listeners.map((listener) => listener.close()));
    for (const pool of pools.values()) await pool.close();
    throw error;
  }

  return {
    addresses: listeners.map((listener) => listener.address),
    sessions,
    get accepting() {
      return accepting;
    },
    stats() {
      let { statements, denied, errors, bytesIn, bytesOut } = past;
      for (const { counters } of sessions.values()) {
        statements += counters.statements;
        denied += counters.denied;
        errors += counters.errors;
        bytesIn += counters.bytesIn;
        bytesOut += counters.bytesOut;
      }
      return {
        sessions: sessions.size,
        sessionsTotal: past.sessions,
        statements,
        denied,
        errors,
        authFailures: past.authFailures,
        bytesIn,
        bytesOut,
      };
    },
    async preview(id, approver) {
      if (previews === null) throw new PreviewRefused("NOT_FOUND", "there are no approvals here");
      return previews(id, approver);
    },
    exposed: () => judging?.exposed() ?? [],
    access,
    authFailed: recordFailure,
    attach(from) {
      const { client, end } = innerClient(from);
      void admitClient(client);
      return end;
    },
    describe: () => [...sessions.values()].map((session) => session.describe()),
    endSession: lifecycle.end,
    lifecycle,
    reloadTls(tls) {
      for (const listener of listeners) listener.reloadTls(tls);
    },
    async drain(graceMs) {
      accepting = false;
      clearInterval(sweep);
      for (const listener of listeners) listener.stopAccepting();
      for (const session of sessions.values()) session.end(shutdown, false);
      const all = Promise.all([...sessions.values()].map((session) => session.closed));
      const grace = Promise.withResolvers<void>();
      const timer = setTimeout(grace.resolve, graceMs);
      await Promise.race([all, grace.promise]);
      clearTimeout(timer);
      for (const session of sessions.values()) session.end(shutdown, true);
      await Promise.all([...sessions.values()].map((session) => session.closed));
      await Promise.all(listeners.map((listener) => listener.close()));
      lifecycle.close();
      for (const pool of pools.values()) await pool.close();
      access.close();
      judging?.close();
      await deps.reader.close();
    },
  };
}
