/** What statements say, read without a server: the room's public face. */
export { sqlCommenter } from "./comment.ts";
export { defaultLimits, type SqlLimits } from "./limits.ts";
export { createSqlReader, type SqlReader, type SqlReaderOptions, type SqlReaderStats } from "./reader.ts";
export {
  type MessageText,
  type NameEffect,
  type StatementKind,
  type StatementShape,
  type StatementText,
  statementKinds,
  type Unread,
} from "./types.ts";
