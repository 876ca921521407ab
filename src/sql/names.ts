/** What statements do to the session's named statements and cursors (manual: PREPARE, EXECUTE, DEALLOCATE, DECLARE, …). */
import { Lexer, token } from "./lexer.ts";
import { flagAt, type JsonObject, nodeOf, stringAt } from "./tree.ts";
import type { NameEffect } from "./types.ts";

/**
 * The effects of one statement. `text` with `start` and `end` is its source, from which the inner statement of PREPARE and
 * DECLARE is cut.
 */
export function nameEffects(
  name: string,
  node: JsonObject,
  text: string,
  start: number,
  end: number,
): NameEffect[] {
  switch (name) {
    case "PrepareStmt":
      return [{ kind: "prepare", name: stringAt(node, "name"), text: innerText(text, start, end, "as") }];
    case "DeclareCursorStmt":
      return [
        { kind: "declare", name: stringAt(node, "portalname"), text: innerText(text, start, end, "for") },
      ];
    case "ExecuteStmt":
      return [{ kind: "execute", name: stringAt(node, "name") }];
    case "DeallocateStmt":
      return flagAt(node, "isall")
        ? [{ kind: "deallocate-all", name: null }]
        : [{ kind: "deallocate", name: stringAt(node, "name") }];
    case "FetchStmt":
      return [{ kind: "fetch", name: stringAt(node, "portalname") }];
    case "ClosePortalStmt": {
      const cursor = stringAt(node, "portalname");
      return cursor === "" ? [{ kind: "close-all", name: null }] : [{ kind: "close", name: cursor }];
    }
    case "DiscardStmt":
      return stringAt(node, "target") === "DISCARD_ALL" ? [{ kind: "discard-all", name: null }] : [];
    case "ExplainStmt":
    case "CreateTableAsStmt":
      return executed(node);
    default:
      return [];
  }
}

/** EXPLAIN and CREATE TABLE AS run EXECUTE, also one inside the other; EXPLAIN DECLARE declares nothing. */
function executed(wrapper: JsonObject): NameEffect[] {
  let inner = nodeOf(wrapper.query);
  while (inner !== null && (inner.name === "ExplainStmt" || inner.name === "CreateTableAsStmt"))
    inner = nodeOf(inner.node.query);
  return inner?.name === "ExecuteStmt" ? [{ kind: "execute", name: stringAt(inner.node, "name") }] : [];
}

/**
 * The statement behind PREPARE … AS or DECLARE … FOR, without semicolon and comments at its ends. Both words are reserved,
 * so the first one outside brackets is the one meant.
 */
function innerText(text: string, start: number, end: number, keyword: "as" | "for"): string {
  const lexer = new Lexer(text, start, end);
  let depth = 0;
  let found = false;
  let from = -1;
  let to = -1;
  for (let kind = lexer.next(); kind !== token.end; kind = lexer.next()) {
    if (kind === token.space || kind === token.comment) continue;
    const piece = kind === token.punctuation || kind === token.word ? text.slice(lexer.start, lexer.end) : "";
    if (!found) {
      if (piece === "(") depth++;
      else if (piece === ")") depth--;
      else if (depth === 0 && kind === token.word && piece.toLowerCase() === keyword) found = true;
    } else if (piece !== ";") {
      if (from < 0) from = lexer.start;
      to = lexer.end;
    }
  }
  return from < 0 ? "" : text.slice(from, to);
}
