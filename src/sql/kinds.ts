/**
 * Every statement node of PostgreSQL 18's grammar → its kind and command tag (PostgreSQL's CreateCommandTag in
 * src/backend/tcop/utility.c; kinds follow GetCommandLogLevel there). A node that is not in the table is "unknown".
 */
import type { NodeName } from "./nodes.ts";
import { alterTag, objectName } from "./objects.ts";
import { makesTable } from "./peel.ts";
import { flagAt, type JsonObject, stringAt } from "./tree.ts";
import type { StatementKind } from "./types.ts";

/** All nodes whose name says that they are statements: tsc fails when a new grammar brings one more. */
export type StatementNode = Extract<NodeName, `${string}Stmt`>;

type Tag = string | ((node: JsonObject) => string);
type Entry = readonly [kind: StatementKind | ((node: JsonObject) => StatementKind), tag: Tag];

/** Nodes named …Stmt that never are a statement of their own. */
type InnerNode = "RawStmt" | "SetOperationStmt" | "ReturnStmt" | "PLAssignStmt" | "ReplicaIdentityStmt";

const alter =
  (field: string): Tag =>
  (node) =>
    alterTag(stringAt(node, field));

const table: Readonly<Record<Exclude<StatementNode, InnerNode>, Entry>> = {
  SelectStmt: [(node) => (makesTable("SelectStmt", node) ? "ddl" : "select"), "SELECT"],
  InsertStmt: ["insert", "INSERT"],
  UpdateStmt: ["update", "UPDATE"],
  DeleteStmt: ["delete", "DELETE"],
  MergeStmt: ["merge", "MERGE"],
  CopyStmt: ["copy", "COPY"],
  TruncateStmt: ["truncate", "TRUNCATE TABLE"],

  TransactionStmt: ["transaction", transactionTag],
  ConstraintsSetStmt: ["transaction", "SET CONSTRAINTS"],
  VariableSetStmt: [
    settingKind,
    (node) => (stringAt(node, "kind").startsWith("VAR_RESET") ? "RESET" : "SET"),
  ],
  VariableShowStmt: ["session", "SHOW"],
  DiscardStmt: ["session", (node) => `DISCARD ${stringAt(node, "target").replace("DISCARD_", "")}`],

  PrepareStmt: ["prepare", "PREPARE"],
  ExecuteStmt: ["execute", "EXECUTE"],
  DeallocateStmt: ["deallocate", (node) => (flagAt(node, "isall") ? "DEALLOCATE ALL" : "DEALLOCATE")],
  DeclareCursorStmt: ["declare", "DECLARE CURSOR"],
  FetchStmt: ["fetch", (node) => (flagAt(node, "ismove") ? "MOVE" : "FETCH")],
  ClosePortalStmt: [
    "close",
    (node) => (stringAt(node, "portalname") === "" ? "CLOSE CURSOR ALL" : "CLOSE CURSOR"),
  ],

  ExplainStmt: ["explain", "EXPLAIN"],
  CallStmt: ["call", "CALL"],
  DoStmt: ["do", "DO"],
  LockStmt: ["lock", "LOCK TABLE"],
  NotifyStmt: ["notify", "NOTIFY"],
  ListenStmt: ["listen", "LISTEN"],
  UnlistenStmt: ["listen", "UNLISTEN"],
  VacuumStmt: ["utility", (node) => (flagAt(node, "is_vacuumcmd") ? "VACUUM" : "ANALYZE")],
  ReindexStmt: ["utility", "REINDEX"],
  CheckPointStmt: ["utility", "CHECKPOINT"],
  LoadStmt: ["utility", "LOAD"],

  CreateTableAsStmt: ["ddl", createTableAsTag],
  RefreshMatViewStmt: ["ddl", "REFRESH MATERIALIZED VIEW"],
  ClusterStmt: ["ddl", "CLUSTER"],
  AlterSystemStmt: ["ddl", "ALTER SYSTEM"],
  GrantStmt: ["ddl", (node) => (flagAt(node, "is_grant") ? "GRANT" : "REVOKE")],
  GrantRoleStmt: ["ddl", (node) => (flagAt(node, "is_grant") ? "GRANT ROLE" : "REVOKE ROLE")],
  CommentStmt: ["ddl", "COMMENT"],
  SecLabelStmt: ["ddl", "SECURITY LABEL"],
  DropStmt: ["ddl", (node) => `DROP ${objectName(stringAt(node, "removeType"))}`],
  DropOwnedStmt: ["ddl", "DROP OWNED"],
  ReassignOwnedStmt: ["ddl", "REASSIGN OWNED"],
  ImportForeignSchemaStmt: ["ddl", "IMPORT FOREIGN SCHEMA"],

  RenameStmt: [
    "ddl",
    (node) => {
      const what = stringAt(node, "renameType");
      return alterTag(what === "OBJECT_COLUMN" ? stringAt(node, "relationType") : what);
    },
  ],
  AlterObjectDependsStmt: ["ddl", alter("objectType")],
  AlterObjectSchemaStmt: ["ddl", alter("objectType")],
  AlterOwnerStmt: ["ddl", alter("objectType")],
  AlterTableStmt: ["ddl", alter("objtype")],
  AlterTableMoveAllStmt: ["ddl", alter("objtype")],
  AlterFunctionStmt: ["ddl", alter("objtype")],
  DefineStmt: ["ddl", (node) => `CREATE ${objectName(stringAt(node, "kind"))}`],

  CreateSchemaStmt: ["ddl", "CREATE SCHEMA"],
  CreateStmt: ["ddl", "CREATE TABLE"],
  CreateForeignTableStmt: ["ddl", "CREATE FOREIGN TABLE"],
  ViewStmt: ["ddl", "CREATE VIEW"],
  IndexStmt: ["ddl", "CREATE INDEX"],
  CreateSeqStmt: ["ddl", "CREATE SEQUENCE"],
  AlterSeqStmt: ["ddl", "ALTER SEQUENCE"],
  CreateStatsStmt: ["ddl", "CREATE STATISTICS"],
  AlterStatsStmt: ["ddl", "ALTER STATISTICS"],
  RuleStmt: ["ddl", "CREATE RULE"],
  CreateTrigStmt: ["ddl", "CREATE TRIGGER"],
  CreateEventTrigStmt: ["ddl", "CREATE EVENT TRIGGER"],
  AlterEventTrigStmt: ["ddl", "ALTER EVENT TRIGGER"],
  CreatePolicyStmt: ["ddl", "CREATE POLICY"],
  AlterPolicyStmt: ["ddl", "ALTER POLICY"],
  CreateFunctionStmt: [
    "ddl",
    (node) => (flagAt(node, "is_procedure") ? "CREATE PROCEDURE" : "CREATE FUNCTION"),
  ],
  CreatePLangStmt: ["ddl", "CREATE LANGUAGE"],
  CreateCastStmt: ["ddl", "CREATE CAST"],
  CreateTransformStmt: ["ddl", "CREATE TRANSFORM"],
  CreateConversionStmt: ["ddl", "CREATE CONVERSION"],
  CreateAmStmt: ["ddl", "CREATE ACCESS METHOD"],
  CreateOpClassStmt: ["ddl", "CREATE OPERATOR CLASS"],
  CreateOpFamilyStmt: ["ddl", "CREATE OPERATOR FAMILY"],
  AlterOpFamilyStmt: ["ddl", "ALTER OPERATOR FAMILY"],
  AlterOperatorStmt: ["ddl", "ALTER OPERATOR"],
  CompositeTypeStmt: ["ddl", "CREATE TYPE"],
  CreateEnumStmt: ["ddl", "CREATE TYPE"],
  CreateRangeStmt: ["ddl", "CREATE TYPE"],
  AlterEnumStmt: ["ddl", "ALTER TYPE"],
  AlterTypeStmt: ["ddl", "ALTER TYPE"],
  CreateDomainStmt: ["ddl", "CREATE DOMAIN"],
  AlterDomainStmt: ["ddl", "ALTER DOMAIN"],
  AlterCollationStmt: ["ddl", "ALTER COLLATION"],
  AlterTSDictionaryStmt: ["ddl", "ALTER TEXT SEARCH DICTIONARY"],
  AlterTSConfigurationStmt: ["ddl", "ALTER TEXT SEARCH CONFIGURATION"],
  AlterDefaultPrivilegesStmt: ["ddl", "ALTER DEFAULT PRIVILEGES"],

  CreatedbStmt: ["ddl", "CREATE DATABASE"],
  AlterDatabaseStmt: ["ddl", "ALTER DATABASE"],
  AlterDatabaseSetStmt: ["ddl", "ALTER DATABASE"],
  AlterDatabaseRefreshCollStmt: ["ddl", "ALTER DATABASE"],
  DropdbStmt: ["ddl", "DROP DATABASE"],
  CreateTableSpaceStmt: ["ddl", "CREATE TABLESPACE"],
  AlterTableSpaceOptionsStmt: ["ddl", "ALTER TABLESPACE"],
  DropTableSpaceStmt: ["ddl", "DROP TABLESPACE"],
  CreateRoleStmt: ["ddl", "CREATE ROLE"],
  AlterRoleStmt: ["ddl", "ALTER ROLE"],
  AlterRoleSetStmt: ["ddl", "ALTER ROLE"],
  DropRoleStmt: ["ddl", "DROP ROLE"],
  CreateExtensionStmt: ["ddl", "CREATE EXTENSION"],
  AlterExtensionStmt: ["ddl", "ALTER EXTENSION"],
  AlterExtensionContentsStmt: ["ddl", "ALTER EXTENSION"],
  CreateFdwStmt: ["ddl", "CREATE FOREIGN DATA WRAPPER"],
  AlterFdwStmt: ["ddl", "ALTER FOREIGN DATA WRAPPER"],
  CreateForeignServerStmt: ["ddl", "CREATE SERVER"],
  AlterForeignServerStmt: ["ddl", "ALTER SERVER"],
  CreateUserMappingStmt: ["ddl", "CREATE USER MAPPING"],
  AlterUserMappingStmt: ["ddl", "ALTER USER MAPPING"],
  DropUserMappingStmt: ["ddl", "DROP USER MAPPING"],
  CreatePublicationStmt: ["ddl", "CREATE PUBLICATION"],
  AlterPublicationStmt: ["ddl", "ALTER PUBLICATION"],
  CreateSubscriptionStmt: ["ddl", "CREATE SUBSCRIPTION"],
  AlterSubscriptionStmt: ["ddl", "ALTER SUBSCRIPTION"],
  DropSubscriptionStmt: ["ddl", "DROP SUBSCRIPTION"],
};
const entries: ReadonlyMap<string, Entry> = new Map(Object.entries(table));

/** Nodes named …Stmt that the grammar only puts inside other statements. They stay "unknown" at the top. */
export const innerNodes: readonly InnerNode[] = [
  "RawStmt",
  "SetOperationStmt",
  "ReturnStmt",
  "PLAssignStmt",
  "ReplicaIdentityStmt",
];

/** The names of all classified statement nodes. */
export function classifiedNodes(): string[] {
  return [...entries.keys()];
}

/** What the statement with top node `name` is; kind "unknown" and command "" for a node that is not classified. */
export function classify(name: string, node: JsonObject): { kind: StatementKind; command: string } {
  const entry = entries.get(name);
  if (entry === undefined) return { kind: "unknown", command: "" };
  const [kind, tag] = entry;
  return {
    kind: typeof kind === "function" ? kind(node) : kind,
    command: typeof tag === "function" ? tag(node) : tag,
  };
}

/** SET TRANSACTION speaks of the running transaction only; SET SESSION CHARACTERISTICS of the session. */
function settingKind(node: JsonObject): StatementKind {
  const name = stringAt(node, "name");
  const multiple = stringAt(node, "kind") === "VAR_SET_MULTI";
  return multiple && (name === "TRANSACTION" || name === "TRANSACTION SNAPSHOT") ? "transaction" : "session";
}

const transactionTags: ReadonlyMap<string, string> = new Map([
  ["TRANS_STMT_BEGIN", "BEGIN"],
  ["TRANS_STMT_START", "START TRANSACTION"],
  ["TRANS_STMT_COMMIT", "COMMIT"],
  ["TRANS_STMT_ROLLBACK", "ROLLBACK"],
  ["TRANS_STMT_SAVEPOINT", "SAVEPOINT"],
  ["TRANS_STMT_RELEASE", "RELEASE"],
  ["TRANS_STMT_ROLLBACK_TO", "ROLLBACK"],
  ["TRANS_STMT_PREPARE", "PREPARE TRANSACTION"],
  ["TRANS_STMT_COMMIT_PREPARED", "COMMIT PREPARED"],
  ["TRANS_STMT_ROLLBACK_PREPARED", "ROLLBACK PREPARED"],
]);
function transactionTag(node: JsonObject): string {
  return transactionTags.get(stringAt(node, "kind")) ?? "";
}

function createTableAsTag(node: JsonObject): string {
  return stringAt(node, "objtype") === "OBJECT_MATVIEW" ? "CREATE MATERIALIZED VIEW" : "CREATE TABLE AS";
}
