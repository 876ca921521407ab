/** Runs the script over real connections and tells it, one line a statement. */
import type { Client } from "pg";
import { loadPg } from "./packages.ts";
import type { Person } from "./people.ts";
import type { Expectation, Held, Step } from "./script.ts";

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Characters a line may have. */
  readonly width: number;
  /** A fresh token of a person. */
  token(person: Person): Promise<string>;
  /** Decides what waits, as that person. Rejects when the gateway does not take it. */
  decide(held: Held, approval: string): Promise<void>;
}

/** What came of a step, by what the client saw. */
export type StepResult =
  | { readonly outcome: "ok"; readonly text: string }
  | {
      readonly outcome: "error";
      readonly sqlstate: string;
      readonly by: "PostgreSQL" | "Postern";
      readonly text: string;
    };

/**
 * Runs the steps in order, each person on a session of its own. `say` gets the lines.
 * Gives the number of steps that went otherwise than expected. Rejects when a session cannot be opened.
 */
export async function tellStory(
  steps: readonly Step[],
  target: Target,
  say: (line: string) => void,
): Promise<number> {
  const sessions = new Map<string, Client>();
  let title = "";
  let surprises = 0;
  try {
    for (const step of steps) {
      if (step.title !== title) say(`  -- ${step.title}`);
      title = step.title;
      const client = sessions.get(step.as.client) ?? (await connect(step.as, target));
      sessions.set(step.as.client, client);
      const result =
        step.held === undefined
          ? await runStep(step, client)
          : await runHeld(step, step.held, client, target, say);
      const asExpected = fits(result, step.expect);
      if (!asExpected) surprises++;
      say(
        line(step, result, target.width) +
          (asExpected ? "" : `  <-- UNEXPECTED, wanted ${wanted(step.expect)}`),
      );
    }
  } finally {
    for (const client of sessions.values()) await client.end().catch(() => {});
  }
  return surprises;
}

async function connect(person: Person, target: Target): Promise<Client> {
  const pg = await loadPg();
  const options = claimed(person);
  const client = new pg.Client({
    host: target.host,
    port: target.port,
    database: target.database,
    user: person.client,
    password: await target.token(person),
    ssl: false,
    application_name: "postern-demo",
    ...(options === undefined ? {} : { options }),
  });
  // A server that goes away mid-story fails the statement; without a listener it would end the process too.
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** What an agent says of itself, as start-up options; the trail keeps it apart from what the token proves. People claim nothing. */
function claimed(person: Person): string | undefined {
  if (person.intent === undefined) return undefined;
  const values = {
    agent: person.client,
    model: "scripted-1",
    run: `${person.client}-${process.pid}`,
    intent: person.intent,
  };
  // PostgreSQL splits `options` at spaces unless a backslash stands before them (pg_split_opts).
  return Object.entries(values)
    .map(([name, value]) => `-c postern.${name}=${value.replaceAll(/[\\ ]/g, "\\$&")}`)
    .join(" ");
}

async function runStep(step: Step, client: Client): Promise<StepResult> {
  try {
    return { outcome: "ok", text: await step.run(client) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { code, routine } = error as Error & { code?: unknown; routine?: unknown };
    // PostgreSQL names the routine that raised an error (field R); Postern's own errors have none.
    const by = typeof routine === "string" ? "PostgreSQL" : "Postern";
    return { outcome: "error", sqlstate: typeof code === "string" ? code : "?", by, text: error.message };
  }
}

/** How long a statement may take to be held, and then to be decided. */
const heldMs = 20_000;

/** Runs a step that waits for a person, and lets the person decide. */
async function runHeld(
  step: Step,
  held: Held,
  client: Client,
  target: Target,
  say: (line: string) => void,
): Promise<StepResult> {
  const asked = Promise.withResolvers<string>();
  const timer = setTimeout(() => asked.reject(new Error("nobody was asked")), heldMs);
  const listen = (notice: { detail?: string | undefined }) => {
    const id = approvalOf(notice.detail);
    if (id !== null) asked.resolve(id);
  };
  client.on("notice", listen);
  try {
    const running = runStep(step, client);
    // What is refused at once was not held.
    const first = await Promise.race([asked.promise, running]);
    if (typeof first !== "string") return first;
    const room = Math.max(target.width, 160) - 60;
    say(`${now()}  ${step.as.client.padEnd(13)}  held     ${cut(step.sql, room)} -> waits for a person`);
    await target.decide(held, first);
    const verdict = held.verdict === "approve" ? "approved" : "denied";
    say(`${now()}  ${held.by.client.padEnd(13)}  ${verdict.padEnd(8)} ${held.by.subject}: "${held.reason}"`);
    return await running;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { outcome: "error", sqlstate: "?", by: "Postern", text: error.message };
  } finally {
    clearTimeout(timer);
    client.off("notice", listen);
  }
}

/** The approval that a NOTICE of Postern's names (SPEC section 4); null: it is another notice. */
function approvalOf(detail: string | undefined): string | null {
  try {
    const { approval } = JSON.parse(detail ?? "") as { approval?: { id?: unknown } | null };
    return typeof approval?.id === "string" ? approval.id : null;
  } catch {
    return null;
  }
}

const now = () => new Date().toISOString().slice(11, 19);

function fits(result: StepResult, expect: Expectation): boolean {
  if (result.outcome === "ok" || expect.outcome === "ok") return result.outcome === expect.outcome;
  return result.sqlstate === expect.sqlstate && result.by === expect.by;
}

function wanted(expect: Expectation): string {
  return expect.outcome === "ok" ? "success" : `${expect.sqlstate} from ${expect.by}`;
}

/** Time, who, what came of it, statement, result; in a narrow terminal the line wraps rather than say nothing. */
function line(step: Step, result: StepResult, width: number): string {
  const time = now();
  const verdict = result.outcome === "ok" ? "ok" : result.by === "Postern" ? "refused" : "failed";
  const text = result.outcome === "ok" ? result.text : `${result.sqlstate} ${result.text} (${result.by})`;
  const head = `${time}  ${step.as.client.padEnd(13)}  ${verdict.padEnd(7)}  `;
  const room = Math.max(width, 160) - head.length - 4;
  const sql = cut(step.sql, Math.max(Math.floor(room / 2), room - text.length));
  return `${head}${sql} -> ${cut(text, room - sql.length)}`;
}

/** At most `length` characters on one line. */
export function cut(text: string, length: number): string {
  const flat = text.replaceAll(/\s+/g, " ").trim();
  return flat.length <= length ? flat : `${flat.slice(0, length - 3)}...`;
}
