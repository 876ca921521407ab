/** How a session begins: which login, the connection upstream, its first record. */
import { type SessionContext, uuidv7 } from "../../audit/index.ts";
import type { SessionRecord } from "../../facts/audit.ts";
import { grantedTo } from "../granted.ts";
import { chooseLogin, setBackstop, startupParameters } from "../logins.ts";
import type { AuthenticatedClient, UpstreamConnection } from "../ports.ts";
import { readsOnly } from "../readonly.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import { sessionFacts } from "../statement/judgement.ts";
import { connectUpstream, UpstreamError } from "../upstream/connect.ts";
import { runSession } from "./run.ts";
import { type Session, type SessionDeps, SessionRefused } from "./types.ts";

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
  const record: SessionRecord = {
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
  };
  let context: SessionContext;
  try {
    context = deps.audit.session(record);
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
  return runSession({ id, context, record, client, database, login, granted, readOnly, upstream }, deps);
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
