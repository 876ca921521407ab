/** The analysts of all databases and logins, and what their sessions share. */
import type pino from "pino";
import type { BudgetKeeper, CompiledPolicy } from "../../policy/index.ts";
import { ByteCache } from "../../sql/index.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import { type Changes, noChanges } from "../statement/changes.ts";
import type { Answer } from "../statement/judgement.ts";
import { createRefusalMemory, type RefusalMemory } from "../statement/refusals.ts";
import { type Analyst, createAnalyst } from "./index.ts";
import { weigh } from "./weight.ts";

export interface AnswerCache {
  get(key: string): Answer | undefined;
  set(key: string, answer: Answer): void;
}

/** What judging needs that is not one session's. */
export interface Judging {
  readonly policies: { readonly current: CompiledPolicy };
  readonly budgets: BudgetKeeper;
  readonly memory: RefusalMemory;
  of(
    database: DatabaseSettings,
    login: LoginSettings,
  ): { analyst: Analyst; answers: AnswerCache; changes: Changes };
  /** Of each login that was asked for, and is known. */
  exposed(): readonly { readonly database: string; readonly login: string; readonly columns: number }[];
  close(): void;
}

/** Bytes of answers that are kept for all logins together, each with the same part; and the least part, however many there are. */
const answerBytes = 32 * 1024 * 1024;
const leastAnswerBytes = 512 * 1024;

/** Opens nothing until a session asks. */
export function createJudging(
  policies: { readonly current: CompiledPolicy },
  budgets: BudgetKeeper,
  logger: pino.Logger,
  memory: RefusalMemory = createRefusalMemory(),
  bytes = answerBytes,
): Judging {
  const known = new Map<
    string,
    { analyst: Analyst; answers: ByteCache<Answer>; changes: Changes; database: string; login: string }
  >();
  const places = new Map<string, { readonly changes: Changes; readonly siblings: Set<() => void> }>();
  return {
    policies,
    budgets,
    memory,
    of(database, login) {
      const key = JSON.stringify([database.name, login.user]);
      let one = known.get(key);
      if (one === undefined) {
        const part = Math.max(leastAnswerBytes, Math.floor(bytes / (known.size + 1)));
        for (const { answers } of known.values()) answers.resize(part);
        const answers = new ByteCache<Answer>(part, (text, answer) => weigh(text) + weigh(answer));
        // The configuration may have one database under several names.
        const { host, port, dbname } = database.server;
        const place = JSON.stringify([host, port, dbname]);
        const { changes, siblings } = places.get(place) ?? { changes: noChanges(), siblings: new Set() };
        places.set(place, { changes, siblings });
        one = {
          changes,
          analyst: createAnalyst(database, login, logger, siblings),
          answers,
          database: database.name,
          login: login.user,
        };
        known.set(key, one);
      }
      return one;
    },
    exposed() {
      return [...known.values()].flatMap(({ analyst: { exposed }, database, login }) =>
        exposed === null ? [] : [{ database, login, columns: exposed }],
      );
    },
    close() {
      for (const { analyst } of known.values()) analyst.close();
    },
  };
}
