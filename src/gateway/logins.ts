/** Which upstream login a principal gets, and what the server is told about the session. */
import type { Principal } from "../facts/principal.ts";
import type { DatabaseSettings, LoginSettings } from "./settings.ts";

/** First login one of whose groups the principal has; null: refused. A group may be written "provider:group". */
export function chooseLogin(
  database: Pick<DatabaseSettings, "logins">,
  principal: Principal,
): LoginSettings | null {
  const plain = new Set(principal.groups);
  const qualified = new Set(principal.groups.map((group) => `${principal.provider}:${group}`));
  return (
    database.logins.find((login) => login.groups.some((group) => plain.has(group) || qualified.has(group))) ??
    null
  );
}

/** PostgreSQL cuts names, application_name among them, at NAMEDATALEN - 1 bytes. */
const maxName = 63;

/**
 * Settings for the start-up packet: what the client asked for and may have, and the session facts that the gateway sets
 * (SPEC.md section 4). In the start-up packet they survive RESET ALL and DISCARD ALL.
 */
export function startupParameters(
  principal: Principal,
  requested: ReadonlyMap<string, string>,
): Map<string, string> {
  const who = principal.subject.replace(/[^\x20-\x7e]/g, "?");
  return new Map([...requested, ...factParameters(principal, `postern:${who}`.slice(0, maxName))]);
}

/** The session facts alone, and the name under which the server shows the connection. */
export function factParameters(
  { subject, groups, kind }: Pick<Principal, "subject" | "groups" | "kind">,
  application: string,
): Map<string, string> {
  return new Map([
    ["application_name", application],
    ["postern.subject", clean(subject)],
    ["postern.groups", clean(JSON.stringify(groups))],
    ["postern.kind", kind],
  ]);
}

/** The gateway's clock ends a statement first; the server's own only where there is no gateway any more. */
const backstopMs = 5_000;

/** Sets `statement_timeout` where no rule lets a statement run for ever; what the client asked for stays when it is shorter. */
export function setBackstop(parameters: Map<string, string>, ceilingMs: number | null): void {
  if (ceilingMs === null) return;
  const limit = Math.min(ceilingMs + backstopMs, 0x7fffffff);
  // Without a unit the value is in milliseconds; with one it is the client's to know, and the gateway's clock holds in any case.
  const asked = parameters.get("statement_timeout");
  if (asked !== undefined && !(/^\d{1,10}$/.test(asked) && (Number(asked) === 0 || Number(asked) > limit)))
    return;
  parameters.set("statement_timeout", String(limit));
}

/** A value of a start-up packet ends at its NUL byte. */
function clean(value: string): string {
  return value.replaceAll("\0", "");
}
