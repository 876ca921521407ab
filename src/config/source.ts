/** YAML text → plain value, with the place of every key and value kept. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from "yaml";
import { formatPath, type Path, type Problem } from "./problem.ts";

/** Largest file read, in bytes: a configuration is written by hand. */
export const maxFileBytes = 1024 * 1024;
const maxDepth = 32;
/** Values after aliases are expanded: bounds "billion laughs". */
const maxValues = 50_000;
const maxSyntaxProblems = 20;

export interface Source {
  readonly file: string;
  readonly value: unknown;
  /** Faults of the YAML itself. */
  readonly problems: readonly Problem[];
  /** false: the structure cannot be relied on; look no further. */
  readonly usable: boolean;
  /** Where `path` stands: its key, or its value; what is absent stands where its nearest ancestor does. */
  place(path: Path, want: "key" | "value"): { line: number; column: number };
}

class Refused extends Error {
  readonly offset: number;
  readonly path: Path;
  readonly expected: string;
  constructor(what: string, expected: string, offset: number, path: Path) {
    super(what);
    this.offset = offset;
    this.path = path;
    this.expected = expected;
  }
}

/**
 * Parses YAML 1.2 (core schema: no merge keys, no custom tags). Duplicate keys, tags, more than one document, circular or
 * exploding aliases are problems. Never throws.
 */
export function readSource(text: string, file: string): Source {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const broken = (what: string, expected: string, offset = 0, path: Path = []): Source => {
    problems.push({ file, ...at(offset), key: formatPath(path), what, expected });
    return { file, value: undefined, problems, usable: false, place: () => at(0) };
  };

  let document: Document;
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      strict: true,
      uniqueKeys: true,
      stringKeys: true,
      schema: "core",
      resolveKnownTags: false,
      merge: false,
      logLevel: "error",
    }) as Document;
  } catch {
    return broken("the file is nested too deeply", `at most ${maxDepth} levels`);
  }

  let usable = true;
  const seen = new Set<string>();
  for (const fault of [...document.errors, ...document.warnings]) {
    const place = at(fault.pos[0]);
    if (fault.code !== "DUPLICATE_KEY" && fault.code !== "TAG_RESOLVE_FAILED") usable = false;
    const { what, expected } = syntaxFault(fault.code, fault.message);
    const once = `${place.line}:${place.column}:${fault.code}`;
    if (seen.has(once) || seen.size >= maxSyntaxProblems) continue;
    seen.add(once);
    problems.push({
      file,
      ...place,
      key: formatPath(pathAt(document.contents, fault.pos[0])),
      what,
      expected,
    });
  }
  if (!usable) return { file, value: undefined, problems, usable: false, place: () => at(0) };

  let value: unknown;
  try {
    value = plain(document, document.contents, [], new Set(), { left: maxValues });
  } catch (error) {
    if (error instanceof Refused) return broken(error.message, error.expected, error.offset, error.path);
    return broken("the file cannot be read as YAML", "valid YAML 1.2");
  }
  return { file, value, problems, usable: true, place: (path, want) => at(locate(document, path, want)) };
}

function syntaxFault(code: string, message: string): { what: string; expected: string } {
  switch (code) {
    case "DUPLICATE_KEY":
      return { what: "this key is given twice", expected: "each key once" };
    case "TAG_RESOLVE_FAILED":
      return { what: "YAML tags are not accepted", expected: "a plain value" };
    case "NON_STRING_KEY":
      return { what: "this key is not a plain text", expected: "a text as key" };
    case "MULTIPLE_DOCS":
      return { what: "the file holds more than one YAML document", expected: "one document" };
    default:
      // Where the parser's own stack ran out it tells of that as of a fault in the text.
      if (/call stack|stack overflow/i.test(message))
        return { what: "the file is nested too deeply", expected: `at most ${maxDepth} levels` };
      return {
        what: `not valid YAML: ${message}`,
        expected: "valid YAML 1.2 (quote values that begin with [, {, *, &, ! or %)",
      };
  }
}

function plain(
  doc: Document,
  node: unknown,
  path: Path,
  open: Set<unknown>,
  budget: { left: number },
): unknown {
  const offset = offsetOf(node);
  budget.left -= 1;
  if (budget.left < 0)
    throw new Refused("the file expands to too many values", `at most ${maxValues}`, offset, path);
  if (path.length > maxDepth)
    throw new Refused("the file is nested too deeply", `at most ${maxDepth} levels`, offset, []);
  if (isAlias(node)) {
    const target = node.resolve(doc);
    if (target === undefined)
      throw new Refused("this alias has no anchor", "an anchor (&name) before it", offset, path);
    if (open.has(target))
      throw new Refused("this alias contains itself", "no circular aliases", offset, path);
    return plain(doc, target, path, open, budget);
  }
  if (isScalar(node)) return node.value;
  open.add(node);
  let value: unknown = null;
  if (isSeq(node)) value = node.items.map((item, index) => plain(doc, item, [...path, index], open, budget));
  else if (isMap(node)) {
    const map: Record<string, unknown> = {};
    for (const pair of node.items) {
      const key = keyOf(pair);
      const entry = plain(doc, pair.value, [...path, key], open, budget);
      // defineProperty: a key "__proto__" must stay a key.
      Object.defineProperty(map, key, { value: entry, enumerable: true, configurable: true, writable: true });
    }
    value = map;
  }
  open.delete(node);
  return value;
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
}

function pairOf(map: YAMLMap, key: string): Pair | undefined {
  // The last of duplicates: its value is the one that `plain` keeps.
  return map.items.findLast((pair) => keyOf(pair) === key);
}

function offsetOf(node: unknown): number {
  return (node as Node | null | undefined)?.range?.[0] ?? 0;
}

function locate(doc: Document, path: Path, want: "key" | "value"): number {
  let node: unknown = doc.contents;
  let offset = offsetOf(node);
  for (const [depth, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(doc);
    if (isMap(node) && typeof part === "string") {
      const pair = pairOf(node, part);
      // Absent: say where its parent's key stands, which is where one writes it.
      if (pair === undefined) return offset;
      node = pair.value;
      const keyOffset = offsetOf(pair.key);
      const last = depth === path.length - 1;
      const blank = isScalar(node) && node.value === null && node.source === "";
      offset = last && want === "value" && node !== null && !blank ? offsetOf(node) : keyOffset;
    } else if (isSeq(node) && typeof part === "number") {
      node = node.items[part];
      if (node === undefined) return offset;
      offset = offsetOf(node);
    } else return offset;
  }
  return offset;
}

/** The path of the innermost pair or item around an offset. */
function pathAt(contents: unknown, offset: number): Path {
  const path: (string | number)[] = [];
  let node: unknown = contents;
  for (let depth = 0; depth <= maxDepth; depth++) {
    if (isMap(node)) {
      const pair = node.items.findLast((item) => offsetOf(item.key) <= offset && isScalar(item.key));
      if (pair === undefined) break;
      path.push(keyOf(pair));
      node = pair.value;
    } else if (isSeq(node)) {
      const index = node.items.findLastIndex((item) => offsetOf(item) <= offset);
      if (index < 0) break;
      path.push(index);
      node = node.items[index];
    } else break;
    if (offsetOf(node) > offset) break;
  }
  return path;
}
