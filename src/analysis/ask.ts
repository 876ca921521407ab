/**
 * Asking the server what a statement means, as bytes: settings that make it print the analysed and rewritten query tree, then
 * Parse and Describe of the statement, which runs nothing (PostgreSQL manual, "Developer Options" and "Extended Query";
 * MASKING.md section 3.1). One round trip. The answer is read by AskReader.
 */
import { encodeClose, encodeDescribe, encodeFrontend, flush, sync } from "../protocol/index.ts";

/**
 * Over what the question goes:
 *
 * - `connection`: a connection for nothing else, outside a transaction. Uses the unnamed statement and portal. Settings hold
 *   for the transaction that the Sync ends.
 * - `session`: a client's session outside a transaction block, with nothing of the client's under way. Leaves the client's
 *   unnamed statement and portal alone; settings as above.
 * - `transaction`: a client's session inside a transaction block, or between messages of a pipeline that no Sync has ended.
 *   Every setting gets the value back that it had.
 */
export type AskForm = "connection" | "session" | "transaction";

export interface Ask {
  /** Exactly one statement. */
  readonly text: string;
  /** Types that the client's Parse gives to its parameters; 0 or missing: the server infers. */
  readonly parameterTypes?: readonly number[];
  /** Value of search_path to analyse under; null: as the connection has it. */
  readonly searchPath: string | null;
  /** Other settings that meaning depends on (role, datestyle, timezone, …), in order. */
  readonly settings?: readonly (readonly [name: string, value: string])[];
  /** Keep the tree out of the server's log; only where the login may set log_min_messages (probe.ts), or the question fails. */
  readonly quietLog: boolean;
  /** Milliseconds that the analysis waits for a table's lock. Default 1,000. */
  readonly lockTimeoutMs?: number;
  /** Milliseconds that it takes at most. Default 5,000. */
  readonly statementTimeoutMs?: number;
}

/** Names of our own statements and portal in a client's session; statements of clients may not begin with "postern_". */
export const askNames = {
  set: "postern_ask_set",
  statement: "postern_ask",
  reset: "postern_ask_reset",
  setPortal: "postern_ask_set",
  resetPortal: "postern_ask_reset",
} as const;
/** Sent in a client's session before the question, as one that failed could not clear up behind itself, and behind it. */
const closes: readonly Buffer[] = [
  ...[askNames.set, askNames.statement, askNames.reset].map((name) => encodeClose("statement", name)),
  ...[askNames.setPortal, askNames.resetPortal].map((name) => encodeClose("portal", name)),
];
/** CloseComplete messages in an answer without errors. */
export const askCloses: number = 2 * closes.length;

/** Object identifier of type text. */
const textType = 25;

/**
 * The question as bytes to send.
 * @param end "sync" ends the question with ReadyForQuery; "flush" (form `transaction` only) leaves the pipeline open: then
 *   what the client sends next is in the same transaction, and locks that the analysis took still hold.
 * Throws ProtocolError when the text, a setting's name or its value holds a NUL.
 */
export function encodeAsk(ask: Ask, form: AskForm = "connection", end: "sync" | "flush" = "sync"): Buffer {
  const settings = askSettings(ask);
  // Reading a row's or array's literal may run a domain's checks: what they write must not last. A block's savepoint sees to it there.
  if (form !== "transaction") settings.push(["transaction_read_only", "on"]);
  const { before, behind } = frameOf(settings, form);
  const name = form === "connection" ? "" : askNames.statement;
  return Buffer.concat([
    before,
    parse(name, ask.text, [...(ask.parameterTypes ?? [])]),
    encodeDescribe("statement", name),
    behind,
    form === "transaction" && end === "flush" ? flush : sync,
  ]);
}

/** What stands around every question under the same settings. */
interface AskFrame {
  readonly before: Buffer;
  readonly behind: Buffer;
}
/** Sessions ask under few different settings, and putting them into bytes takes longer than all the rest. */
const frames = new Map<string, AskFrame>();
const maxFrames = 256;

function frameOf(settings: readonly Setting[], form: AskForm): AskFrame {
  const key = JSON.stringify([form, settings]);
  const known = frames.get(key);
  if (known !== undefined) return known;
  const frame = encodeFrame(settings, form);
  if (frames.size >= maxFrames) frames.clear();
  frames.set(key, frame);
  return frame;
}

function encodeFrame(settings: readonly Setting[], form: AskForm): AskFrame {
  switch (form) {
    case "connection":
      return { before: Buffer.concat(runSettings("", "", settings)), behind: Buffer.alloc(0) };
    case "session":
      return {
        before: Buffer.concat([...closes, ...runSettings(askNames.set, askNames.setPortal, settings)]),
        behind: Buffer.concat(closes),
      };
    case "transaction":
      return {
        before: Buffer.concat([...closes, ...saveSettings(settings)]),
        behind: Buffer.concat([...restoreSettings(settings), ...closes]),
      };
  }
}

type Setting = readonly [name: string, value: string];

/** Each name once, ours last: a name that was set twice could not be given its first value back. */
function askSettings(ask: Ask): Setting[] {
  const all: Setting[] = [
    ...(ask.searchPath === null ? [] : [["search_path", ask.searchPath] as const]),
    ...(ask.settings ?? []),
    ...analysisSettings(ask),
    ["client_min_messages", "log"],
    ["debug_print_parse", "off"],
    ["debug_pretty_print", "off"],
    ["debug_print_rewritten", "on"],
  ];
  return [
    ...new Map(
      all.map(([name, value]) => [name.toLowerCase(), [name.toLowerCase(), value] as const]),
    ).values(),
  ];
}

/** Settings of anything that we ask beside the client's own statements. */
export function analysisSettings(
  ask: Pick<Ask, "quietLog" | "lockTimeoutMs" | "statementTimeoutMs">,
): Setting[] {
  return [
    // LOG ranks above ERROR in the server's log: only FATAL keeps it out.
    ...(ask.quietLog ? [["log_min_messages", "fatal"] as const] : []),
    ["lock_timeout", milliseconds(ask.lockTimeoutMs ?? 1_000)],
    ["statement_timeout", milliseconds(ask.statementTimeoutMs ?? 5_000)],
  ];
}

/** 0 would mean no limit. */
function milliseconds(value: number): string {
  return `${Math.min(Math.max(Math.ceil(value), 1), 0x7fffffff)}ms`;
}

/** Sets everything until the transaction ends: one statement, values as parameters. */
export function runSettings(statement: string, portal: string, settings: readonly Setting[]): Buffer[] {
  const calls = settings.map((_, i) => `pg_catalog.set_config($${2 * i + 1}, $${2 * i + 2}, true)`);
  return run(statement, portal, calls, settings.flat());
}

/** As runSettings(), and keeps the values from before under names of our own. */
function saveSettings(settings: readonly Setting[]): Buffer[] {
  const calls = settings.flatMap((_, i) => [
    `pg_catalog.set_config(pg_catalog.concat('postern.saved_', $${2 * i + 1}), pg_catalog.current_setting($${2 * i + 1}), true)`,
    `pg_catalog.set_config($${2 * i + 1}, $${2 * i + 2}, true)`,
  ]);
  return run(askNames.set, askNames.setPortal, calls, settings.flat());
}

/** Gives every setting the value back that saveSettings() kept, in reverse order. */
function restoreSettings(settings: readonly Setting[]): Buffer[] {
  const names = settings.map(([name]) => name).reverse();
  const calls = names.map(
    (_, i) =>
      `pg_catalog.set_config($${i + 1}, pg_catalog.current_setting(pg_catalog.concat('postern.saved_', $${i + 1})), true)`,
  );
  return run(askNames.reset, askNames.resetPortal, calls, names);
}

function run(
  statement: string,
  portal: string,
  calls: readonly string[],
  values: readonly string[],
): Buffer[] {
  return [
    parse(
      statement,
      `select ${calls.join(", ")}`,
      values.map(() => textType),
    ),
    ...bindExecute(
      statement,
      portal,
      values.map((value) => Buffer.from(value)),
    ),
  ];
}

export function parse(name: string, text: string, parameterTypes: number[]): Buffer {
  return encodeFrontend({ type: "parse", name, text, bytes: Buffer.from(text), parameterTypes });
}

export function bindExecute(statement: string, portal: string, parameters: (Buffer | null)[]): Buffer[] {
  return [
    encodeFrontend({ type: "bind", portal, statement, parameterFormats: [], parameters, resultFormats: [] }),
    encodeFrontend({ type: "execute", portal, maxRows: 0 }),
  ];
}
