/** Statements as sentences: "agent-support for jane@example.com read 3 rows of public.customers (email masked)". */
import type { Claimed, OutcomeStatus, Verdict, Who } from "../lib/types.ts";
import type { Filter } from "./query.ts";

export type Tone = "plain" | "who" | "object" | "count" | "good" | "bad" | "wait" | "masked" | "faint";

/** A piece of a sentence; `find` leads to the statements that have it in common. */
export interface Piece {
  readonly text: string;
  readonly tone: Tone;
  readonly find?: readonly [Filter, string];
}

/** What a sentence is made from. Hits of a search have it, steps of a run too. */
export interface Told {
  readonly principal: Pick<Who, "subject" | "email" | "kind" | "actor">;
  readonly claimed: Claimed;
  readonly database: string;
  /** PostgreSQL's command tag; null: not known. */
  readonly command: string | null;
  /** null: the record is no statement. */
  readonly verdict: Verdict | null;
  readonly rule: string | null;
  readonly code: string | null;
  /** null: not analysed. */
  readonly reads: readonly string[] | null;
  readonly writes: readonly string[] | null;
  readonly masked: readonly string[];
  /** null: no outcome on the record yet. */
  readonly status: OutcomeStatus | null;
  readonly sqlstate: string | null;
  readonly rows: number | null;
  readonly rowsAffected: number | null;
}

function plain(text: string): Piece {
  return { text, tone: "plain" };
}

const whole = new Intl.NumberFormat("en");

export function rowsText(count: number): string {
  return `${whole.format(count)} row${count === 1 ? "" : "s"}`;
}

/** The sentence, who included; `claims`: also what the caller says it is. */
export function tell(hit: Told, claims = true): readonly Piece[] {
  return [...whoPieces(claims ? hit : { ...hit, claimed: {} }), plain(" "), ...tellDeed(hit)];
}

/** Who it was: the actor before the person on whose behalf it acts. */
export function whoPieces({ principal, claimed }: Pick<Told, "principal" | "claimed">): readonly Piece[] {
  const name = principal.email ?? principal.subject;
  const find: Piece["find"] = ["subject", principal.subject];
  const actor = principal.actor[0]?.subject;
  if (actor !== undefined)
    return [{ text: actor, tone: "who", find }, plain(" for "), { text: name, tone: "plain", find }];
  const says = principal.kind === "human" ? undefined : claimed.agent;
  const person: Piece = { text: name, tone: "who", find };
  if (says === undefined || says === name || says === "") return [person];
  return [
    person,
    { text: " (says it is ", tone: "faint" },
    { text: says, tone: "faint", find: ["agent", says] },
    { text: ")", tone: "faint" },
  ];
}

/** What was done, or would have been, and how it ended. */
export function tellDeed(hit: Told): readonly Piece[] {
  const refused = hit.verdict === "deny" || hit.status === "denied";
  if (refused)
    return [
      refusal(hit),
      // People did not agree; the rule is only why they were asked.
      ...(hit.verdict === "approve" ? [] : byRule(hit)),
      plain(`: ${wish(hit)}`),
      ...objectPieces(hit),
    ];
  const held: readonly Piece[] =
    hit.verdict === "approve"
      ? [{ text: "after approval ", tone: "wait", find: ["verdict", "approve"] }]
      : [];
  switch (hit.status) {
    case null:
      return hit.verdict === "approve"
        ? [{ text: "waits for approval", tone: "wait" }, plain(`: ${wish(hit)}`), ...objectPieces(hit)]
        : [{ text: "has asked", tone: "faint" }, plain(`: ${wish(hit)}`), ...objectPieces(hit)];
    case "ok":
      return [...held, ...deed(hit)];
    case "error":
      return [
        ...held,
        { text: `failed with ${hit.sqlstate ?? "an error"}`, tone: "bad", find: ["status", "error"] },
        plain(`: ${wish(hit)}`),
        ...objectPieces(hit),
      ];
    case "cancelled":
    case "cut": {
      const word = hit.status === "cut" ? "was cut off" : "was cancelled";
      const after = hit.rows === null || hit.rows === 0 ? "" : ` after ${rowsText(hit.rows)}`;
      return [
        ...held,
        { text: `${word}${after}`, tone: "wait", find: ["status", hit.status] },
        plain(`: ${wish(hit)}`),
        ...objectPieces(hit),
      ];
    }
    default:
      return [
        ...held,
        { text: "ended unseen", tone: "wait", find: ["status", "unknown"] },
        plain(`: ${wish(hit)}`),
        ...objectPieces(hit),
      ];
  }
}

function refusal({ verdict, code }: Told): Piece {
  if (code === "APPROVAL_REQUIRED" || code === "NEEDS_APPROVAL")
    return { text: "was told that it needs approval", tone: "wait", find: ["verdict", "approve"] };
  const text = verdict === "approve" ? "was not approved" : "was denied";
  return { text, tone: "bad", find: ["verdict", verdict ?? "deny"] };
}

function byRule({ rule, code }: Told): readonly Piece[] {
  if (rule !== null) return [plain(" by "), { text: rule, tone: "object", find: ["rule", rule] }];
  return code === null ? [] : [plain(" "), { text: `(${code})`, tone: "faint" }];
}

/** What it did, as a word of the past. */
function verb(command: string, writes: readonly string[] | null): string {
  switch (command) {
    case "INSERT":
      return "added";
    case "UPDATE":
    case "MERGE":
      return "changed";
    case "DELETE":
      return "deleted";
    default:
      return writes !== null && writes.length > 0 ? "changed" : "read";
  }
}

const wishes: Readonly<Record<string, string>> = {
  INSERT: "adding to",
  UPDATE: "changing",
  MERGE: "changing",
  DELETE: "deleting from",
  SELECT: "reading",
};

/** What it wanted, for statements that did not get through. */
function wish(hit: Told): string {
  const known = wishes[hit.command ?? ""];
  const command = hit.command ?? "";
  if (known === undefined) return command === "" ? "a statement" : command;
  if (mainObjects(hit).length > 0)
    return `${hit.command === "SELECT" && (hit.writes?.length ?? 0) > 0 ? "writing" : known} `;
  return command;
}

function mainObjects({ reads, writes }: Told): readonly string[] {
  return writes !== null && writes.length > 0 ? writes : (reads ?? []);
}

const dataCommands = new Set(["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "FETCH"]);

function deed(hit: Told): readonly Piece[] {
  const command = hit.command ?? "";
  const objects = mainObjects(hit);
  const words = dataCommands.has(command);
  if (!words || objects.length === 0) {
    const ran: readonly Piece[] = [
      plain("ran "),
      { text: command === "" ? "a statement" : command, tone: "object" },
    ];
    const gave: readonly Piece[] =
      words && hit.rows !== null ? [plain(" and got "), { text: rowsText(hit.rows), tone: "count" }] : [];
    return [
      ...ran,
      ...(words || objects.length === 0 ? [] : [plain(" on "), ...names(objects)]),
      ...gave,
      ...maskedPieces(hit),
    ];
  }
  const doing = verb(command, hit.writes);
  const count = doing === "read" ? hit.rows : (hit.rowsAffected ?? hit.rows);
  const relation: Readonly<Record<string, string>> = {
    read: "of",
    added: "to",
    changed: "in",
    deleted: "from",
  };
  const counted: readonly Piece[] =
    count === null ? [] : [{ text: rowsText(count), tone: "count" }, plain(` ${relation[doing] ?? "of"} `)];
  return [plain(`${doing} `), ...counted, ...names(objects), ...maskedPieces(hit)];
}

/** What it is about, for sentences that do not count. */
function objectPieces(hit: Told): readonly Piece[] {
  const objects = mainObjects(hit);
  if (objects.length === 0) return [];
  return wishes[hit.command ?? ""] === undefined ? [plain(" on "), ...names(objects)] : names(objects);
}

function names(objects: readonly string[]): readonly Piece[] {
  const shown = objects.slice(0, 3).flatMap((name, at): Piece[] => {
    const piece: Piece = { text: short(name), tone: "object", find: ["table", name] };
    if (at === 0) return [piece];
    return [plain(at === objects.length - 1 ? " and " : ", "), piece];
  });
  return objects.length > 3 ? [...shown, plain(` and ${objects.length - 3} more`)] : shown;
}

/** A name without the schema that everybody has. */
function short(name: string): string {
  return name.startsWith("public.") && name.length > 7 ? name.slice(7) : name;
}

function maskedPieces({ masked }: Told): readonly Piece[] {
  if (masked.length === 0) return [];
  const columns = [...new Set(masked.map((name) => name.slice(name.lastIndexOf(".") + 1)))];
  const shown =
    columns.length > 3
      ? `${columns.slice(0, 3).join(", ")} and ${columns.length - 3} more`
      : columns.join(", ");
  return [
    plain(" "),
    {
      text: `(${shown} masked)`,
      tone: "masked",
      ...(masked[0] === undefined ? {} : { find: ["column", masked[0]] as const }),
    },
  ];
}

/** The sentence as text, for screen readers and titles. */
export function pieceText(pieces: readonly Piece[]): string {
  return pieces.map(({ text }) => text).join("");
}
