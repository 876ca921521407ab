/** The same program on both ways; what it says must be the same. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectionEnv, type Done, type RunOptions, runProgram } from "./program.ts";
import type { Report } from "./report.ts";
import type { DatabaseName, Pair, Way } from "./servers.ts";

export type Normalise = (text: string) => string;

/** What must differ between any two sessions. */
export const everywhere: Normalise = (text) =>
  text.replaceAll(/(server process with PID )\d+/g, "$1N").replaceAll(/pg_(toast_)?temp_\d+/g, "pg_$1temp_N");

export interface Case {
  readonly command: string;
  readonly args: readonly string[];
  readonly options?: Omit<RunOptions, "meanwhile">;
  readonly normalise?: Normalise;
  /** Both ways inside TLS. */
  readonly tls?: boolean;
  readonly meanwhile?: (way: Way, signal: (name: NodeJS.Signals) => void) => Promise<void>;
}

/** Runs a program on both ways at the same time. */
export async function bothWays(
  pair: Pair,
  database: DatabaseName,
  one: Case,
): Promise<{ direct: Done; postern: Done }> {
  const on = (plain: Way) => {
    const way = { ...plain, tls: one.tls === true };
    const env = { ...connectionEnv(way, database), ...one.options?.env };
    const { meanwhile } = one;
    return runProgram(one.command, one.args, {
      ...one.options,
      env,
      ...(meanwhile === undefined ? {} : { meanwhile: (signal) => meanwhile(way, signal) }),
    });
  };
  const [direct, postern] = await Promise.all([on(pair.direct), on(pair.postern)]);
  const normal = (text: string) => (one.normalise ?? ((t: string) => t))(everywhere(text));
  const clean = (done: Done): Done => ({
    code: done.code,
    stdout: normal(done.stdout),
    stderr: normal(done.stderr),
  });
  return { direct: clean(direct), postern: clean(postern) };
}

/** With CONFORMANCE_OUT set, everything that was compared is left in that folder. */
function keep(name: string, direct: Done, postern: Done): void {
  const folder = process.env.CONFORMANCE_OUT;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name.replaceAll(/[^A-Za-z0-9.,_-]+/g, "_"));
  for (const [way, done] of Object.entries({ direct, postern }))
    writeFileSync(
      `${file}.${way}`,
      `${done.stdout}\n=== stderr\n${done.stderr}\n=== exit code ${done.code}\n`,
      "latin1",
    );
}

/** Output and exit code must be equal as a whole. */
export async function compareWhole(
  report: Report,
  name: string,
  pair: Pair,
  database: DatabaseName,
  one: Case,
): Promise<Done> {
  const { direct, postern } = await bothWays(pair, database, one);
  keep(name, direct, postern);
  const differences: string[] = [];
  if (direct.code !== postern.code)
    differences.push(`exit code: direct ${direct.code}, Postern ${postern.code}`);
  for (const stream of ["stdout", "stderr"] as const)
    if (direct[stream] !== postern[stream])
      differences.push(`${stream}:`, difference(direct[stream], postern[stream]));
  if (differences.length === 0) report.pass(name);
  else report.fail(name, differences.join("\n"));
  return direct;
}

/** Differences that are meant, by the section's name: why. */
export type Known = Readonly<Record<string, string>>;

/**
 * For batteries that print "## name" before each of their parts: one line of the report for each part.
 * A part that never came, ran into its time limit or ended in an unexpected way directly is a failure too.
 */
export async function compareSections(
  report: Report,
  prefix: string,
  pair: Pair,
  database: DatabaseName,
  one: Case,
  known: Known = {},
): Promise<void> {
  const { direct, postern } = await bothWays(pair, database, one);
  keep(prefix, direct, postern);
  const want = sections(direct.stdout);
  const got = sections(postern.stdout);
  for (const [name, text] of want) {
    const full = `${prefix}: ${name}`;
    const other = got.get(name);
    const why = known[name];
    if (/^(UNEXPECTED|TIMEOUT)/m.test(text)) report.fail(full, `without the gateway already:\n${cut(text)}`);
    else if (text === other && why === undefined) report.pass(full);
    else if (text === other)
      report.fail(full, `is listed as a known difference, but does not differ: ${why}`);
    else if (why !== undefined) report.known(full, why);
    else report.fail(full, other === undefined ? "missing through Postern" : difference(text, other));
  }
  const ending = `${prefix}: end of the run`;
  if (direct.code !== 0 || postern.code !== 0 || want.size === 0)
    report.fail(
      ending,
      `exit codes: direct ${direct.code}, Postern ${postern.code}\ndirect:  ${cut(direct.stderr)}\nPostern: ${cut(postern.stderr)}`,
    );
  else if (direct.stderr !== postern.stderr) report.fail(ending, difference(direct.stderr, postern.stderr));
}

function sections(output: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const piece of `\n${output}`.split("\n## ").slice(1)) {
    const end = piece.indexOf("\n");
    const name = end < 0 ? piece : piece.slice(0, end);
    found.set(name, (found.get(name) ?? "") + (end < 0 ? "" : piece.slice(end + 1)));
  }
  return found;
}

/** The first lines that are not the same, from where the texts part. */
export function difference(direct: string, postern: string): string {
  const left = direct.split("\n");
  const right = postern.split("\n");
  let at = 0;
  while (at < left.length && left[at] === right[at]) at++;
  const [one = "", other = ""] = [left[at], right[at]];
  let column = 0;
  while (column < one.length && one[column] === other[column]) column++;
  const from = one.length > 250 || other.length > 250 ? Math.max(0, column - 100) : 0;
  const lines = [`line ${at + 1}, column ${column + 1}:`];
  if (at > 0) lines.push(`  ${short(left[at - 1] ?? "", 0)}`);
  for (const [mark, all] of [
    ["-", left],
    ["+", right],
  ] as const)
    for (const [index, line] of all.slice(at, at + 4).entries())
      lines.push(`${mark} ${short(line, index === 0 ? from : 0)}`);
  return lines.join("\n");
}

function short(line: string, from: number): string {
  const piece = line.slice(from, from + 250);
  return `${from > 0 ? "… " : ""}${piece}${from + 250 < line.length ? ` … (${line.length} bytes)` : ""}`;
}

function cut(text: string): string {
  return text.length > 1500 ? `${text.slice(0, 1500)} …` : text;
}
