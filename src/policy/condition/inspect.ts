/** A look at a condition's tree before it is ever evaluated: which facts it uses, and what would never work. */
import { isIP } from "node:net";
import { maxLoops } from "../limits.ts";
import { nearest } from "../yaml/reader.ts";
import { functionNames, loops, parseNetwork, takesTime } from "./environment.ts";
import { claimedTypes, effectNames, factTypes, principalKinds, statementKindNames, vias } from "./facts.ts";
import { isTree, pathOf, type Tree, texts } from "./tree.ts";

export interface Fault {
  readonly what: string;
  readonly expected: string;
  /** Offset in the condition's text. */
  readonly at: number;
}

export interface Literal {
  readonly fact: string;
  readonly text: string;
}

export interface Inspection {
  /** Sorted: "principal.groups", "statement.effects", "session.claimed.run", "now". */
  readonly facts: readonly string[];
  readonly faults: readonly Fault[];
  /** Labels named in comparisons with statement.labels. */
  readonly labels: readonly { readonly label: string; readonly at: number }[];
  /** Texts that a fact is compared with: "session.database" and "shop". */
  readonly literals: readonly Literal[];
  /** Whether loops stand within loops. */
  readonly nested: boolean;
}

const roots = ["principal", "session", "statement", "estimate", "now"] as const;
/** Facts with few possible values: a mistyped one would never match, and nobody would notice. */
const values: Readonly<Record<string, readonly string[]>> = {
  "principal.kind": principalKinds,
  "session.via": vias,
  "statement.effects": effectNames,
  "statement.kind": statementKindNames,
};
const labelFacts = ["statement.labels", "statement.labels_in_predicates"];

/** Inspects a parsed condition. Never throws on a tree of the CEL library. */
export function inspect(root: unknown): Inspection {
  const inspector = new Inspector();
  inspector.visit(root, [], 0);
  const { facts, faults, labels, literals, nested } = inspector;
  return { facts: [...facts].sort(), faults, labels, literals, nested };
}

class Inspector {
  readonly facts = new Set<string>();
  readonly faults: Fault[] = [];
  readonly labels: { label: string; at: number }[] = [];
  readonly literals: Literal[] = [];
  nested = false;

  private fault(node: Tree, what: string, expected: string): void {
    this.faults.push({ what, expected, at: node.start });
  }

  /** `bound`: names of the loops' own variables around this node. */
  visit(node: unknown, bound: readonly string[], depth: number): void {
    if (Array.isArray(node)) {
      for (const one of node) this.visit(one, bound, depth);
      return;
    }
    if (!isTree(node)) return;
    const { op, args } = node;
    switch (op) {
      case "id":
        if (typeof args === "string" && !bound.includes(args)) this.name(node, args);
        return;
      case ".": {
        const fact = this.fact(node, bound);
        if (fact === null) this.visit(firstOf(args), bound, depth);
        else if (fact !== "") this.facts.add(fact);
        return;
      }
      case "call":
      case "rcall":
        this.call(node, bound, depth);
        return;
      default:
        if (Array.isArray(args) && ["==", "!=", "in"].includes(op)) this.comparison(node, op, args, bound);
        // `in` walks its list too: within a loop that is a loop within a loop.
        if (op === "in" && depth > 0 && Array.isArray(args) && texts(args[1]).length === 0)
          this.nested = true;
        this.visit(args, bound, depth);
    }
  }

  /** A name on its own: only `now` is a value, the other facts are groups of values. */
  private name(node: Tree, name: string): void {
    if (name === "now") this.facts.add(name);
    else if (isRoot(name)) this.fault(node, `${name} alone is no value`, `one of its facts: ${fields(name)}`);
    else {
      const near = nearest(name, roots);
      this.fault(node, `unknown fact ${JSON.stringify(name)}`, near ?? roots.join(", "));
    }
  }

  /** "root.field" when the node reads a fact; "" when it tried to; null when it is something else. */
  private fact(node: Tree, bound: readonly string[]): string | null {
    const path = pathOf(node);
    const [root = "", field, inner] = path ?? [];
    if (path === null || bound.includes(root)) return null;
    if (!isRoot(root)) {
      this.name(node, root);
      return "";
    }
    if (root === "now" || field === undefined) {
      this.fault(node, "now has no fields", "now, compared or with methods such as now.getHours()");
      return "";
    }
    const known: Readonly<Record<string, string>> = factTypes[root];
    if (!Object.hasOwn(known, field)) {
      const near = nearest(field, Object.keys(known));
      this.fault(
        node,
        `unknown fact ${JSON.stringify(`${root}.${field}`)}`,
        near === null ? fields(root) : `${root}.${near}`,
      );
      return "";
    }
    if (root === "session" && field === "claimed") {
      if (inner !== undefined && Object.hasOwn(claimedTypes, inner)) return `session.claimed.${inner}`;
      const given = inner === undefined ? "session.claimed alone" : `unknown fact "session.claimed.${inner}"`;
      this.fault(node, given, `session.claimed.${Object.keys(claimedTypes).join(", session.claimed.")}`);
      return "";
    }
    return `${root}.${field}`;
  }

  private call(node: Tree, bound: readonly string[], depth: number): void {
    const args = Array.isArray(node.args) ? node.args : [];
    const name = typeof args[0] === "string" ? args[0] : "";
    const receiver: unknown = node.op === "rcall" ? args[1] : undefined;
    const given: unknown = node.op === "rcall" ? args[2] : args[1];
    const list: readonly unknown[] = Array.isArray(given) ? given : [];
    if (!functionNames.includes(name)) {
      this.refuseFunction(node, name);
      return;
    }
    if (name === "has") {
      const path = pathOf(list[0]);
      if (path === null || path[0] !== "principal" || path[1] !== "claims" || path.length < 3)
        this.fault(
          node,
          "has() is only for claims: every other fact is always there, absent texts are empty",
          "has(principal.claims.NAME)",
        );
      else this.facts.add("principal.claims");
      return;
    }
    if (name === "inNetwork")
      this.literal(
        node,
        list[0],
        "a network",
        (text) => parseNetwork(text) !== null,
        "10.0.0.0/8 or fd00::/8",
      );
    if (name === "glob") this.literal(node, list[0], "a pattern", () => true, "'public.*'");
    if (/^get|^timestamp$|^duration$/.test(name)) this.time(name, list[0]);
    if (receiver !== undefined) this.visit(receiver, bound, depth);
    if (node.op === "rcall" && loops.includes(name)) {
      this.loop(node, name, list, bound, depth);
      if (isTree(receiver)) this.looped(receiver, list);
    } else this.visit(list, bound, depth);
  }

  private loop(
    node: Tree,
    name: string,
    list: readonly unknown[],
    bound: readonly string[],
    depth: number,
  ): void {
    if (depth >= maxLoops) {
      this.fault(node, `${name}() stands within ${maxLoops} others`, `at most ${maxLoops} within each other`);
      return;
    }
    if (depth > 0) this.nested = true;
    const [variable, ...bodies] = list;
    const own =
      isTree(variable) && variable.op === "id" && typeof variable.args === "string" ? variable.args : "";
    if (isRoot(own)) this.fault(node, `${own} is the name of a fact`, "another name for the loop's variable");
    this.visit(bodies, [...bound, own], depth + 1);
  }

  /** `statement.effects.all(e, e in ["read", "write"])`: the values in the loop's body are those of the list. */
  private looped(receiver: Tree, list: readonly unknown[]): void {
    const fact = (pathOf(receiver) ?? []).join(".");
    const [variable, body] = list;
    if (!isTree(variable) || !isTree(body) || !Array.isArray(body.args)) return;
    if (!["==", "!=", "in"].includes(body.op)) return;
    const sides: readonly unknown[] = body.args;
    const own = (side: unknown) => isTree(side) && side.op === "id" && side.args === variable.args;
    const at = sides.findIndex(own);
    if (at < 0) return;
    for (const { text, node } of texts(sides[1 - at])) this.value(node, fact, text);
  }

  private comparison(node: Tree, op: string, args: readonly unknown[], bound: readonly string[]): void {
    for (const [side, other] of [
      [args[0], args[1]],
      [args[1], args[0]],
    ]) {
      const path = pathOf(side);
      if (path === null || bound.includes(path[0] ?? "")) continue;
      const fact = path.join(".");
      const found = texts(other);
      for (const { text, node: at } of found) this.value(at, fact, text);
      if (fact === "statement.effects" && op !== "in" && isTree(other) && other.op === "list") {
        const given = found.map(({ text }) => text);
        const sorted = [...new Set(given)].sort();
        if (given.join() !== sorted.join())
          this.fault(
            node,
            "statement.effects is sorted and holds each effect once: this is never equal",
            JSON.stringify(sorted),
          );
      }
    }
  }

  private value(node: Tree, fact: string, text: string): void {
    this.literals.push({ fact, text });
    if (labelFacts.includes(fact)) this.labels.push({ label: text, at: node.start });
    if (fact === "statement.command" && text !== text.toUpperCase())
      this.fault(node, `${fact} is never ${JSON.stringify(text)}`, JSON.stringify(text.toUpperCase()));
    const known = values[fact];
    if (known === undefined || known.includes(text)) return;
    const near = nearest(text, known);
    this.fault(node, `${fact} is never ${JSON.stringify(text)}`, near ?? known.join(", "));
  }

  private literal(
    node: Tree,
    argument: unknown,
    what: string,
    sound: (text: string) => boolean,
    example: string,
  ): void {
    const [text] = texts(argument);
    if (text === undefined || !isTree(argument) || argument.op !== "value")
      this.fault(node, `the argument must be ${what} written out`, example);
    else if (!sound(text.text)) {
      const hint = isIP(text.text) === 0 ? "" : " (an address alone: add /32 or /128)";
      this.fault(text.node, `${JSON.stringify(text.text)} is not ${what}${hint}`, example);
    }
  }

  private time(name: string, argument: unknown): void {
    const [text] = texts(argument);
    if (text === undefined || takesTime(name, text.text)) return;
    const examples: Readonly<Record<string, string>> = {
      timestamp: '"2026-01-01T00:00:00Z"',
      duration: '"8h" or "30m"',
    };
    this.fault(
      text.node,
      `${name}() does not take ${JSON.stringify(text.text.slice(0, 60))}`,
      examples[name] ?? 'a time zone such as "Europe/Berlin"',
    );
  }

  private refuseFunction(node: Tree, name: string): void {
    // CEL means RE2 by matches(); the library runs a backtracking engine, which a crafted value can keep busy for ever.
    if (name === "matches")
      this.fault(node, "matches() is not available", 'glob("public.*"), startsWith, endsWith or contains');
    else {
      const near = nearest(name, functionNames);
      this.fault(
        node,
        `unknown function ${JSON.stringify(name.slice(0, 60))}`,
        near ?? functionNames.join(", "),
      );
    }
  }
}

function firstOf(args: unknown): unknown {
  return Array.isArray(args) ? args[0] : undefined;
}

function isRoot(name: string): name is (typeof roots)[number] {
  return roots.some((root) => root === name);
}

function fields(root: (typeof roots)[number]): string {
  if (root === "now") return "now";
  return Object.keys(factTypes[root])
    .map((field) => `${root}.${field}`)
    .join(", ");
}
