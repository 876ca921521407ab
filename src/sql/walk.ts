/** One pass over a statement's tree, without recursion: everything that its nodes say, each node by its class (nodes.ts). */
import type { Effect } from "../facts/effects.ts";
import { writeBound } from "./bounds.ts";
import { nodeEffects } from "./effects.ts";
import { explainFacts } from "./explain.ts";
import type { NamedRelation } from "./facts.ts";
import { exact, idle, isLiteral, literalFlags, position, queried } from "./literals.ts";
import { embeddedType, type NodeClass, nodeClasses } from "./nodes.ts";
import { droppedRelations, named } from "./relations.ts";
import { looksSecret, nodeSecret } from "./secrets.ts";
import type { SettingUse } from "./settings/judge.ts";
import { settingRow } from "./settings/row.ts";
import { isHiddenName } from "./settings/show.ts";
import {
  callUses,
  discardUses,
  namedRow,
  setUses,
  showsSettings,
  showUses,
  transactionUses,
  updateUses,
} from "./settings/uses.ts";
import { isObject, type JsonObject, nodeOf, numberAt, stringAt } from "./tree.ts";

/** What one pass found. */
export class Walk {
  readonly effects = new Set<Effect>();
  readonly settings: SettingUse[] = [];
  readonly relations: NamedRelation[] = [];
  unboundedWrite = false;
  modifications = 0;
  temporary = false;
  secret = false;
  /** The secret is a setting's value, and so may be written as a plain word. */
  secretSetting = false;
  /** Whether it is secret does not depend on its literals. */
  free = true;
  /** The answer to some question above depends on the value of a literal. */
  literal = false;
  /** Type name of a node that is not understood. */
  unknown: string | null = null;
  /** The place of each constant in the text; true: its value matters. */
  readonly constants: Map<number, boolean>;

  /** It reads the settings' own view. */
  #showsSettings = false;
  /** Texts that name settings which SHOW refuses. */
  readonly #hidden = new Set<string>();
  /** The call of set_config() that settingRow() read. */
  #rowCall: JsonObject | null = null;
  readonly #names: string[] = [];
  readonly #nodes: JsonObject[] = [];
  readonly #flags: number[] = [];

  /** @param constants where to put the places of constants; several statements may share it */
  constructor(constants: Map<number, boolean>) {
    this.constants = constants;
  }

  /** Walks the statement with top node `name`. Never throws for a tree of whatever form. */
  run(name: string, node: JsonObject): this {
    this.#push(name, node, 0);
    for (;;) {
      const next = this.#names.pop();
      const at = this.#nodes.pop();
      const flags = this.#flags.pop();
      if (next === undefined || at === undefined || flags === undefined) break;
      this.#visit(next, at, flags);
    }
    if (this.#showsSettings) for (const hidden of this.#hidden) this.#use(namedRow(hidden), 0);
    return this;
  }

  #push(name: string, node: JsonObject, flags: number): void {
    this.#names.push(name);
    this.#nodes.push(node);
    this.#flags.push(flags);
  }

  #visit(name: string, node: JsonObject, inherited: number): void {
    const kind = nodeClasses.get(name);
    if (kind === undefined || kind === "analysed") {
      this.unknown ??= name;
      return;
    }
    if (name === "A_Const") {
      this.#constant(node, inherited);
      return;
    }
    if (name === "String" && this.#name(node)) return;
    const flags = this.#enter(name, node, kind, inherited);
    const first = this.#names.length;
    for (const field in node) {
      const value = node[field];
      if (typeof value === "string") this.#string(value);
      else if (typeof value === "object" && value !== null) {
        const below = literalFlags(name, node, field, flags);
        if (!Array.isArray(value)) this.#descend(name, field, value, below);
        else for (const item of value as unknown[]) this.#item(name, item, below);
      }
    }
    // The last pushed is visited first; what is found shall be in the order of the text.
    for (let a = first, b = this.#names.length - 1; a < b; a++, b--) {
      swap(this.#names, a, b);
      swap(this.#nodes, a, b);
      swap(this.#flags, a, b);
    }
  }

  /** One of a list. The parser writes a missing one as {}. */
  #item(parent: string, value: unknown, flags: number): void {
    if (typeof value === "string") this.#string(value);
    if (!isObject(value)) return;
    const at = nodeOf(value);
    if (at !== null) this.#push(at.name, at.node, flags);
    else if (!isEmpty(value)) this.unknown ??= parent;
  }

  /** A single node: named by its type, or bare where the field allows one type only. */
  #descend(parent: string, field: string, value: object, flags: number): void {
    const at = nodeOf(value);
    // Types begin with a capital letter, fields never do.
    if (at !== null && isCapital(at.name)) {
      this.#push(at.name, at.node, flags);
      return;
    }
    const type = embeddedType(parent, field);
    if (type !== undefined) this.#push(type, value as JsonObject, flags);
    else if (!isEmpty(value)) this.unknown ??= `${parent}.${field}`;
  }

  #string(value: string): void {
    this.secret ||= looksSecret(value);
  }

  /** A part of a name: the most frequent node by far, and the simplest. False: it is not the usual one. */
  #name(node: JsonObject): boolean {
    for (const field in node) if (field !== "sval") return false;
    const { sval } = node;
    if (typeof sval !== "string") return false;
    this.#string(sval);
    // pg_temp.f(), ::pg_temp.t
    this.temporary ||= isTemporary(sval);
    return true;
  }

  #constant(node: JsonObject, flags: number): void {
    const text = node.sval;
    if (isObject(text)) {
      const value = stringAt(text, "sval");
      this.#string(value);
      if (isHiddenName(value)) this.#hidden.add(value);
    }
    if (!isLiteral(node)) return;
    const place = numberAt(node, "location");
    const matters = (flags & (exact | position)) !== 0;
    this.constants.set(place, matters || this.constants.get(place) === true);
  }

  /** What the node itself says; gives the marks for what stands in it. */
  #enter(name: string, node: JsonObject, kind: NodeClass, inherited: number): number {
    const found = nodeSecret(name, node);
    this.secret ||= found.secret;
    this.secretSetting ||= found.setting;
    this.free &&= !found.literal;
    if (kind === "query" || kind === "utility") return this.#statement(name, node, kind, inherited);
    if (showsSettings(name, node)) {
      this.#showsSettings = true;
      this.literal = true;
    }
    switch (name) {
      case "FuncCall":
        if (node !== this.#rowCall) for (const use of callUses(node)) this.#use(use, inherited);
        break;
      case "RangeVar":
        this.#relation(node, inherited);
        break;
      default:
    }
    return kind === "exact" ? inherited | exact : inherited;
  }

  #statement(name: string, node: JsonObject, kind: NodeClass, inherited: number): number {
    let flags = inherited | (kind === "utility" ? exact : queried);
    if ((flags & idle) === 0) this.#runs(name, node);
    for (const use of settingUses(name, node, scopeOf(flags))) this.#use(use, flags);
    const row = name === "SelectStmt" && inherited === 0 ? settingRow(node) : null;
    if (row !== null) {
      this.#rowCall = row.call;
      this.#use(row.use, flags);
    }
    if (name === "ExplainStmt" && !explainFacts(node).analyze) flags |= idle;
    if (name === "RuleStmt") flags |= idle;
    if (name === "DropStmt") for (const relation of droppedRelations(node)) this.relations.push(relation);
    return flags | (keeping.get(name) ?? 0);
  }

  #runs(name: string, node: JsonObject): void {
    for (const effect of nodeEffects(name, node)) this.effects.add(effect);
    const bound = writeBound(name, node);
    if (bound !== null) {
      this.unboundedWrite ||= bound.unbounded;
      this.literal ||= bound.literal;
    }
    if (name === "TruncateStmt") this.unboundedWrite = true;
    if (bound !== null || name === "InsertStmt") this.modifications++;
  }

  #use(use: SettingUse, flags: number): void {
    this.settings.push(use);
    // A literal names it, or is its value.
    this.literal = true;
    if (use.judgement.session && (flags & idle) === 0) this.effects.add("session");
  }

  #relation(node: JsonObject, flags: number): void {
    this.temporary ||= stringAt(node, "relpersistence") === "t" || isTemporary(stringAt(node, "schemaname"));
    if ((flags & queried) === 0) this.relations.push(named(node));
  }
}

/** Marks for the SET inside ALTER … SET and CREATE FUNCTION … SET: whose setting it is. */
const forRole = 16;
const forDatabase = 32;
const forSystem = 64;
const forFunction = 128;
const keeping: ReadonlyMap<string, number> = new Map([
  ["AlterRoleSetStmt", forRole],
  ["AlterDatabaseSetStmt", forDatabase],
  ["AlterSystemStmt", forSystem],
  ["AlterFunctionStmt", forFunction],
  ["CreateFunctionStmt", forFunction | idle],
]);

function scopeOf(flags: number): SettingUse["scope"] {
  if ((flags & forFunction) !== 0) return "function";
  if ((flags & forRole) !== 0) return "role";
  if ((flags & forDatabase) !== 0) return "database";
  return (flags & forSystem) !== 0 ? "system" : "session";
}

function settingUses(name: string, node: JsonObject, scope: SettingUse["scope"]): SettingUse[] {
  switch (name) {
    case "VariableSetStmt":
      return setUses(node, scope);
    case "VariableShowStmt":
      return showUses(node);
    case "DiscardStmt":
      return discardUses(node);
    case "TransactionStmt":
      return transactionUses(node.options, "");
    case "InsertStmt":
    case "UpdateStmt":
    case "MergeStmt":
      return updateUses(isObject(node.relation) ? node.relation : undefined);
    default:
      return [];
  }
}

function swap<T>(list: T[], a: number, b: number): void {
  const [x, y] = [list[a], list[b]];
  if (x === undefined || y === undefined) return;
  list[a] = y;
  list[b] = x;
}

function isTemporary(schema: string): boolean {
  return schema.startsWith("pg_temp") && /^pg_temp(?:_\d+)?$/.test(schema);
}

function isCapital(name: string): boolean {
  const code = name.charCodeAt(0);
  return code >= 65 && code <= 90;
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false;
  return true;
}
