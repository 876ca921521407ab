/** What statements say, read without a server: the room's public face. */
export { sqlCommenter } from "./comment.ts";
export { createSqlReader, type SqlReader } from "./reader.ts";
export type { MessageText, NameEffect, StatementShape } from "./types.ts";
