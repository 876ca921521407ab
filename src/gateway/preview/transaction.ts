/** The transaction of a preview: its limits, and what its answers mean. */
import type { Approval } from "../../facts/approval.ts";
import type { Talk } from "../analyst/talk.ts";
import { literal } from "../hold/sqltext.ts";
import { type Ran, runOne } from "./run.ts";

const lockMs = 1_000;
const statementMs = 5_000;
/** For everything: connecting, running, looking, rolling back. */
export const wholeMs = 20_000;

/** Opens the transaction, in which names and rights are as in the session that asked. Every setting is gone with it. */
export function beginText({ searchPath, role }: Pick<Approval, "searchPath" | "role">): string[] {
  const settings: [string, string][] = [
    ["lock_timeout", String(lockMs)],
    ["statement_timeout", String(statementMs)],
    ["idle_in_transaction_session_timeout", String(wholeMs)],
  ];
  if (searchPath !== null) settings.push(["search_path", searchPath]);
  if (role !== undefined) settings.push(["role", role]);
  return [
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    ...settings.map(([name, value]) => `SELECT pg_catalog.set_config('${name}', ${literal(value)}, true)`),
  ];
}

/** Runs a statement of the preview's own. Rejects when the server refuses it. */
export async function must(talk: Talk, text: string): Promise<void> {
  const { error } = await runOne(talk, text);
  if (error !== null) throw new Error(`the preview's own statement failed (SQLSTATE ${error.sqlstate})`);
}

/** Rows that a statement changed, as its tag says; null: it changes none. */
export function affected(tag: string | null): number | null {
  const match = /^(?:INSERT \d+|UPDATE|DELETE|MERGE) (\d+)$/.exec(tag ?? "");
  return match === null ? null : Number(match[1]);
}

/** What an error means, without its text. */
export function explain({ sqlstate, about }: NonNullable<Ran["error"]>): string {
  const what =
    sqlstate === "55P03"
      ? "it waits for a lock that another session holds"
      : sqlstate === "57014"
        ? `it takes longer than ${statementMs / 1000} s`
        : `PostgreSQL refuses it (SQLSTATE ${sqlstate})`;
  return about === null ? what : `${what}: ${about}`;
}
