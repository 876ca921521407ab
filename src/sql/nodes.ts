/**
 * Every node type of libpg-query 18's tree, classified (a test compares the tables with the parser's own type list; tsc fails
 * when one is missing). A node that is not here, or that a raw tree never holds, makes its statement refused.
 */
import type { Node } from "libpg-query";

export type NodeName = Node extends infer Each ? (Each extends Each ? keyof Each : never) : never;

/**
 * - `query`: SELECT, INSERT, UPDATE, DELETE, MERGE, and EXECUTE: their literals are values
 * - `utility`: every other statement: whatever its literals are, they matter (MASKING.md section 1.5)
 * - `pass`: a part whose literals are values unless something above it says otherwise
 * - `exact`: a part whose literals may decide what is touched: function and table-function arguments, paths, type modifiers, options
 * - `leaf`: holds no nodes worth a visit
 * - `analysed`: made by PostgreSQL's parse analysis or planner, never by its grammar
 */
export type NodeClass = "query" | "utility" | "pass" | "exact" | "leaf" | "analysed";

const classes: { readonly [Class in NodeClass]: string } = {
  query: "SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt ExecuteStmt",
  utility: `CopyStmt TruncateStmt TransactionStmt ConstraintsSetStmt VariableSetStmt VariableShowStmt DiscardStmt PrepareStmt
    DeallocateStmt DeclareCursorStmt FetchStmt ClosePortalStmt ExplainStmt CallStmt DoStmt LockStmt NotifyStmt
    ListenStmt UnlistenStmt VacuumStmt ReindexStmt CheckPointStmt LoadStmt CreateTableAsStmt RefreshMatViewStmt ClusterStmt
    AlterSystemStmt GrantStmt GrantRoleStmt CommentStmt SecLabelStmt DropStmt DropOwnedStmt ReassignOwnedStmt
    ImportForeignSchemaStmt RenameStmt AlterObjectDependsStmt AlterObjectSchemaStmt AlterOwnerStmt AlterTableStmt
    AlterTableMoveAllStmt AlterFunctionStmt DefineStmt CreateSchemaStmt CreateStmt CreateForeignTableStmt ViewStmt IndexStmt
    CreateSeqStmt AlterSeqStmt CreateStatsStmt AlterStatsStmt RuleStmt CreateTrigStmt CreateEventTrigStmt AlterEventTrigStmt
    CreatePolicyStmt AlterPolicyStmt CreateFunctionStmt CreatePLangStmt CreateCastStmt CreateTransformStmt CreateConversionStmt
    CreateAmStmt CreateOpClassStmt CreateOpFamilyStmt AlterOpFamilyStmt AlterOperatorStmt CompositeTypeStmt CreateEnumStmt
    CreateRangeStmt AlterEnumStmt AlterTypeStmt CreateDomainStmt AlterDomainStmt AlterCollationStmt AlterTSDictionaryStmt
    AlterTSConfigurationStmt AlterDefaultPrivilegesStmt CreatedbStmt AlterDatabaseStmt AlterDatabaseSetStmt
    AlterDatabaseRefreshCollStmt DropdbStmt CreateTableSpaceStmt AlterTableSpaceOptionsStmt DropTableSpaceStmt CreateRoleStmt
    AlterRoleStmt AlterRoleSetStmt DropRoleStmt CreateExtensionStmt AlterExtensionStmt AlterExtensionContentsStmt CreateFdwStmt
    AlterFdwStmt CreateForeignServerStmt AlterForeignServerStmt CreateUserMappingStmt AlterUserMappingStmt DropUserMappingStmt
    CreatePublicationStmt AlterPublicationStmt CreateSubscriptionStmt AlterSubscriptionStmt DropSubscriptionStmt
    ReturnStmt ReplicaIdentityStmt`,
  pass: `List Alias RangeVar IntoClause GroupingFunc NamedArgExpr BoolExpr SubLink CaseExpr CaseWhen RowExpr CoalesceExpr MinMaxExpr
    NullTest BooleanTest MergeSupportFunc SetToDefault CurrentOfExpr JoinExpr ColumnRef ParamRef A_Expr TypeCast CollateClause
    FuncCall A_Star A_Indices A_Indirection A_ArrayExpr ResTarget MultiAssignRef SortBy WindowDef RangeSubselect RangeFunction
    LockingClause GroupingSet WithClause InferClause IndexElem OnConflictClause CTESearchClause CTECycleClause CommonTableExpr
    MergeWhenClause ReturningOption ReturningClause SQLValueFunction A_Const`,
  exact: `TypeName XmlExpr XmlSerialize JsonFormat JsonReturning JsonValueExpr JsonIsPredicate JsonBehavior JsonOutput JsonArgument
    JsonFuncExpr JsonTablePathSpec JsonTable JsonTableColumn JsonKeyValue JsonParseExpr JsonScalarExpr JsonSerializeExpr
    JsonObjectConstructor JsonArrayConstructor JsonArrayQueryConstructor JsonAggConstructor JsonObjectAgg JsonArrayAgg
    RangeTableFunc RangeTableFuncCol RangeTableSample ColumnDef TableLikeClause DefElem RoleSpec PartitionElem PartitionSpec
    PartitionBoundSpec PartitionRangeDatum PartitionCmd TriggerTransition AlterTableCmd ATAlterConstraint ObjectWithArgs
    AccessPriv Constraint CreateOpClassItem StatsElem FunctionParameter VacuumRelation PublicationTable PublicationObjSpec`,
  leaf: "Integer Float Boolean String BitString",
  analysed: `ParseResult ScanResult ScanToken SummaryResult Table Function FilterColumn RawStmt OidList IntList TableFunc Var Param Aggref
    WindowFunc WindowFuncRunCondition SubscriptingRef FuncExpr OpExpr DistinctExpr NullIfExpr ScalarArrayOpExpr SubPlan
    AlternativeSubPlan FieldSelect FieldStore RelabelType CoerceViaIO ArrayCoerceExpr ConvertRowtypeExpr CollateExpr CaseTestExpr
    ArrayExpr RowCompareExpr JsonConstructorExpr JsonExpr JsonTablePath JsonTablePathScan JsonTableSiblingJoin MergeAction
    CoerceToDomain CoerceToDomainValue NextValueExpr InferenceElem ReturningExpr TargetEntry RangeTblRef FromExpr OnConflictExpr
    Query RangeTblEntry RTEPermissionInfo RangeTblFunction TableSampleClause WithCheckOption SortGroupClause WindowClause
    RowMarkClause SetOperationStmt PLAssignStmt InlineCodeBlock CallContext`,
};

/** Node type → its class. */
export const nodeClasses: ReadonlyMap<string, NodeClass> = new Map(
  Object.entries(classes).flatMap(([kind, names]) =>
    names.split(/\s+/).map((name): [string, NodeClass] => [name, kind as NodeClass]),
  ),
);

/** Fields whose node is written without its type's name, because it can only be of one type. */
const embedded: ReadonlyMap<string, NodeName> = new Map<string, NodeName>([
  ["action", "GrantStmt"],
  ["alias", "Alias"],
  ["argType", "TypeName"],
  ["authrole", "RoleSpec"],
  ["base", "CreateStmt"],
  ["boolval", "Boolean"],
  ["bound", "PartitionBoundSpec"],
  ["bsval", "BitString"],
  ["collClause", "CollateClause"],
  ["constrrel", "RangeVar"],
  ["constructor", "JsonAggConstructor"],
  ["context_item", "JsonValueExpr"],
  ["cycle_clause", "CTECycleClause"],
  ["datatype", "TypeName"],
  ["expr", "JsonValueExpr"],
  ["extname", "String"],
  ["format", "JsonFormat"],
  ["fromsql", "ObjectWithArgs"],
  ["func", "ObjectWithArgs"],
  ["funccall", "FuncCall"],
  ["fval", "Float"],
  ["grantor", "RoleSpec"],
  ["identitySequence", "RangeVar"],
  ["infer", "InferClause"],
  ["into", "IntoClause"],
  ["intoClause", "IntoClause"],
  ["ival", "Integer"],
  ["join_using_alias", "Alias"],
  ["larg", "SelectStmt"],
  ["newowner", "RoleSpec"],
  ["newrole", "RoleSpec"],
  ["ofTypename", "TypeName"],
  ["onConflictClause", "OnConflictClause"],
  ["on_empty", "JsonBehavior"],
  ["on_error", "JsonBehavior"],
  ["opername", "ObjectWithArgs"],
  ["output", "JsonOutput"],
  ["over", "WindowDef"],
  ["owner", "RoleSpec"],
  ["partbound", "PartitionBoundSpec"],
  ["partspec", "PartitionSpec"],
  ["pathspec", "JsonTablePathSpec"],
  ["pktable", "RangeVar"],
  ["pubtable", "PublicationTable"],
  ["rarg", "SelectStmt"],
  ["rel", "RangeVar"],
  ["relation", "RangeVar"],
  ["returnType", "TypeName"],
  ["returning", "JsonReturning"],
  ["returningClause", "ReturningClause"],
  ["role", "RoleSpec"],
  ["search_clause", "CTESearchClause"],
  ["sequence", "RangeVar"],
  ["setstmt", "VariableSetStmt"],
  ["sourcetype", "TypeName"],
  ["storedtype", "TypeName"],
  ["sval", "String"],
  ["table", "RangeVar"],
  ["targettype", "TypeName"],
  ["tosql", "ObjectWithArgs"],
  ["typeName", "TypeName"],
  ["type_name", "TypeName"],
  ["typevar", "RangeVar"],
  ["user", "RoleSpec"],
  ["value", "JsonValueExpr"],
  ["view", "RangeVar"],
  ["withClause", "WithClause"],
]);
/** Field names that stand for several types. */
const embeddedIn: ReadonlyMap<string, NodeName> = new Map<string, NodeName>([
  ["JsonObjectAgg.arg", "JsonKeyValue"],
  ["JsonArrayAgg.arg", "JsonValueExpr"],
  ["CreateOpClassItem.name", "ObjectWithArgs"],
  ["PartitionCmd.name", "RangeVar"],
  ["JsonArgument.val", "JsonValueExpr"],
]);

/** The type of the node that stands bare in `field` of a node of type `parent`; undefined: this version knows none. */
export function embeddedType(parent: string, field: string): NodeName | undefined {
  return embedded.get(field) ?? embeddedIn.get(`${parent}.${field}`);
}
