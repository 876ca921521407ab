/**
 * Where columns stand in a statement. An allow-list: a column counts as output, equality, derived, assigned or owner's only
 * at the places named here; everywhere else it is in a predicate (MASKING.md section 3.2, "strict").
 */
import type {
  Assignment,
  Attribute,
  ColumnUse,
  Comparison,
  Inspection,
  Position,
} from "../../facts/effects.ts";
import {
  boolOf,
  intOf,
  itemsOf,
  type Kept,
  nodeOf,
  nodesOf,
  type ServerNode,
  textOf,
} from "../../sql/servertree/index.ts";
import { emptiedOf } from "../emptied.ts";
import { comparesAsStored } from "./comparing.ts";
import type { CatalogFacts } from "./facts.ts";
import { attributeOf, type Flow, isRowKey, keyOf, sourcesOf } from "./flow.ts";
import { boundedGrowth, createGrowth } from "./growth.ts";
import { createInspector } from "./inspect.ts";
import { childrenOf, collectNodes, tagOf } from "./nodes.ts";
import { callerReaches, comparedWith, isSingleEquality } from "./owner.ts";
import { demoted, positions } from "./positions.ts";
import { quietChildren } from "./quiet.ts";
import {
  createScopes,
  entryOf,
  exprOf,
  kindOfEntry,
  leavesOf,
  NotUnderstood,
  outer,
  type Scope,
  viewOf,
} from "./scope.ts";
import { createTracer, isWholeRow, subLinks, type Tracer } from "./trace.ts";

/** How a query level is read. */
interface Level {
  /** Where the entries of its target list stand when nothing at this level compares them. */
  readonly base: Position;
  /** Written by an owner where no input of the caller reaches it. */
  readonly owner: boolean;
  /** Inside a view: what nobody reads from it need not be computed. */
  readonly lazy: boolean;
  /** A set operation above looks for equal rows. */
  readonly compared: boolean;
  /** In the statement's own FROM or WITH, so that its WHERE may hold plain equalities. */
  readonly plainWhere: boolean;
  /** Sub-select of EXISTS: columns that it lists are not read. */
  readonly exists: boolean;
}

export interface Uses {
  readonly uses: readonly ColumnUse[];
  readonly inspected: readonly Inspection[];
  readonly assignments: readonly Assignment[];
  readonly comparisons: readonly Comparison[];
  /** What rows hold that a rule adds. */
  readonly beside: readonly Attribute[];
  readonly tracer: Tracer;
  readonly scopes: readonly Scope[];
}

const nesting = 400;

/**
 * Reads all queries that one statement became. `target`: the rows of the statement make a new table; `inspect`: it reads relations
 * of the system, whose names may be looked into. Throws NotUnderstood.
 */
export function findUses(
  queries: readonly ServerNode[],
  facts: CatalogFacts,
  target: boolean,
  inspect: boolean,
): Uses {
  /** By column and place: the place's number is the key's last digit. */
  const found = new Map<number, ColumnUse>();
  const assignments: Assignment[] = [];
  const comparisons: Comparison[] = [];
  const beside: Attribute[] = [];
  const scopes = createScopes();
  /** Entries of views that wait until somebody reads them. */
  const waiting = new Map<Scope, Map<number, () => void>>();
  const due: (() => void)[] = [];
  let depth = 0;
  const tracer = createTracer(scopes, {
    onOutput(scope, number) {
      const entry = waiting.get(scope)?.get(number);
      if (entry === undefined) return;
      waiting.get(scope)?.delete(number);
      due.push(entry);
    },
  });

  const growth = createGrowth(scopes, facts, isStored);
  const inspector = inspect ? createInspector(tracer, scopes, facts) : null;
  /** Inside of PostgreSQL's own views: nobody's condition. */
  const settled = new WeakSet<Scope>();

  function scopeOf(node: ServerNode, parent: Scope, view = 0): Scope {
    const scope = scopes.of(node, parent);
    if (settled.has(parent) || (view !== 0 && facts.catalog.relation(view)?.system === true))
      settled.add(scope);
    return scope;
  }

  function add(key: number, position: Position): void {
    const place = key * 8 + positions[position];
    if (!found.has(place)) found.set(place, { ...attributeOf(key), position });
  }

  /** Records a Var (or what stands for one) at a place. Values that are not a column as it stands have no plain place. */
  function use(flow: Flow, position: Position): void {
    for (const [key, whole] of flow.keys) add(key, whole && !isRowKey(key) ? position : demoted(position));
  }

  /** The expression of an output or assignment: bare columns keep the position, others lose it. */
  function bare(expr: ServerNode, scope: Scope, position: Position): void {
    let at = expr;
    for (;;) {
      const tag = tagOf(at);
      const next =
        tag === "RELABELTYPE" || tag === "COLLATEEXPR"
          ? nodeOf(at, "arg")
          : tag === "RETURNINGEXPR"
            ? nodeOf(at, "retexpr")
            : null;
      if (next === null) break;
      at = next;
    }
    if (at.tag === "VAR") {
      use(tracer.flow(at, scope), position);
      if (isWholeRow(at)) emptiedIn(at, scope);
    } else if (at.tag === "FIELDSELECT" && isRow(at)) use(tracer.flow(at, scope), position);
    else whole(at, scope, demoted(position));
  }

  /** An expression that gives an output. */
  function whole(expr: ServerNode, scope: Scope, position: Position): void {
    const grows = position === "derived" && growth.of(expr, scope) > boundedGrowth;
    expression(expr, scope, grows ? "predicate" : position);
  }

  function isRow(select: ServerNode): boolean {
    const arg = nodeOf(select, "arg");
    return arg !== null && arg.tag === "VAR" && intOf(arg, "varattno", -1) === 0;
  }

  /** Everything inside an expression. */
  function expression(expr: ServerNode, scope: Scope, position: Position): void {
    if (++depth > nesting * 4) throw new NotUnderstood("an expression that is too deep");
    if (inspector !== null && !settled.has(scope)) inspector.expression(expr, scope);
    switch (tagOf(expr)) {
      case "VAR":
        use(tracer.flow(expr, scope), demoted(position));
        if (isWholeRow(expr)) emptiedIn(expr, scope);
        break;
      case "FIELDSELECT":
        if (isRow(expr)) use(tracer.flow(expr, scope), demoted(position));
        else children(expr, scope, position);
        break;
      case "PARAM":
        use(tracer.flow(expr, scope), demoted(position));
        break;
      case "SUBLINK":
        subLink(expr, scope, position);
        break;
      case "AGGREF":
      case "WINDOWFUNC":
        children(expr, scope, position === "owner" ? "owner" : "predicate");
        break;
      case "FUNCEXPR":
      case "OPEXPR": {
        // How many rows there are depends on what goes into it.
        const set = boolOf(expr, expr.tag === "FUNCEXPR" ? "funcretset" : "opretset");
        children(expr, scope, set && position !== "owner" ? "predicate" : position);
        break;
      }
      case "QUERY":
      case "RANGETBLENTRY":
        throw new NotUnderstood(`${expr.tag} in an expression`);
      default:
        children(expr, scope, position);
    }
    depth--;
  }

  /** Whatever branch its rows have come from, it is the value of some column of a table, or NULL for want of a row. */
  function isStored(node: ServerNode, scope: Scope): boolean {
    if (node.tag !== "VAR" && !(node.tag === "FIELDSELECT" && isRow(node))) return false;
    const { keys, pure } = tracer.flow(node, scope);
    return pure && keys.size > 0 && [...keys].every(([key, whole]) => whole && !isRowKey(key));
  }

  /** What cannot be taken out of a row; PostgreSQL's own views hand on rows to functions that do not look at it. */
  function emptiedIn(row: ServerNode, scope: Scope): void {
    if (settled.has(scope)) return;
    const entry = entryOf(outer(scope, intOf(row, "varlevelsup", -1)), intOf(row, "varno", -1));
    const relation = facts.catalog.relation(intOf(entry, "relid"));
    if (relation === undefined || kindOfEntry(entry) !== "relation") return;
    for (const { attnum } of emptiedOf(relation)) add(keyOf(relation.oid, attnum), "predicate");
  }

  /** What fails, or goes another way, by a value tells of it as a condition does. */
  function children(expr: ServerNode, scope: Scope, position: Position): void {
    const quiet =
      position === "derived" ? quietChildren(expr, facts, (node) => isStored(node, scope)) : "all";
    for (const child of childrenOf(expr))
      expression(child, scope, quiet === "all" || quiet.has(child) ? position : "predicate");
  }

  function inside(value: Kept | undefined, scope: Scope, position: Position, read = expression): void {
    const nodes: ServerNode[] = [];
    collectNodes(value, nodes);
    for (const node of nodes) read(node, scope, position);
  }

  function subLink(link: ServerNode, scope: Scope, position: Position): void {
    const test = nodeOf(link, "testexpr");
    const place = demoted(position);
    // ANY and ALL read rows until one decides: which ones, and what they fail by, depends on the values.
    const at = place === "derived" && test !== null ? "predicate" : place;
    inside(link.kept("testexpr"), scope, at);
    const select = nodeOf(link, "subselect");
    if (select === null) throw new NotUnderstood("SUBLINK.subselect");
    const exists = subLinks[intOf(link, "subLinkType", -1)] === "exists";
    query(scopeOf(select, scope), {
      base: exists && at !== "owner" ? "predicate" : at,
      owner: at === "owner",
      lazy: false,
      compared: false,
      plainWhere: false,
      exists,
    });
  }

  function query(scope: Scope, level: Level): void {
    if (++depth > nesting * 4) throw new NotUnderstood("a query that is too deep");
    if (inspector !== null && !settled.has(scope)) inspector.query(scope);
    const node = scope.query;
    const condition: Position = level.owner ? "owner" : "predicate";
    const inner: Level = {
      base: level.base === "owner" ? "owner" : "output",
      owner: level.owner,
      lazy: level.lazy,
      compared: false,
      plainWhere: level.plainWhere,
      exists: false,
    };
    for (const cte of nodesOf(node, "cteList")) {
      const body = nodeOf(cte, "ctequery");
      if (body === null) throw new NotUnderstood("COMMONTABLEEXPR.ctequery");
      query(scopeOf(body, scope), inner);
    }
    const operation = nodeOf(node, "setOperations");
    const compared = new Set(
      operation === null
        ? []
        : leavesOf(operation)
            .filter((leaf) => leaf.compared)
            .map((leaf) => leaf.index),
    );
    scope.rtable.forEach((entry, i) => {
      // What a compared row is made of is traced from its own list: what else the queries below it list is not compared.
      rangeTable(entry, scope, level, { ...inner, compared: compared.has(i + 1) });
    });
    const join = nodeOf(node, "jointree");
    if (join !== null) fromClause(join, scope, condition, level.plainWhere && !level.owner);
    for (const field of ["havingQual", "limitOffset", "limitCount", "mergeJoinCondition"])
      inside(node.kept(field), scope, condition);
    for (const window of nodesOf(node, "windowClause")) {
      inside(window.kept("startOffset"), scope, condition);
      inside(window.kept("endOffset"), scope, condition);
    }
    for (const check of nodesOf(node, "withCheckOptions")) ownersCondition(check.kept("qual"), scope);
    switch (scope.command) {
      case "select":
        targets(scope, level, nodesOf(node, "targetList"));
        break;
      case "insert":
      case "update":
        assigns(scope, nodesOf(node, "targetList"), level.owner);
        break;
      case "merge":
        junk(scope, condition);
        for (const action of nodesOf(node, "mergeActionList")) {
          inside(action.kept("qual"), scope, condition);
          assigns(scope, nodesOf(action, "targetList"), level.owner);
        }
        break;
      case "delete":
        junk(scope, condition);
        break;
      case "other":
        throw new NotUnderstood("a statement of another kind behind a rule");
    }
    const conflict = nodeOf(node, "onConflict");
    if (conflict !== null) {
      for (const element of nodesOf(conflict, "arbiterElems"))
        bare(exprOf(element), scope, level.owner ? "owner" : "arbiter");
      inside(conflict.kept("arbiterWhere"), scope, condition);
      const only = nodeOf(conflict, "onConflictWhere");
      if (only !== null) where(only, scope, condition, level.plainWhere);
      assigns(scope, nodesOf(conflict, "onConflictSet"), level.owner);
    }
    if (scope.command !== "select") targets(scope, level, nodesOf(node, "returningList"));
    depth--;
  }

  function targets(scope: Scope, level: Level, entries: readonly ServerNode[]): void {
    const condition: Position = level.owner ? "owner" : "predicate";
    const counted = boolOf(scope.query, "hasTargetSRFs");
    const union = nodeOf(scope.query, "setOperations") !== null;
    for (const entry of entries) {
      const expr = exprOf(entry);
      const number = intOf(entry, "resno", -1);
      const sorted = intOf(entry, "ressortgroupref") !== 0;
      const read = (position: Position) => (): void => {
        // Above a set operation the expression names its first branch only.
        if (union) use(tracer.output(scope, number), position);
        else bare(expr, scope, position);
      };
      if (boolOf(entry, "resjunk")) expression(expr, scope, condition);
      else if (sorted || level.compared) {
        if (union) use(tracer.output(scope, number), condition);
        else expression(expr, scope, condition);
        if (level.owner && level.base !== "owner") wait(scope, number, read(level.base));
      } else if (level.exists && (expr.tag === "VAR" || expr.tag === "CONST")) {
        // EXISTS asks whether there are rows; what they list is not looked at.
      } else if (level.lazy && !counted) wait(scope, number, read(level.base));
      else read(level.base)();
    }
  }

  /** What DELETE and MERGE need beside what they say: rows to be found again by. */
  function junk(scope: Scope, condition: Position): void {
    for (const entry of nodesOf(scope.query, "targetList"))
      expression(exprOf(entry), scope, isTriggersRow(entry) ? "owner" : condition);
  }

  function wait(scope: Scope, number: number, read: () => void): void {
    const entries = waiting.get(scope) ?? new Map<number, () => void>();
    entries.set(number, read);
    waiting.set(scope, entries);
  }

  function assigns(scope: Scope, entries: readonly ServerNode[], owner: boolean): void {
    const relation = intOf(entryOf(scope, intOf(scope.query, "resultRelation", -1)), "relid");
    for (const entry of entries) {
      const expr = exprOf(entry);
      if (boolOf(entry, "resjunk")) {
        expression(expr, scope, isTriggersRow(entry) ? "owner" : "predicate");
        continue;
      }
      bare(expr, scope, "assigned");
      const attribute = intOf(entry, "resno", -1);
      assignments.push({
        target: { relation, attribute },
        name: facts.columnName(relation, attribute) ?? textOf(entry, "resname"),
        sources: sourcesOf(tracer.flow(expr, scope)),
      });
    }
    void owner;
  }

  function rangeTable(entry: ServerNode, scope: Scope, level: Level, inner: Level): void {
    const condition: Position = level.owner ? "owner" : "predicate";
    for (const item of itemsOf(entry, "securityQuals")) ownersCondition(item, scope);
    switch (kindOfEntry(entry)) {
      case "relation": {
        const sample = nodeOf(entry, "tablesample");
        if (sample !== null) children(sample, scope, condition);
        break;
      }
      case "subquery": {
        const node = nodeOf(entry, "subquery");
        if (node === null) throw new NotUnderstood("RANGETBLENTRY.subquery");
        const view = viewOf(entry) !== 0;
        const barrier = view && boolOf(entry, "security_barrier") && !callerReaches(node, facts);
        query(scopeOf(node, scope, viewOf(entry)), {
          ...inner,
          lazy: inner.lazy || view,
          owner: inner.owner || barrier,
        });
        break;
      }
      case "function":
        inside(entry.kept("functions"), scope, condition);
        break;
      case "tablefunc":
        inside(entry.kept("tablefunc"), scope, condition);
        break;
      case "values":
        inside(entry.kept("values_lists"), scope, level.owner ? "owner" : demoted(inner.base), whole);
        break;
      case "group":
        inside(entry.kept("groupexprs"), scope, condition);
        break;
      // A join's list names every column of both sides; those that are used stand elsewhere as well.
      case "join":
      case "cte":
      case "result":
        break;
      case "tuplestore":
        throw new NotUnderstood("a transition table");
    }
  }

  /** Row-level security, security-barrier views, WITH CHECK OPTION. */
  function ownersCondition(value: Kept | undefined, scope: Scope): void {
    const nodes: ServerNode[] = [];
    collectNodes(value, nodes);
    for (const node of nodes) expression(node, scope, callerReaches(node, facts) ? "predicate" : "owner");
  }

  function fromClause(node: ServerNode, scope: Scope, condition: Position, plainWhere: boolean): void {
    switch (node.tag) {
      case "RANGETBLREF":
        break;
      case "JOINEXPR":
        for (const side of ["larg", "rarg"]) {
          const child = nodeOf(node, side);
          if (child === null) throw new NotUnderstood(`JOINEXPR.${side}`);
          fromClause(child, scope, condition, false);
        }
        inside(node.kept("quals"), scope, condition);
        break;
      case "FROMEXPR": {
        for (const child of nodesOf(node, "fromlist")) fromClause(child, scope, condition, false);
        const quals = nodeOf(node, "quals");
        if (quals !== null) where(quals, scope, condition, plainWhere);
        break;
      }
      default:
        throw new NotUnderstood(`${node.tag} in FROM`);
    }
  }

  /** A WHERE: the members of a conjunction may be plain equalities with parameters or literals. */
  function where(quals: ServerNode, scope: Scope, condition: Position, plainWhere: boolean): void {
    if (plainWhere && quals.tag === "BOOLEXPR" && textOf(quals, "boolop") === "and") {
      for (const qual of nodesOf(quals, "args")) where(qual, scope, condition, true);
      return;
    }
    const operand = plainWhere ? isSingleEquality(quals, facts) : null;
    if (operand === null || !comparesAsStored(quals, operand, scope, scopes))
      expression(quals, scope, condition);
    else {
      bare(operand, scope, "equality");
      const { values, list } = comparedWith(quals, operand);
      for (const attribute of sourcesOf(tracer.flow(operand, scope)))
        comparisons.push({ ...attribute, values, list });
    }
  }

  const tops = queries.map((node) => scopes.of(node, null));
  for (const scope of tops) {
    // In a simple Query the server sends rows of what a rule adds, too, beside those that are described and masked.
    const added = !boolOf(scope.query, "canSetTag");
    const base: Position = added ? "predicate" : target && scope.command === "select" ? "assigned" : "output";
    query(scope, { base, owner: false, lazy: false, compared: false, plainWhere: true, exists: false });
    // What the statement returns is read.
    if (base !== "assigned") {
      const rows = tracer.output(scope, 0);
      if (added) beside.push(...sourcesOf(rows));
    }
    if (base !== "assigned") continue;
    for (const entry of nodesOf(scope.query, "targetList")) {
      if (boolOf(entry, "resjunk")) continue;
      const flow = tracer.output(scope, intOf(entry, "resno", -1));
      assignments.push({ target: null, name: textOf(entry, "resname"), sources: sourcesOf(flow) });
    }
  }
  for (let next = due.pop(); next !== undefined; next = due.pop()) next();
  return {
    uses: [...found.values()],
    inspected: inspector?.found() ?? [],
    assignments,
    comparisons,
    beside,
    tracer,
    scopes: tops,
  };
}

/**
 * The row that a view's INSTEAD OF trigger gets as OLD (ApplyRetrieveRule() and preptlist.c, "wholerow"). As with triggers of tables, what
 * is done with it is the owner's; a statement cannot name it.
 */
function isTriggersRow(entry: ServerNode): boolean {
  return boolOf(entry, "resjunk") && textOf(entry, "resname") === "wholerow" && isWholeRow(exprOf(entry));
}
