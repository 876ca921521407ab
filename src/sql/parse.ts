/** The bare tree of a text, for those who read one themselves: bodies of functions, the static fallback of the analysis. */
import { defaultLimits } from "./limits.ts";
import { parsers } from "./parser.ts";
import { checkText, scan, withoutBridges } from "./scan.ts";
import { type JsonObject, nodeOf } from "./tree.ts";
import { Walk } from "./walk.ts";

/**
 * The statements of `text` as libpg-query gives them ({ "SelectStmt": { … } }, …), each node of a known type. null: not SQL, over
 * the limits of what is parsed on the event loop (64 KiB), or of a node that this version does not know. Never throws. Not cached.
 */
export function parseSql(text: string): readonly JsonObject[] | null {
  try {
    if (checkText(text, defaultLimits) > defaultLimits.inlineBytes) return null;
    const { bridged } = scan(text, defaultLimits);
    const nodes = parsers.parse(withoutBridges(text, bridged)).map(({ node }) => node);
    return nodes.every(known) ? nodes : null;
  } catch {
    return null;
  }
}

function known(statement: JsonObject): boolean {
  const top = nodeOf(statement);
  return top !== null && new Walk(new Map()).run(top.name, top.node).unknown === null;
}
