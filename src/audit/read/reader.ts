/**
 * Reading the audit trail of a running gateway: in a worker thread, so that no search holds up the data path, and on the record:
 * what is asked, and by whom, is an `admin.action` in the log before anything is answered (SPEC section 5).
 */
import { startBackground } from "../background.ts";
import type { AuditLog } from "../types.ts";
import type { SearchFilters } from "./filters.ts";
import type { Overview, OverviewFilters } from "./overview.ts";
import type { Proven } from "./prove.ts";
import type { RangeEntry } from "./range.ts";
import type { RunStory } from "./run.ts";
import type { RunListFilters, RunSummary } from "./runlist.ts";
import type { Shown } from "./show.ts";
import type { Stats, StatsFilters } from "./stats.ts";
import type { ToldHit, Undone } from "./undone.ts";

/** What can be asked. `open` unseals, which takes the keys. */
export type ReadQuestion =
  | {
      readonly kind: "search";
      readonly filters: SearchFilters;
      readonly limit: number;
      /** By the log's name: only records with a smaller index. */
      readonly before?: Readonly<Record<string, number>>;
    }
  | { readonly kind: "show"; readonly request: string; readonly open: boolean }
  | { readonly kind: "run"; readonly run: string; readonly open: boolean }
  | { readonly kind: "stats"; readonly filters: StatsFilters }
  | { readonly kind: "overview"; readonly filters: OverviewFilters }
  | { readonly kind: "runs"; readonly filters: RunListFilters }
  | { readonly kind: "prove"; readonly id: string }
  /** Leaves of one log from an index on. */
  | { readonly kind: "range"; readonly log: string; readonly from: number; readonly count: number };

export interface ReadAnswers {
  readonly search: { readonly hits: readonly ToldHit[]; readonly notices: readonly string[] };
  readonly show: {
    readonly records: readonly Shown[];
    /** What undid its statements, by log and leaf index: "<log> <index>". */
    readonly undone: Readonly<Record<string, Undone>>;
  };
  readonly run: { readonly story: RunStory; readonly notices: readonly string[] };
  readonly stats: { readonly stats: Stats; readonly notices: readonly string[] };
  readonly overview: Overview;
  readonly runs: { readonly runs: readonly RunSummary[]; readonly notices: readonly string[] };
  readonly prove: Proven;
  readonly range: { readonly entries: readonly RangeEntry[] };
}

/** Who asks, as the record shows it. */
export interface ReadBy {
  readonly subject: string;
  readonly issuer: string;
  readonly kind: string;
  readonly groups: readonly string[];
}

export interface AuditReaderSettings {
  /** Folder of the logs (`audit.dir`): all logs in it are read. */
  readonly dir: string;
  /** Folder of the keys; null: nothing can be unsealed and no known value searched. */
  readonly keys: string | null;
  /** A question that takes longer is given up. */
  readonly timeoutMs?: number;
  /** The thread ends when nothing was asked for so long (milliseconds; default 30 s); the next question starts another. */
  readonly idleMs?: number;
}

export interface AuditReader {
  /**
   * Records the question, waits until that is with the operating system, and answers it. Rejects with AuditUnavailable (nothing was
   * read), and with AuditReadError.
   */
  ask<Q extends ReadQuestion>(by: ReadBy, question: Q): Promise<ReadAnswers[Q["kind"]]>;
  close(): Promise<void>;
}

/** The question was recorded and could not be answered. */
export class AuditReadError extends Error {
  override readonly name = "AuditReadError";
}

export interface ReadJob {
  readonly id: number;
  readonly question: ReadQuestion;
}
export type ReadReply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly problem: string };

/** At most this many questions wait: more are refused, so that a flood of them costs bounded memory. */
const maxWaiting = 32;

/** Starts the reader. Questions are answered one after the other. */
export function startAuditReader(log: AuditLog, settings: AuditReaderSettings): AuditReader {
  const { timeoutMs = 60_000, idleMs = 30_000 } = settings;
  const waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  let next = 0;
  let idle: NodeJS.Timeout | null = null;
  const failAll = (text: string): void => {
    for (const { reject } of waiting.values()) reject(new AuditReadError(text));
    waiting.clear();
  };
  /** The thread has work until its last answer, also to questions that were given up. */
  let unanswered = 0;
  const restLater = (): void => {
    if (idle !== null) clearTimeout(idle);
    idle = unanswered > 0 ? null : setTimeout(() => background.rest("end"), idleMs).unref();
  };
  const background = startBackground<ReadReply>({
    file: "./reader-worker",
    base: import.meta.url,
    name: "audit-reader",
    data: settings,
    onDemand: true,
    onMessage: (reply) => {
      unanswered--;
      restLater();
      const found = waiting.get(reply.id);
      waiting.delete(reply.id);
      if ("problem" in reply) found?.reject(new AuditReadError(reply.problem));
      else found?.resolve(reply.answer);
    },
    onProblem: (text) => {
      unanswered = 0;
      failAll(`the audit log cannot be read: ${text}`);
    },
  });
  return {
    async ask<Q extends ReadQuestion>(by: ReadBy, question: Q) {
      if (waiting.size >= maxWaiting) throw new AuditReadError("too many questions wait: ask again later");
      log.event("admin.action", {
        action: `audit.${question.kind}`,
        principal: by,
        question: shown(question),
      });
      await new Promise<void>((auditSafe, auditFailed) =>
        log.whenSafe("process", { auditSafe, auditFailed }),
      );
      const id = ++next;
      const answer = await new Promise<unknown>((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(id);
          reject(new AuditReadError("the question took too long: narrow it"));
        }, timeoutMs);
        timer.unref();
        const done = (then: () => void) => {
          clearTimeout(timer);
          then();
        };
        waiting.set(id, {
          resolve: (value) => done(() => resolve(value)),
          reject: (error) => done(() => reject(error)),
        });
        unanswered++;
        restLater();
        background.post({ id, question } satisfies ReadJob);
      });
      return answer as ReadAnswers[Q["kind"]];
    },
    async close() {
      if (idle !== null) clearTimeout(idle);
      failAll("the reader is closed");
      await background.close("end");
    },
  };
}

/** A value that is searched for is personal: that one was asked for is recorded, not which. */
function shown(question: ReadQuestion): unknown {
  if (question.kind !== "search" || question.filters.value === undefined) return question;
  return { ...question, filters: { ...question.filters, value: "(not recorded)" } };
}
