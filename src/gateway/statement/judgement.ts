/** What the steps `analyse` and `decide` know of a session, and what they say of a statement. */
import type { DecisionContext, StatementContext } from "../../audit/index.ts";
import type { Durability } from "../../facts/audit.ts";
import type { MaskPlan, StatementFacts, Touched } from "../../facts/effects.ts";
import type { Principal } from "../../facts/principal.ts";
import type { DetectionSettings, NameMask } from "../../masking/index.ts";
import type {
  Budget,
  BudgetKeeper,
  CompiledPolicy,
  Estimate,
  PolicyDecision,
  SessionFacts,
} from "../../policy/index.ts";
import type { Renames, TreeText } from "../../sql/index.ts";
import { mustBeHardened } from "../analyst/exposure.ts";
import type { Analyst, View } from "../analyst/index.ts";
import type { AnswerCache, Judging } from "../analyst/registry.ts";
import type { ApprovalDesk } from "../hold/desk.ts";
import type { AuthenticatedClient } from "../ports.ts";
import type { DatabaseSettings, LoginSettings } from "../settings.ts";
import type { OwnChanges, Reach } from "./changes.ts";
import { fresh, type RefusalMemory, type Remembered } from "./refusals.ts";
import type { Reason } from "./state.ts";

/** The server's own error for a text that it was asked about. */
export interface ServerRefusal {
  readonly sqlstate: string;
  readonly message: string;
  /** All fields of the ErrorResponse. */
  readonly fields: ReadonlyMap<string, string>;
}

/** What the server said of one text. */
export type Answer =
  | { readonly kind: "touched"; readonly touched: Touched }
  | { readonly kind: "refused"; readonly error: ServerRefusal }
  /** null: the planner would not say. */
  | { readonly kind: "estimate"; readonly estimate: Estimate | null };

/** What is known and decided of one statement in one session. */
export interface Judgement {
  /** What it was judged by; null: it was refused before anything was asked. */
  readonly view: View | null;
  /** The same as long as the session's view, settings and objects are. */
  readonly stand: number;
  readonly inTransaction: boolean;
  /** Nothing in it depends on the moment or on names: it holds for equal statements, too. */
  readonly reusable: boolean;
  readonly decision: PolicyDecision | null;
  /** Rates that it counts against. */
  readonly budgets: readonly Budget[];
  /** Parameters whose values are lists: each of what they hold counts against the budgets of `use: equality`. */
  readonly lists: readonly number[];
  readonly durability: Durability;
  /** It may run once people have agreed, and then only; `refusal` says so. */
  readonly awaits: boolean;
  /** null: it may run. */
  readonly refusal: Reason | null;
  readonly statementRecord: StatementContext;
  readonly decisionRecord: DecisionContext;
  /** How its rows are masked; null: they pass as they are. */
  readonly plan: MaskPlan | null;
  /** Which of its columns are looked into for personal data, besides; null: none. */
  readonly watched: Watched | null;
  /** Names of columns that its rows must not tell; null: they could not. */
  readonly names: NameMask | null;
  /** Parameters that such a name is compared with by LIKE. */
  readonly patterns: readonly number[];
  /** What RowDescription must say; null: not known, and nothing depends on it. */
  readonly outputs: Touched["outputs"];
  /** Columns that are masked, for the record. */
  readonly masked: readonly string[];
  readonly facts: StatementFacts;
  /** It reads or writes what is protected: errors and notices may tell. */
  readonly scrub: boolean;
  readonly after: Aftermath;
  /** What the server said of it and of the statements that it names, one entry for each of their texts. */
  readonly touched: readonly Touched[];
}

const strength = { process: 1, disk: 2, strict: 3 } as const satisfies Record<Durability, number>;

/** The one that promises more. */
export function stronger(a: Durability, b: Durability): Durability {
  return strength[a] > strength[b] ? a : b;
}

/** Whether it was proven to change nothing, not even by what it calls. */
export function harmless({ facts, decision }: Judgement): boolean {
  return decision !== null && facts.effects.every((effect) => effect === "read");
}

/** How durable the record of the statements of one message must be, and whether only their answer has to wait for it. */
export function askDurability(
  walk: { readonly durability: Durability; asked: Durability | null; beside: boolean },
  judgements: readonly Judgement[],
): void {
  let level = walk.durability;
  // What has no effects may be a COMMIT: of that only its neighbours know what it commits.
  let reads = judgements.length > 0;
  for (const judgement of judgements) {
    level = stronger(level, judgement.durability);
    reads &&= judgement.facts.effects.length > 0 && harmless(judgement);
  }
  walk.asked = level;
  walk.beside = reads;
}

/** What may be different behind a statement. */
export interface Aftermath {
  /** Settings that decide what names mean. */
  readonly settings: boolean;
  /** Objects of the database, or locks on them. */
  readonly objects: boolean;
  /** What bears another name, or may. */
  readonly renames: Renames;
  /** Objects that only this session will ever see. */
  readonly temporary: boolean;
  /** The end of a transaction, or a return to a savepoint: settings and objects may be what they were before. */
  readonly ends: boolean;
  /** The end of a transaction that may bring its changes into force. */
  readonly commits: boolean;
  /** What the changes of objects are confined to. */
  readonly within: Reach;
  /** It passed only because the policy could refuse nothing. */
  readonly loosens: boolean;
}

/** Looking into the values of columns without a label (`detect:` of the policy). */
export interface Watched {
  readonly detect: DetectionSettings;
  /** One for each output: it has a label, whether it is masked for this principal or not. */
  readonly labelled: readonly boolean[];
}

/** A text that the server must be asked about before its statement can be judged. */
export interface Question {
  readonly key: string;
  readonly text: string;
  readonly types: readonly number[];
  readonly kind: TreeText["kind"] | "estimate";
  /** Calls of set_config that were read and found harmless. */
  readonly settledSettings: number;
}

/** One session's share of judging; there is none where no policy is loaded. */
export interface Guarding {
  readonly id: string;
  readonly analyst: Analyst;
  readonly policies: { readonly current: CompiledPolicy };
  readonly budgets: BudgetKeeper;
  /** Who asks people; null: nobody can be asked, and what needs approval is refused. */
  readonly desk: ApprovalDesk | null;
  readonly memory: RefusalMemory;
  /** What was refused to the principal of late, and in this session. */
  readonly remembered: Remembered;
  readonly refusals: ReturnType<typeof fresh>;
  /** With the groups that it has for a while. */
  principal: Principal;
  /** When the first of them ends: milliseconds since the epoch; null: none does. */
  grantsEnd: number | null;
  /** One has ended, or may have. */
  onGrantsEnd(): void;
  readonly session: SessionFacts;
  /** Its transactions are READ ONLY: no rule lets the principal change anything. */
  readOnly: boolean;
  /** Nothing runs unless the database itself refuses the protected columns to its login. */
  readonly hardened: boolean;
  /** Statements are analysed only where the policy asks for it. */
  readonly lazy: boolean;
  /** Objects that it and other sessions change. */
  readonly changes: OwnChanges;
  /** Answers that may be used again, shared by all sessions of one login. */
  readonly answers: AnswerCache;
  /** Grows whenever judgements of this session no longer hold. */
  stand: number;
  view: View | null;
  /** search_path, when it is not the login's own. */
  searchPath: string | null;
  /** The role that SET ROLE took on; null: the login itself. */
  role: string | null;
  /** A setting that decides what names mean may have changed: the server tells before the next analysis. */
  uncertain: boolean;
  /** Objects or locks that only this session sees, until its transaction or the session itself ends. */
  local: "none" | "transaction" | "session";
  /** The catalog as this session sees it, while `local`; null: to be loaded. */
  localView: View | null;
  /** What all sessions saw when it was loaded: when that changes, it is loaded again. */
  localBase: View | null;
  /**
   * What all sessions saw once the message that waits had come: it is judged by that, though others change the catalog without a pause.
   * null: nothing was loaded for it.
   */
  awaited: View | null;
  /** Others' changes (changes.ts) when the server was first asked about the message that waits; null: it was not asked. */
  asked: number | null;
  /** The same for the message that was judged last; without questions, when it was judged. */
  asof: number;
  /** Judgements by shape or text, kept while `stand` is the same. */
  readonly judged: Map<string, Judgement>;
  /** Answers for the message that waits. */
  readonly fresh: Map<string, Answer>;
  /** The message that waits can only be judged by what the session itself sees, where that differs. */
  alone: boolean;
  /** How often the message that waits has been looked at. */
  attempts: number;
  /** The server cannot be asked: what to say of the message that waits. */
  unavailable: Reason | null;
  /** The client has cancelled the message that waits: it is not going to be sent. */
  cancelled: boolean;
  /** Number of the last batch that touches something protected: until it is over, what the server says is scrubbed. -1: none. */
  scrub: number;
  /** Names may stand for something else since the catalog was loaded that the session was judged by last. */
  renamed: Renames;
  /** Number of the last batch that changed or locked objects in a transaction that is under way; -1: none. */
  ddl: number;
  /** The same for settings, which the transaction's end may change back. */
  settings: number;
  /** Something ran that passes only under a policy that can refuse nothing: under another one nothing runs any more. */
  loosened: boolean;
  /** A statement of batch `batch` begins or ends a transaction block, which the server has not yet told of. */
  block: { readonly batch: number; readonly open: boolean } | null;
}

/** What conditions may know of a session. */
export function sessionFacts(
  client: AuthenticatedClient,
  database: DatabaseSettings,
  login: LoginSettings,
): SessionFacts {
  return {
    database: database.name,
    role: login.user,
    application: client.application,
    clientIp: client.ip,
    via: client.via,
    tls: client.tls !== null,
    claimed: client.claimed,
  };
}

/** Makes a session's share. */
export function createGuarding(
  id: string,
  judging: Judging,
  client: AuthenticatedClient,
  database: DatabaseSettings,
  login: LoginSettings,
  readOnly: boolean,
  lazy: boolean,
  reported: ReadonlyMap<string, string>,
  desk: ApprovalDesk | null = null,
): Guarding {
  const { analyst, answers, changes } = judging.of(database, login);
  return {
    id,
    analyst,
    answers,
    changes: { shared: changes, settled: 0 },
    policies: judging.policies,
    budgets: judging.budgets,
    desk,
    principal: client.principal,
    memory: judging.memory,
    remembered: judging.memory.of(client.principal),
    refusals: fresh(),
    grantsEnd: null,
    onGrantsEnd: () => undefined,
    session: sessionFacts(client, database, login),
    readOnly,
    hardened: mustBeHardened(login),
    lazy,
    stand: 0,
    view: null,
    // The login's own may have changed since the gateway's own connection was made: the server tells (since PostgreSQL 18
    // unasked), lest names are looked up in two ways.
    searchPath: reported.get("search_path") ?? null,
    role: null,
    uncertain: !reported.has("search_path"),
    local: "none",
    localView: null,
    localBase: null,
    awaited: null,
    asked: null,
    asof: 0,
    judged: new Map(),
    fresh: new Map(),
    alone: false,
    attempts: 0,
    unavailable: null,
    cancelled: false,
    scrub: -1,
    renamed: null,
    ddl: -1,
    settings: -1,
    loosened: false,
    block: null,
  };
}

/** The session's judgements hold no longer. */
export function unsettle(guard: Guarding): void {
  guard.stand++;
  guard.judged.clear();
}
