/** The reader of the server's parse-tree text: the room's door to it. */
export { boolOf, intOf, isNode, itemsOf, nodeOf, nodesOf, numbersOf, textOf } from "./access.ts";
export { readServerTree } from "./read.ts";
export type { Kept, ServerNode } from "./types.ts";
