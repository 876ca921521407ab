/** What would be allowed in place of what was refused, by the refusal's code (docs/errors.md). Holds nothing of the statement. */

const plainOutput =
  "the column as a plain output column, where its values come back masked; conditions, joins and ordering by other columns";
const plainSql = "the same question in plain SELECT, INSERT, UPDATE or DELETE with built-in functions";

const instead: Readonly<Record<string, string>> = {
  PROTECTED_PREDICATE: plainOutput,
  PROTECTED_EXPRESSION:
    "the column by itself in the list of outputs, without function, cast or operator around it",
  PROTECTED_COLUMN: "the other columns of the table, by name",
  PROTECTED_WRITE: "writing other columns, or a target that is protected alike",
  PROTECTED_CATALOG: "names and types of tables and columns, from information_schema.columns",
  PROTECTED_EXPLAIN: "EXPLAIN without that condition, ANALYZE or SERIALIZE",
  PROTECTED_COPY: "COPY in text or CSV format and UTF8, or a SELECT",
  UNSAFE_FUNCTION: "functions of PostgreSQL itself that only compute a value",
  STATEMENT_NOT_UNDERSTOOD: plainSql,
  ANALYSIS_NOT_UNDERSTOOD: plainSql,
  ANALYSIS_TOO_DEEP: "the same in smaller parts",
  NOT_UNDERSTOOD: plainSql,
  SEND_ALONE: "the statements one by one",
  SEVERAL_STATEMENTS: "the statements one by one",
  READ_ONLY: "statements that read",
  FUNCTION_CALL: "the function in a SELECT",
  ROW_LIMIT: "fewer rows: a LIMIT, a narrower WHERE, or an aggregate",
  BYTE_LIMIT: "fewer or shorter columns, or fewer rows",
  TIME_LIMIT: "a narrower WHERE, by indexed columns",
  AFFECTED_ROWS_LIMIT: "a WHERE that names fewer rows",
  NOT_COUNTABLE: "one plain INSERT, UPDATE, DELETE or MERGE at a time",
  STATEMENT_TOO_LARGE: "values as parameters, or smaller statements",
};

/** undefined: nothing that can be said without knowing the policy, which the message and hint do. */
export function allowedInstead(code: string): string | undefined {
  return Object.hasOwn(instead, code) ? instead[code] : undefined;
}
