/**
 * Whether the audit log knows everything that the database ran: what the server's own log names under log_statement = all
 * (manual, "What to Log") is looked for among the intents of the same server process, in their order.
 */
import type { Intent } from "./trail.ts";

/** Put into `log_line_prefix`: process, client's address, application. */
export const logPrefix = "'postern-log %p %h %a: '";

export interface LoggedStatement {
  readonly pid: number;
  readonly application: string;
  /** "statement", "execute NAME", "fastpath function call". */
  readonly how: string;
  readonly text: string;
}

/** The statements that came by TCP, which is the way of the gateway: the runs' own queries use the socket. */
export function readServerLog(log: string): LoggedStatement[] {
  const found: LoggedStatement[] = [];
  const entries = log.split(/^postern-log /m).slice(1);
  for (const entry of entries) {
    // Lines behind the first begin with a tab of the log's own; others are what libraries say on standard error.
    const head =
      /^(\d+) 127\.0\.0\.1 (.*?): LOG: {2}(statement|execute [^\n]*?|fastpath function call): ([^\n]*(?:\n\t[^\n]*)*)/.exec(
        entry,
      );
    if (head === null) continue;
    const [, pid = "", application = "", how = "", text = ""] = head;
    // Lines behind the first begin with a tab of the log's own.
    found.push({
      pid: Number(pid),
      application,
      how,
      text: text.replace(/\n$/, "").replaceAll("\n\t", "\n"),
    });
  }
  return found;
}

export interface Coverage {
  readonly statements: number;
  /** The gateway's own: questions, catalog, resets. */
  readonly own: number;
  readonly missing: readonly LoggedStatement[];
}

/** Which logged statements have no intent. `intents` in the order of the audit log. */
export function covered(logged: readonly LoggedStatement[], intents: readonly Intent[]): Coverage {
  const requests = new Map<number, Intent[][]>();
  for (const intent of intents) {
    const of = requests.get(intent.backend) ?? [];
    const last = of.at(-1);
    if (last?.[0]?.request === intent.request) last.push(intent);
    else of.push([intent]);
    requests.set(intent.backend, of);
  }
  const reached = new Map<number, number>();
  const missing: LoggedStatement[] = [];
  let own = 0;
  for (const one of logged) {
    if (isOwn(one)) {
      own++;
      continue;
    }
    const of = requests.get(one.pid) ?? [];
    const from = reached.get(one.pid) ?? 0;
    let at = from;
    while (at < of.length && !tells(of[at] ?? [], one)) at++;
    if (at === of.length) missing.push(one);
    // An extended statement's intents are one for each Execute, and so are the lines of the log.
    else reached.set(one.pid, at + 1);
  }
  return { statements: logged.length - own, own, missing };
}

/** What is sent on a connection before it is used again. */
const resets = ["DISCARD ALL", "SELECT pg_catalog.current_setting('application_name'), pg_catalog."];

function isOwn({ application, how, text }: LoggedStatement): boolean {
  return (
    application === "postern:analysis" ||
    application.startsWith("postern-") ||
    /^execute (fetch from )?postern_/.test(how) ||
    (how === "statement" && resets.some((own) => text.startsWith(own)))
  );
}

/** The statements of one message say what was logged, and nothing is left but what is between statements. */
function tells(intents: readonly Intent[], { how, text }: LoggedStatement): boolean {
  if (how === "fastpath function call") return intents[0]?.protocol === "function";
  let at = 0;
  for (const { sql, stripped } of intents) {
    const rest = text.slice(at);
    const found = stripped ? matchStripped(rest, sql) : plainMatch(rest, sql);
    if (found === null || !empty(rest.slice(0, found.from))) return false;
    at += found.to;
  }
  return intents.length > 0 && empty(text.slice(at));
}

interface Found {
  readonly from: number;
  readonly to: number;
}

function plainMatch(text: string, sql: string): Found | null {
  const from = text.indexOf(sql);
  return from < 0 ? null : { from, to: from + sql.length };
}

/** A statement that holds a password stands in the audit log without its literals. */
function matchStripped(text: string, sql: string): Found | null {
  const pattern = sql
    .split("?")
    .map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(/\s+/g, "\\s+"))
    .join("[\\s\\S]*?");
  const found = new RegExp(pattern, "i").exec(text);
  return found === null ? null : { from: found.index, to: text.length };
}

function empty(text: string): boolean {
  let left = text.replaceAll(/--[^\n]*/g, "");
  for (let before = ""; before !== left; ) {
    before = left;
    left = left.replaceAll(/\/\*(?:(?!\/\*|\*\/)[\s\S])*\*\//g, " ");
  }
  return /^[\s;]*$/.test(left);
}
