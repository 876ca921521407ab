/** YAML text → nodes that know where they stand. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
} from "yaml";
import { maxFileBytes } from "../limits.ts";
import type { PolicyProblem } from "../problem.ts";

/** One value of the file. `offset` counts UTF-16 units from the start of the text. */
export type YamlNode =
  | { readonly kind: "scalar"; readonly value: unknown; readonly offset: number; readonly scalar: Scalar }
  | { readonly kind: "list"; readonly items: readonly unknown[]; readonly offset: number }
  | { readonly kind: "map"; readonly pairs: readonly YamlPair[]; readonly offset: number }
  | { readonly kind: "none"; readonly offset: number };

export interface YamlPair {
  readonly key: string;
  readonly keyOffset: number;
  readonly value: unknown;
}

export interface YamlFile {
  readonly file: string;
  readonly text: string;
  readonly root: unknown;
  /** A parsed node as one of ours; aliases are followed. */
  node(raw: unknown, fallback: number): YamlNode;
  place(offset: number): { readonly line: number; readonly column: number };
}

export type YamlResult =
  | { readonly ok: true; readonly file: YamlFile; readonly problems: readonly PolicyProblem[] }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

const maxAliasHops = 8;
const maxSyntaxProblems = 20;

/**
 * Parses YAML 1.2 (core schema, no merge keys, no tags, one document). Tags are problems but leave the rest readable, so that all
 * mistakes are told at once; duplicate keys are the reader's to find. Never throws.
 */
export function readYaml(file: string, text: string): YamlResult {
  const lines = new LineCounter();
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const refuse = (what: string, expected: string): YamlResult => ({
    ok: false,
    problems: [{ file, line: 1, column: 1, key: "", what, expected }],
  });
  if (text.length > maxFileBytes) return refuse("the file is too large", `at most ${maxFileBytes} bytes`);

  let document: Document;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      strict: true,
      // The library compares every key with every other; the reader finds duplicates in linear time.
      uniqueKeys: false,
      stringKeys: true,
      schema: "core",
      resolveKnownTags: false,
      merge: false,
      logLevel: "error",
    }) as Document;
  } catch {
    // The parser recurses: only nesting far beyond any policy brings it here.
    return refuse(tooDeep.what, tooDeep.expected);
  }

  const problems: PolicyProblem[] = [];
  let usable = true;
  const seen = new Set<string>();
  const faults = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
  for (const fault of faults) {
    const breaks = fault.code !== "TAG_RESOLVE_FAILED";
    // Behind the first break the parser guesses: what it says there is the same mistake again.
    if (breaks && !usable) continue;
    if (breaks) usable = false;
    const at = place(fault.pos[0]);
    const once = `${at.line}:${at.column}:${fault.code}`;
    if (seen.has(once) || seen.size >= maxSyntaxProblems) continue;
    seen.add(once);
    problems.push({ file, ...at, key: "", ...syntaxFault(fault.code, fault.message) });
  }
  if (!usable) return { ok: false, problems };

  const node = (raw: unknown, fallback: number): YamlNode => {
    let here = raw;
    for (let hops = 0; isAlias(here); hops++) {
      if (hops >= maxAliasHops) return { kind: "none", offset: fallback };
      here = here.resolve(document);
    }
    const offset = (here as Node | null | undefined)?.range?.[0] ?? fallback;
    if (isScalar(here)) {
      // `key:` with nothing behind it: said where the key stands.
      const blank = here.value === null && here.source === "";
      return blank
        ? { kind: "none", offset: fallback }
        : { kind: "scalar", value: here.value, offset, scalar: here };
    }
    if (isSeq(here)) return { kind: "list", items: here.items, offset };
    if (isMap(here)) {
      const pairs = here.items.map((pair) => ({
        key: isScalar(pair.key) ? String(pair.key.value) : "",
        keyOffset: (pair.key as Node | null)?.range?.[0] ?? offset,
        value: pair.value,
      }));
      return { kind: "map", pairs, offset };
    }
    return { kind: "none", offset };
  };
  return { ok: true, file: { file, text, root: document.contents, node, place }, problems };
}

const tooDeep = { what: "the file is nested too deeply", expected: "a policy of a few levels" };

function syntaxFault(code: string, message: string): { what: string; expected: string } {
  switch (code) {
    case "TAG_RESOLVE_FAILED":
      return { what: "YAML tags are not accepted", expected: "a plain value" };
    case "NON_STRING_KEY":
      return { what: "this key is not a plain text", expected: "a text as key" };
    case "MULTIPLE_DOCS":
      return { what: "the file holds more than one YAML document", expected: "one document" };
    default:
      // The parser recurses; running out of stack reaches us as one of its messages.
      if (/stack/i.test(message)) return tooDeep;
      return {
        what: `not valid YAML: ${message.split("\n", 1)[0] ?? ""}`,
        expected: "valid YAML 1.2 (put conditions and values that begin with [, {, *, &, ! or % in quotes)",
      };
  }
}
