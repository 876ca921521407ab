/** What each statement node entails by itself (SPEC.md section 3, `statement.effects`), whatever stands around it. */
import type { Effect } from "../facts/effects.ts";
import type { StatementNode } from "./kinds.ts";
import { flagAt, isObject, type JsonObject, objectAt, stringAt } from "./tree.ts";

type Entry = readonly Effect[] | ((node: JsonObject) => readonly Effect[]);

const none: readonly Effect[] = [];
const write: readonly Effect[] = ["write"];
const ddl: readonly Effect[] = ["ddl"];
const admin: readonly Effect[] = ["admin", "ddl"];

/** Nodes named …Stmt that are nothing by themselves. SET and its kin are judged by setting (settings/judge.ts). */
const table: Readonly<Record<StatementNode, Entry>> = {
  SelectStmt: selectEffects,
  InsertStmt: write,
  UpdateStmt: write,
  DeleteStmt: write,
  MergeStmt: write,
  CopyStmt: copyEffects,
  TruncateStmt: write,

  TransactionStmt: transactionEffects,
  ConstraintsSetStmt: none,
  VariableSetStmt: none,
  VariableShowStmt: none,
  DiscardStmt: none,
  PrepareStmt: none,
  ExecuteStmt: none,
  DeallocateStmt: none,
  DeclareCursorStmt: none,
  FetchStmt: none,
  ClosePortalStmt: none,
  ExplainStmt: none,

  CallStmt: ["execute"],
  DoStmt: ["execute"],
  LockStmt: ["lock"],
  // What is notified reaches other sessions, and LISTEN brings what they say into this one.
  NotifyStmt: ["session"],
  ListenStmt: ["session"],
  UnlistenStmt: none,
  VacuumStmt: ["admin"],
  ReindexStmt: ["admin", "lock"],
  CheckPointStmt: ["admin"],
  LoadStmt: ["admin", "execute", "file"],

  CreateTableAsStmt: ["ddl", "write"],
  RefreshMatViewStmt: ["ddl", "write"],
  ClusterStmt: ["admin", "ddl", "lock"],
  AlterSystemStmt: admin,
  GrantStmt: admin,
  GrantRoleStmt: admin,
  AlterDefaultPrivilegesStmt: admin,
  CommentStmt: ddl,
  SecLabelStmt: admin,
  DropStmt: ddl,
  DropOwnedStmt: admin,
  ReassignOwnedStmt: admin,
  ImportForeignSchemaStmt: ["ddl", "network"],

  RenameStmt: ddl,
  AlterObjectDependsStmt: ddl,
  AlterObjectSchemaStmt: ddl,
  AlterOwnerStmt: admin,
  AlterTableStmt: alterTableEffects,
  AlterTableMoveAllStmt: ddl,
  AlterFunctionStmt: ddl,
  DefineStmt: ddl,
  CreateSchemaStmt: ddl,
  CreateStmt: ddl,
  CreateForeignTableStmt: ddl,
  ViewStmt: ddl,
  IndexStmt: ddl,
  CreateSeqStmt: ddl,
  AlterSeqStmt: ddl,
  CreateStatsStmt: ddl,
  AlterStatsStmt: ddl,
  RuleStmt: ddl,
  CreateTrigStmt: ddl,
  CreateEventTrigStmt: admin,
  AlterEventTrigStmt: admin,
  CreatePolicyStmt: admin,
  AlterPolicyStmt: admin,
  CreateFunctionStmt: ddl,
  CreatePLangStmt: admin,
  CreateCastStmt: ddl,
  CreateTransformStmt: ddl,
  CreateConversionStmt: ddl,
  CreateAmStmt: admin,
  CreateOpClassStmt: ddl,
  CreateOpFamilyStmt: ddl,
  AlterOpFamilyStmt: ddl,
  AlterOperatorStmt: ddl,
  CompositeTypeStmt: ddl,
  CreateEnumStmt: ddl,
  CreateRangeStmt: ddl,
  AlterEnumStmt: ddl,
  AlterTypeStmt: ddl,
  CreateDomainStmt: ddl,
  AlterDomainStmt: ddl,
  AlterCollationStmt: ddl,
  AlterTSDictionaryStmt: ddl,
  AlterTSConfigurationStmt: ddl,
  ReplicaIdentityStmt: none,

  CreatedbStmt: admin,
  AlterDatabaseStmt: admin,
  AlterDatabaseSetStmt: admin,
  AlterDatabaseRefreshCollStmt: admin,
  DropdbStmt: admin,
  CreateTableSpaceStmt: ["admin", "ddl", "file"],
  AlterTableSpaceOptionsStmt: admin,
  DropTableSpaceStmt: ["admin", "ddl", "file"],
  CreateRoleStmt: admin,
  AlterRoleStmt: admin,
  AlterRoleSetStmt: admin,
  DropRoleStmt: admin,
  // Its script runs, and may load libraries.
  CreateExtensionStmt: ["admin", "ddl", "execute"],
  AlterExtensionStmt: ["admin", "ddl", "execute"],
  AlterExtensionContentsStmt: admin,
  CreateFdwStmt: admin,
  AlterFdwStmt: admin,
  CreateForeignServerStmt: admin,
  AlterForeignServerStmt: admin,
  CreateUserMappingStmt: admin,
  AlterUserMappingStmt: admin,
  DropUserMappingStmt: admin,
  CreatePublicationStmt: admin,
  AlterPublicationStmt: admin,
  CreateSubscriptionStmt: ["admin", "ddl", "network"],
  AlterSubscriptionStmt: ["admin", "ddl", "network"],
  DropSubscriptionStmt: ["admin", "ddl", "network"],

  // Parts of others; the walk refuses the first three where they have no place.
  RawStmt: none,
  SetOperationStmt: none,
  PLAssignStmt: none,
  ReturnStmt: none,
};
const entries: ReadonlyMap<string, Entry> = new Map(Object.entries(table));

/** The effects of the statement node of type `name`; none for nodes that are no statements. */
export function nodeEffects(name: string, node: JsonObject): readonly Effect[] {
  const entry = entries.get(name);
  if (entry === undefined) return none;
  return typeof entry === "function" ? entry(node) : entry;
}

function selectEffects(node: JsonObject): readonly Effect[] {
  const effects: Effect[] = [];
  // SELECT … INTO makes a table. FOR UPDATE and its kin lock rows, and write the locks into them.
  if (isObject(node.intoClause)) effects.push("ddl", "write");
  if (node.lockingClause !== undefined) effects.push("lock");
  return effects;
}

function copyEffects(node: JsonObject): readonly Effect[] {
  const effects: Effect[] = flagAt(node, "is_from") ? ["write"] : [];
  if (flagAt(node, "is_program")) effects.push("execute", "file");
  else if (stringAt(node, "filename") !== "") effects.push("file");
  return effects;
}

/** Who owns a table, and whether row filters hold, decides who may see its rows. */
function alterTableEffects(node: JsonObject): readonly Effect[] {
  const commands: readonly unknown[] = Array.isArray(node.cmds) ? node.cmds : [];
  const grave = commands.some((command) =>
    /^AT_(?:ChangeOwner|.*RowSecurity)$/.test(stringAt(objectAt(command, "AlterTableCmd"), "subtype")),
  );
  return grave ? admin : ddl;
}

/** Two-phase transactions hold their locks beyond the session, and end those of other sessions. */
function transactionEffects(node: JsonObject): readonly Effect[] {
  const kind = stringAt(node, "kind");
  return kind.includes("PREPARE") ? ["admin"] : none;
}
