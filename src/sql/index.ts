/** What statements say, read without a server: the room's public face. */

export { ByteCache } from "./cache.ts";
export { sqlCommenter } from "./comment.ts";
export {
  type CopyFacts,
  type Definition,
  emptyFacts,
  type NamedRelation,
  opaqueFacts,
  type QualifiedName,
  type Renames,
  type StaticFacts,
  type TreeText,
} from "./facts.ts";
export { parseSql } from "./parse.ts";
export { createSqlReader, type SqlReader } from "./reader.ts";
export { gravest, meansOthers } from "./renames.ts";
export { looksSecret } from "./secrets.ts";
export {
  judgeReset,
  judgeSetting,
  judgeShow,
  settledSettings,
} from "./settings/judge.ts";
export { setsRow } from "./settings/row.ts";
export { identifiers } from "./settings/values.ts";
export { treeTexts } from "./trees.ts";
export type { MessageText, NameEffect, StatementShape, StatementText } from "./types.ts";
