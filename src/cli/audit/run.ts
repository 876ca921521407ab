/** `postern audit run RUN_ID`: what one agent run did, from its first prompt to its last statement. */
import { AuditOpenError } from "../../audit/index.ts";
import type { ShapeLife } from "../../audit/read/evolution.ts";
import { type RunPass, type RunStatement, type RunStory, runStory } from "../../audit/read/run.ts";
import { readRun } from "../../audit/read/runs.ts";
import { printable, undoneText } from "../../audit/read/sentence.ts";
import { readArgs } from "../lib/args.ts";
import { findPlace, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit run RUN_ID [--open] [--json]

RUN_ID is the run the caller claimed, a session, a traceparent or its trace id.

      --open      unseal prompts, exact SQL and parameters, with the master key of this machine
      --keys DIR  the folder of the keys (default: as postern.yaml says; with --dir: "keys" beside the audit folder)
      --scan      read the log itself, not its index
      --json      the story as one JSON document
${placeUsage}
Prompts and names of agents are what the caller said of itself.
Exit code 0: told. 1: no record of such a run.
`;

export async function run(args: string[]): Promise<number> {
  const flag = { type: "boolean" } as const;
  const options = { ...placeOptions, open: flag, keys: { type: "string" }, scan: flag, json: flag } as const;
  const parsed = readArgs(args, usage, options, { least: 1, most: 1 });
  if (parsed === null) return 0;
  const { values } = parsed;
  const id = parsed.positionals[0] ?? "";
  const place = await findPlace(values, usage);
  const keys = values.open === true ? (values.keys ?? place.keys) : null;
  let found: ReturnType<typeof readRun>;
  try {
    found = readRun(place.logs, id, keys, values.scan === true);
  } catch (error) {
    if (!(error instanceof AuditOpenError)) throw error;
    process.stderr.write(`postern audit run: ${error.message}\n`);
    return 1;
  }
  for (const notice of found.notices) process.stderr.write(`postern audit run: ${notice}\n`);
  if (found.records.length === 0) {
    process.stderr.write(`postern audit run: no record of the run ${JSON.stringify(id)}\n`);
    return 1;
  }
  const story = runStory(id, found.records);
  process.stdout.write(values.json === true ? `${JSON.stringify(story)}\n` : tell(story));
  return 0;
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function tell(story: RunStory): string {
  const { statements, passes } = story;
  const span =
    story.first === null || story.last === null ? "" : `, ${short(story.first)} to ${short(story.last)}`;
  const lines = [
    `Run ${printable(story.run)}: ${plural(statements.length, "statement")} in ${plural(passes.length, "pass").replace("passs", "passes")}${span}`,
  ];
  for (const pass of passes) {
    lines.push("", ...heading(pass));
    for (const statement of statements) if (statement.pass === pass.pass) lines.push(...step(statement));
  }
  lines.push("", ...summary(story), ...evolution(story), "");
  return lines.join("\n");
}

function heading(pass: RunPass): string[] {
  const claims = Object.entries(pass.claimed).map(
    ([name, value]) => `${printable(name)} ${printable(value)}`,
  );
  const lines = [
    `Pass ${pass.pass}: ${printable(pass.subject ?? "somebody")} (${printable(pass.kind ?? "?")}), session ${printable(pass.session)}, ${plural(pass.statements, "statement")}`,
  ];
  if (claims.length > 0) lines.push(`  claims   ${claims.join(", ")}`);
  if (pass.prompt !== null)
    lines.push(
      `  prompt   ${pass.prompt === "(sealed)" ? "sealed: --open shows it" : printable(pass.prompt)}`,
    );
  return lines;
}

function step(s: RunStatement): string[] {
  const sql = s.exact ?? s.sql ?? "(its text is sealed)";
  const lines = [
    `${String(s.step).padStart(5)}. ${short(s.time)} ${s.fresh ? "new " : "    "}${printable(sql).slice(0, 400)}`,
  ];
  if (Array.isArray(s.parameters) && s.parameters.length > 0)
    lines.push(`         with ${printable(JSON.stringify(s.parameters)).slice(0, 400)}`);
  lines.push(`         ${ending(s)}`);
  return lines;
}

function ending(s: RunStatement): string {
  const by = s.rule === null ? "" : ` by ${printable(s.rule)}`;
  if (s.verdict === "deny" || s.status === "denied")
    return `REFUSED${by}${s.code === null ? "" : ` (${printable(s.code)})`}`;
  const held = s.verdict === "approve" ? `after approval${by}: ` : "";
  switch (s.status) {
    case null:
      return `${held}no outcome on the record yet`;
    case "ok": {
      const changed = s.affected === null ? "" : `${plural(s.affected, "row")} changed`;
      const gave =
        s.rows === null || (s.rows === 0 && changed !== "") ? "" : `${plural(s.rows, "row")} delivered`;
      const hidden = s.masked.length === 0 ? "" : `; masked ${s.masked.map(printable).join(", ")}`;
      return `${held}${[gave, changed].filter((t) => t !== "").join(", ") || "done"}${hidden}${undoneText(s.undone)}`;
    }
    case "error":
      return `${held}FAILED with ${s.sqlstate ?? "an error"}`;
    case "unknown":
      return `${held}ended unseen: its outcome is unknown`;
    default:
      return `${held}${(s.status ?? "").toUpperCase()}${s.sqlstate === null ? "" : ` (${s.sqlstate})`}`;
  }
}

function summary(story: RunStory): string[] {
  const lines: string[] = [];
  const list = (name: string, steps: readonly number[]) => {
    if (steps.length > 0)
      lines.push(`${name.padEnd(9)} step${steps.length === 1 ? "" : "s"} ${spans(steps)}`);
  };
  for (const [name, steps] of Object.entries(story.read))
    lines.push(`read      ${printable(name)}: steps ${spans(steps)}`);
  for (const [name, { steps, rows }] of Object.entries(story.changed))
    lines.push(`changed   ${printable(name)}: steps ${spans(steps)}, ${plural(rows, "row")} in all`);
  if (story.masked.length > 0) lines.push(`masked    ${story.masked.map(printable).join(", ")}`);
  list("refused", story.refused);
  list("undone", story.undone);
  list("failed", story.failed);
  list("unread", story.unread);
  if (story.unread.length > 0)
    lines.push("          (not analysed: what these touched is not on the record)");
  return lines;
}

/** 1, 2, 3, 7 as "1-3, 7". */
function spans(steps: readonly number[]): string {
  const out: [number, number][] = [];
  for (const n of steps) {
    const last = out.at(-1);
    if (last !== undefined && last[1] === n - 1) last[1] = n;
    else out.push([n, n]);
  }
  return out.map(([a, b]) => (a === b ? String(a) : `${a}-${b}`)).join(", ");
}

function evolution(story: RunStory): string[] {
  const { shapes, changes, passes } = story.evolution;
  if (shapes.length === 0) return [];
  const byKey = new Map(shapes.map((s, n) => [s.fingerprint, { n: n + 1, shape: s }]));
  const label = (key: string) => `#${byKey.get(key)?.n ?? "?"}`;
  const lines = ["", `Its SQL took ${plural(shapes.length, "shape")}:`];
  for (const { n, shape } of byKey.values()) lines.push(life(n, shape));
  for (const change of changes) {
    const words = (sign: string, list: readonly string[]) =>
      list.length === 0 ? "" : ` ${sign} ${printable(list.join(" ")).slice(0, 200)}`;
    lines.push(
      `  step ${change.step}: ${label(change.from)} turned into ${label(change.to)}${words("+", change.added)}${words("-", change.removed)}`,
    );
  }
  for (const { pass, appears, disappears } of passes) {
    const say = (what: string, list: readonly string[]) =>
      list.length === 0 ? "" : `, ${what} ${list.map(label).join(" ")}`;
    lines.push(`  pass ${pass}${say("new:", appears) || ", nothing new"}${say("gone:", disappears)}`);
  }
  return lines;
}

function life(n: number, shape: ShapeLife): string {
  const steps =
    shape.firstStep === shape.lastStep
      ? `step ${shape.firstStep}`
      : `steps ${shape.firstStep}-${shape.lastStep}`;
  const sql = shape.sql === null ? "(sealed)" : printable(shape.sql).slice(0, 160);
  return `  #${n} ${steps}, ${shape.count}x: ${sql}`;
}

function short(time: string): string {
  return printable(`${time.slice(0, 10)} ${time.slice(11, 23)}`);
}
