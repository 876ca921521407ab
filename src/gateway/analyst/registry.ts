/** The analysts of all databases and logins, and what their sessions share. */
import type pino from "pino";
import type { BudgetKeeper, CompiledPolicy } from "../../policy/index.ts";
import { ByteCache } from "../../sql/index.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import type { Answer } from "../statement/judgement.ts";
import { createRefusalMemory, type RefusalMemory } from "../statement/refusals.ts";
import { type Analyst, createAnalyst } from "./index.ts";

export interface AnswerCache {
  get(key: string): Answer | undefined;
  set(key: string, answer: Answer): void;
}

/** What judging needs that is not one session's. */
export interface Judging {
  readonly policies: { readonly current: CompiledPolicy };
  readonly budgets: BudgetKeeper;
  readonly memory: RefusalMemory;
  of(database: DatabaseSettings, login: LoginSettings): { analyst: Analyst; answers: AnswerCache };
  /** Of each login that was asked for, and is known. */
  exposed(): readonly { readonly database: string; readonly login: string; readonly columns: number }[];
  close(): void;
}

/** Bytes of answers that are kept for each login. */
const answerBytes = 32 * 1024 * 1024;

/** Opens nothing until a session asks. */
export function createJudging(
  policies: { readonly current: CompiledPolicy },
  budgets: BudgetKeeper,
  logger: pino.Logger,
  memory: RefusalMemory = createRefusalMemory(),
): Judging {
  const known = new Map<
    string,
    { analyst: Analyst; answers: AnswerCache; database: string; login: string }
  >();
  return {
    policies,
    budgets,
    memory,
    of(database, login) {
      const key = JSON.stringify([database.name, login.user]);
      let one = known.get(key);
      if (one === undefined) {
        const answers = new ByteCache<Answer>(
          answerBytes,
          (text, answer) => 2 * text.length + sizeOf(answer),
        );
        one = {
          analyst: createAnalyst(database, login, logger),
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

/** Roughly what an answer holds, bytes. */
function sizeOf(answer: Answer): number {
  if (answer.kind !== "touched") return 1024;
  const { reads, writes, columns, functions, uses, outputs, assignments } = answer.touched;
  const names = [...reads, ...writes, ...columns, ...functions];
  const sources = (outputs ?? []).reduce((sum, output) => sum + 4 + output.sources.length, 0);
  const lists = uses.length + sources + assignments.reduce((sum, one) => sum + 2 + one.sources.length, 0);
  return 1024 + names.reduce((sum, name) => sum + 32 + 2 * name.length, 0) + 64 * lists;
}
