/** Policy files → CompiledPolicy. */
import { createHash } from "node:crypto";
import type { Principal } from "../facts/principal.ts";
import { builtinPolicy, isBuiltin } from "./builtin.ts";
import type { Condition } from "./condition/compile.ts";
import { PrincipalView, SessionView } from "./condition/views.ts";
import { decide, explain, judge } from "./decide/decide.ts";
import { askAll, openQuestions } from "./decide/evaluate.ts";
import { looser } from "./decide/obligations.ts";
import type { CompiledRule, RuleSet } from "./decide/rules.ts";
import { maxFiles, maxLabels, maxRules } from "./limits.ts";
import { compare, PolicyError, type PolicyProblem, quote } from "./problem.ts";
import type { PatternCheck } from "./schema/detect.ts";
import { type FileEntry, type Mode, readFile } from "./schema/file.ts";
import type { LabelEntry } from "./schema/label.ts";
import type { CompiledPolicy, DetectPolicy, Label, LabelMatcher, SessionFacts, Use } from "./types.ts";
import { readYaml } from "./yaml/document.ts";
import { nearest, Reader } from "./yaml/reader.ts";

export interface PolicyFile {
  /** For messages. */
  readonly file: string;
  readonly text: string;
}

/**
 * Compiles policy files into one policy; their order does not matter. `checkPattern` says what is wrong with a pattern of
 * `detect:` (null: nothing); without it patterns are taken as they are. Throws PolicyError with every problem found (places are
 * line and column from 1), never anything else.
 */
export function loadPolicy(
  files: readonly PolicyFile[],
  options: { readonly checkPattern?: PatternCheck } = {},
): CompiledPolicy {
  const checkPattern = options.checkPattern ?? (() => null);
  const problems: PolicyProblem[] = [];
  if (files.length === 0 || files.length > maxFiles) {
    const what = files.length === 0 ? "there is no policy file" : `there are ${files.length} policy files`;
    throw new PolicyError([
      { file: files[0]?.file ?? "", line: 1, column: 1, key: "", what, expected: `1 to ${maxFiles}` },
    ]);
  }
  const entries = withBuiltins(
    files.flatMap((file) => readOne(file, problems, checkPattern)),
    problems,
  );
  const detect = detectOf(entries);
  checkNames(entries);
  checkMentions(entries);
  const rules = entries.flatMap(compileRules);
  const fallback = defaultOf(entries);
  if (problems.length > 0) throw new PolicyError(problems);
  return assemble(files, entries, rules, fallback, detect);
}

function readOne(
  { file, text }: PolicyFile,
  problems: PolicyProblem[],
  checkPattern: PatternCheck,
): FileEntry[] {
  const result = readYaml(file, text);
  problems.push(...result.problems);
  return result.ok ? [readFile(new Reader(result.file, problems), checkPattern)] : [];
}

/** Adds the built-in policies that files extend, each once; it observes when every file that extends it does. */
function withBuiltins(entries: FileEntry[], problems: PolicyProblem[]): FileEntry[] {
  const all = [...entries];
  for (const name of new Set(entries.flatMap((entry) => entry.extends))) {
    if (!isBuiltin(name)) continue;
    const by = entries.filter((entry) => entry.extends.includes(name));
    const mode = (of: (entry: FileEntry) => Mode): Mode =>
      by.every((entry) => of(entry) === "observe") ? "observe" : "enforce";
    for (const entry of readOne(builtinPolicy(name), problems, () => null))
      all.push({
        ...entry,
        mode: mode((e) => e.mode),
        masking: mode((e) => e.masking),
        // What the owner's own file says of the default stands above what it extends.
        default: by.some((e) => e.default !== null) ? null : entry.default,
      });
  }
  return all;
}

function checkNames(entries: readonly FileEntry[]): void {
  const most = { rule: maxRules, label: maxLabels };
  for (const kind of ["rule", "label"] as const) {
    const first = new Map<string, string>();
    for (const entry of entries)
      for (const { kind: of, name, spot } of entry.names) {
        if (of !== kind) continue;
        const { source } = entry.reader;
        const before = first.get(name);
        if (before !== undefined)
          entry.reader.fail(spot, `another ${kind} has this name (${before})`, "a name of its own");
        else first.set(name, `${source.file}:${source.place(spot.node.offset).line}`);
        if (first.size === most[kind] + 1)
          entry.reader.fail(spot, `there are too many ${kind}s`, `at most ${most[kind]} in all files`);
      }
  }
}

function defaultOf(entries: readonly FileEntry[]): { value: "allow" | "deny"; observe: boolean } {
  const given = entries.flatMap((entry) => (entry.default === null ? [] : [{ entry, at: entry.default }]));
  const [first] = given;
  for (const { entry, at } of given)
    if (first !== undefined && at.value !== first.at.value)
      entry.reader.fail(
        at.spot,
        `another file says default: ${first.at.value} (${first.entry.reader.source.file})`,
        "one default for all files",
      );
  const by = given.length > 0 ? given.map(({ entry }) => entry) : entries;
  return { value: first?.at.value ?? "deny", observe: by.every((entry) => entry.mode === "observe") };
}

/** One file says what to look for; where masking only observes, what is found is only told. */
function detectOf(entries: readonly FileEntry[]): DetectPolicy | null {
  const given = entries.flatMap((entry) => (entry.detect === null ? [] : [{ entry, at: entry.detect }]));
  const [first, ...more] = given;
  if (first === undefined) return null;
  for (const { entry, at } of more)
    entry.reader.fail(
      at.spot,
      `another file has this section (${first.entry.reader.source.file})`,
      "detect: in one file only",
    );
  const { value } = first.at;
  if (first.entry.masking !== "observe") return value;
  return { ...value, rules: value.rules.map((rule) => ({ ...rule, action: "alert" })) };
}

/** Labels that are mentioned must be labels of some file, and only what is masked can be unmasked. */
function checkMentions(entries: readonly FileEntry[]): void {
  const labels = new Map(entries.flatMap((e) => e.labels.map((label) => [label.label, label] as const)));
  // A label that could not be read is known all the same: one mistake, one message.
  const known = entries.flatMap((e) => e.names.flatMap(({ kind, name }) => (kind === "label" ? [name] : [])));
  for (const { reader, mentions, rules } of entries) {
    for (const { label, spot, offset } of mentions) {
      if (known.includes(label)) continue;
      const all = known.length === 0 ? "a label of labels:" : known.slice(0, 20).join(", ");
      reader.fail(spot, `unknown label ${quote(label)}`, nearest(label, known) ?? all, offset);
    }
    for (const rule of rules)
      for (const label of [...rule.labels, ...rule.use.map((one) => one.label)])
        if (labels.get(label)?.access === "none")
          reader.fail(
            rule.spot,
            `${label} is of access: none, which no rule lifts`,
            "labels that are masked",
          );
  }
}

function compileRules(entry: FileEntry): CompiledRule[] {
  const { source } = entry.reader;
  return entry.rules.map((rule) => {
    const mode = rule.mode ?? (rule.then === "unmask" ? entry.masking : entry.mode);
    const { labels, spot, approvers, mode: _mode, ...rest } = rule;
    return {
      ...rest,
      observe: mode === "observe",
      approvers: approvers === null ? null : { rule: rule.name, ...approvers },
      unmask: labels,
      file: source.file,
      ...source.place(spot.node.offset),
    };
  });
}

function assemble(
  files: readonly PolicyFile[],
  entries: readonly FileEntry[],
  compiled: readonly CompiledRule[],
  fallback: { readonly value: "allow" | "deny"; readonly observe: boolean },
  detect: DetectPolicy | null,
): CompiledPolicy {
  const rules = [...compiled].sort((a, b) => compare(a.name, b.name));
  const uses = new Map(
    entries.flatMap((entry) => entry.labels.map(({ label, use }) => [label, use] as const)),
  );
  const set: RuleSet = { rules, default: fallback.value, observeDefault: fallback.observe, uses };
  const conditions = rules.map((rule) => rule.condition);
  const labels = entries.flatMap((entry) =>
    entry.labels.map((label) => ({ ...label, observe: entry.masking === "observe" })),
  );
  const matchers = new Map<string, readonly LabelMatcher[]>();
  const matchersOf = (database: string, observe: boolean) => {
    const key = `${observe} ${database}`;
    let found = matchers.get(key);
    if (found === undefined) {
      found = labels
        .filter((label) => label.observe === observe)
        .flatMap((label) => matcherOf(label, database));
      if (matchers.size < 10_000) matchers.set(key, found);
    }
    return found;
  };
  const observing = rules.filter((rule) => rule.observe).length;
  const observes = fallback.observe || observing > 0 || labels.some(({ observe }) => observe);
  let enforced: CompiledPolicy | null = null;
  return {
    get enforced() {
      if (observes) enforced ??= assemble(files, ...enforcing(entries, compiled, fallback), detect);
      return enforced;
    },
    digest: digestOf(entries.map((entry) => entry.reader.source.text)),
    files: files.map(({ file }) => file),
    default: fallback.value,
    labels: labels.map(publicLabel),
    detect,
    rules: rules.map((rule) => ({
      name: rule.name,
      // biome-ignore lint/suspicious/noThenProperty: a word of the policy language, never a function.
      then: rule.then,
      when: rule.condition.text,
      description: rule.description,
      observe: rule.observe,
      file: rule.file,
      line: rule.line,
      facts: rule.condition.facts,
      literals: rule.condition.literals,
    })),
    needs: {
      analysis: labels.length > 0 || conditions.some((condition) => condition.needsAnalysis),
      estimate: conditions.some((condition) => condition.needsEstimate),
    },
    permissive: labels.length === 0 && detect === null && neverRefuses(set),
    timeoutCeilingMs: ceilingOf(set),
    observe:
      fallback.observe && observing === rules.length
        ? "all"
        : fallback.observe || observing > 0
          ? "some"
          : "none",
    labelsFor: (database, relax) => {
      const own = matchersOf(database, false);
      if (relax === undefined || relax.size === 0) return own;
      return own.map((matcher) => ({
        ...matcher,
        use: looser(matcher.use, relax.get(matcher.label) ?? "output"),
      }));
    },
    observedLabelsFor: (database) => matchersOf(database, true),
    decide: (input) => decide(set, input),
    explain: (input) => explain(set, input),
    judge: (input) => judge(set, input),
    wantsEstimate: (input) =>
      conditions.some((condition) => condition.needsEstimate) && openQuestions(rules, askAll(rules, input)),
    cacheKey: keyMaker(conditions),
  };
}

/** As if nothing said `observe`. */
function enforcing(
  entries: readonly FileEntry[],
  compiled: readonly CompiledRule[],
  { value }: { readonly value: "allow" | "deny" },
): [FileEntry[], CompiledRule[], { value: "allow" | "deny"; observe: boolean }] {
  return [
    entries.map((entry) => ({ ...entry, mode: "enforce", masking: "enforce" })),
    compiled.map((rule) => ({ ...rule, observe: false })),
    { value, observe: false },
  ];
}

function neverRefuses({ rules, default: fallback, observeDefault }: RuleSet): boolean {
  if (fallback === "deny" && !observeDefault) return false;
  return rules.every(
    ({ then, observe, limits }) =>
      observe ||
      (then !== "deny" && then !== "approve" && Object.values(limits).every((limit) => limit === null)),
  );
}

/** Whatever rules match, the most generous of those that let something run has no more. */
function ceilingOf({ rules, default: fallback, observeDefault }: RuleSet): number | null {
  if (fallback === "allow" || observeDefault) return null;
  let most = 0;
  for (const { then, observe, limits } of rules) {
    if (observe && (then === "deny" || then === "approve")) return null;
    if (then !== "allow" && then !== "approve") continue;
    const { timeoutMs } = limits;
    if (timeoutMs === null) return null;
    most = Math.max(most, timeoutMs);
  }
  return most === 0 ? null : most;
}

function publicLabel(label: LabelEntry & { readonly observe: boolean }): Label {
  const { patterns, spot: _spot, ...rest } = label;
  return { ...rest, columns: patterns.map(({ text }) => text) };
}

function matcherOf(label: LabelEntry, database: string): LabelMatcher[] {
  const patterns = label.patterns.filter((pattern) => pattern.matchesDatabase(database));
  if (patterns.length === 0) return [];
  const { label: name, mask, access, use } = label;
  const matches = (schema: string, relation: string, column: string) =>
    patterns.some((pattern) => pattern.matches(schema, relation, column));
  return [{ label: name, matches, mask, access, use: use satisfies Use }];
}

/** Of the texts alone, whatever the files are called and in whatever order they come. */
function digestOf(texts: readonly string[]): string {
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  return `sha256:${sha256(["postern-policy-v1", ...texts.map(sha256).sort()].join("\n"))}`;
}

/** Keys of decisions: the values of exactly those facts of principal and session that conditions speak of. */
function keyMaker(conditions: readonly Condition[]): CompiledPolicy["cacheKey"] {
  if (conditions.some((condition) => condition.passing)) return () => null;
  const facts = [...new Set(conditions.flatMap((condition) => condition.facts))].sort();
  const names = (root: string) =>
    facts.filter((fact) => fact.startsWith(`${root}.`)).map((fact) => fact.slice(root.length + 1));
  const ofPrincipal = names("principal");
  const ofSession = names("session");
  /** Neither changes: every statement of a session asks about the same two. */
  const known = new WeakMap<Principal, WeakMap<SessionFacts, string | null>>();
  const keyOf = (principal: Principal, session: SessionFacts): string | null => {
    const values: unknown[] = [];
    const caller = new PrincipalView(principal) as unknown as Readonly<Record<string, unknown>>;
    for (const name of ofPrincipal) values.push(name === "claims" ? principal.claims : caller[name]);
    const place = new SessionView(session) as unknown as Readonly<Record<string, unknown>>;
    for (const name of ofSession) {
      const [field = "", inner] = name.split(".");
      const value = place[field];
      values.push(inner === undefined ? value : (value as Readonly<Record<string, unknown>>)[inner]);
    }
    try {
      return createHash("sha256").update(JSON.stringify(values)).digest("base64");
    } catch {
      return null;
    }
  };
  return (principal, session) => {
    let ofCaller = known.get(principal);
    if (ofCaller === undefined) {
      ofCaller = new WeakMap();
      known.set(principal, ofCaller);
    }
    let key = ofCaller.get(session);
    if (key === undefined) {
      key = keyOf(principal, session);
      ofCaller.set(session, key);
    }
    return key;
  };
}
