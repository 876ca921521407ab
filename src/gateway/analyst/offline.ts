/**
 * Judging statements without a session: for `postern policy explain` and `test`. The same reading, the same questions to the
 * server and the same masks as on the data path; nothing is run, and nothing is remembered between two texts.
 */
import type pino from "pino";
import type { CompiledPolicy } from "../../policy/index.ts";
import type { Analyse, Analysed } from "../../policy/lab/analyser.ts";
import { plainSession } from "../../policy/lab/person.ts";
import { createSqlReader } from "../../sql/index.ts";
import { chooseLogin } from "../logins.ts";
import { readsOnly } from "../readonly.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import { UpstreamError } from "../upstream/errors.ts";
import { mustBeHardened } from "./exposure.ts";
import { type Analyst, createAnalyst, type View } from "./index.ts";
import { OfflineUnavailable, Reading } from "./reading.ts";
import { QuestionRefused } from "./rows.ts";

export { OfflineUnavailable };

export interface Offline {
  /** Rejects with OfflineUnavailable when a database cannot be asked. */
  readonly analyse: Analyse;
  /** A policy laid over a database as one of its logins sees it. Rejects with OfflineUnavailable. */
  view(
    database: DatabaseSettings,
    login: LoginSettings,
    policy: CompiledPolicy,
  ): Promise<{ readonly view: View; readonly analyst: Analyst }>;
  close(): Promise<void>;
}

/** Opens nothing until something is asked. `close()` ends its connections. */
export function createOffline(databases: readonly DatabaseSettings[], logger: pino.Logger): Offline {
  const reader = createSqlReader();
  const analysts = new Map<string, Analyst>();
  // The analysts' connections do not keep a process alive; what waits for their answers must.
  const alive = setInterval(() => undefined, 60_000);

  function analystOf(database: DatabaseSettings, login: LoginSettings): Analyst {
    const key = JSON.stringify([database.name, login.user]);
    const known = analysts.get(key) ?? createAnalyst(database, login, logger);
    analysts.set(key, known);
    return known;
  }

  async function view(database: DatabaseSettings, login: LoginSettings, policy: CompiledPolicy) {
    const analyst = analystOf(database, login);
    return asking(database, login, async () => ({ view: await analyst.ready(policy), analyst }));
  }

  return {
    view,
    async analyse({ database: name, sql, principal, policy }) {
      const database = databases.find((one) => one.name === name);
      if (database === undefined)
        return refusedText("UNKNOWN_DATABASE", `database "${name}" is not in the configuration`);
      const login = chooseLogin(database, principal);
      if (login === null)
        return refusedText("NO_LOGIN", `none of the principal's groups has a login for database "${name}"`);
      const opened = await view(database, login, policy);
      const session = { ...plainSession(name), role: login.user };
      const reading = new Reading(opened.analyst, opened.view, policy, reader, {
        readOnly: readsOnly(policy, principal, session),
        hardened: mustBeHardened(login),
      });
      return asking(database, login, async () => {
        const statements = await reading.read(await reader.readLarge(sql));
        return { ok: true, statements, session };
      });
    },
    async close() {
      clearInterval(alive);
      for (const analyst of analysts.values()) analyst.close();
      await reader.close();
    },
  };
}

function refusedText(code: string, message: string): Analysed {
  return { ok: false, code, message };
}

async function asking<Value>(
  database: DatabaseSettings,
  login: LoginSettings,
  run: () => Promise<Value>,
): Promise<Value> {
  try {
    return await run();
  } catch (error) {
    const cause =
      error instanceof UpstreamError
        ? `cannot connect: ${error.cause}`
        : error instanceof QuestionRefused || (error instanceof Error && known.has(error.name))
          ? error.message
          : null;
    if (cause === null) throw error;
    throw new OfflineUnavailable(`database ${database.name} as ${login.user}: ${cause}`);
  }
}

/** Errors of the questions themselves, whose messages are ours. */
const known: ReadonlySet<string> = new Set(["TalkLost", "CatalogError", "CatalogUnavailable"]);
