/** The state of a session's statements as it is at the beginning. */
import { ResultDigest, type SessionContext } from "../../audit/index.ts";
import type { SessionRecord } from "../../facts/audit.ts";
import { MaskOutput } from "../../masking/index.ts";
import type { Budget } from "../../policy/index.ts";
import type { Granted } from "../granted.ts";
import type { AuthenticatedClient, UpstreamConnection } from "../ports.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import { createFate } from "../statement/fate.ts";
import { createGate } from "../statement/forward.ts";
import { createGuarding } from "../statement/judgement.ts";
import { createNames } from "../statement/names.ts";
import { createQueue } from "../statement/queue.ts";
import { poisonName } from "../statement/refuse.ts";
import type { Walk } from "../statement/state.ts";
import type { SessionDeps } from "./types.ts";

/** What a session is made of once it is connected and on the record. */
export interface SessionParts {
  readonly id: string;
  readonly context: SessionContext;
  /** What it was made of. */
  readonly record: SessionRecord;
  readonly client: AuthenticatedClient;
  readonly database: DatabaseSettings;
  readonly login: LoginSettings;
  readonly granted: Granted;
  /** Its transactions are READ ONLY. */
  readonly readOnly: boolean;
  readonly upstream: UpstreamConnection;
}

/** Each costs a fresh parser, 10 ms and memory: nobody needs more of them. */
const parserBreaks: Budget = { rule: "parser", unit: "statements", amount: 20, perSeconds: 60 };

/** What the session does when its walk asks for it. */
export interface SessionSteps
  extends Pick<
    Walk,
    "deadline" | "fail" | "cancel" | "resume" | "readOn" | "guarded" | "onLeaving" | "onIdle"
  > {
  auditFailed(): void;
  readServer(): void;
}

/** Gives a session's state before its first message; `to` is called as the walk goes on, never at once. */
export function createWalk(parts: SessionParts, deps: SessionDeps, to: SessionSteps): Walk {
  const { id, context, record, client, database, login, readOnly, upstream } = parts;
  const { audit, settings, auditSettings } = deps;
  return {
    client: client.socket,
    server: upstream.socket,
    toServer: createGate(upstream.socket, audit, { failed: to.auditFailed, released: to.readOn }),
    toClient: createGate(client.socket, audit, { failed: to.auditFailed, released: to.readServer }),
    audit,
    reader: deps.reader,
    limits: settings.limits,
    durability: auditSettings.durability,
    parameters: auditSettings.parameters,
    digestResults: auditSettings.results.digest,
    functionCall: settings.protocol.functionCall,
    context,
    claims: { record, last: null },
    allowed: deps.allowed,
    contexts: deps.contexts,
    columnsCache: deps.columnsCache,
    large: deps.large,
    counters: { statements: 0, denied: 0, errors: 0, bytesIn: 0, bytesOut: 0 },
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
    deadline: to.deadline,
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
    fail: to.fail,
    poisoned() {
      const charged = deps.parserBreaks.charge(client.principal, [parserBreaks], performance.now());
      if (charged.ok) return;
      to.fail(
        { sqlstate: "54000", message: "too many statements that no parser survives; the session ends" },
        "too many statements that break the parser",
      );
    },
    cancel: to.cancel,
    notice: (error) =>
      deps.logger.warn(
        { session: id, database: database.name, err: error },
        "a statement could not be analysed",
      ),
    alarm: (message, facts) => deps.logger.warn({ session: id, database: database.name, ...facts }, message),
    resume: to.resume,
    readOn: to.readOn,
    guarded: to.guarded,
    onLeaving: to.onLeaving,
    onIdle: to.onIdle,
  };
}
