/** SQL laid out for reading. Loaded when first needed. */
import { formatDialect, postgresql } from "sql-formatter";
import { sameTokens } from "./sql.ts";

/** Longer texts are shown as they are. */
export const maxFormatted = 40_000;

/**
 * Lays `sql` out over lines; null: it could not be, or the result would not be the same statement token by token (then
 * only the exact text may be shown).
 */
export function formatSql(sql: string): string | null {
  if (sql.length > maxFormatted) return null;
  try {
    const formatted = formatDialect(sql, {
      dialect: postgresql,
      keywordCase: "preserve",
      tabWidth: 2,
      expressionWidth: 70,
    });
    return sameTokens(sql, formatted) ? formatted : null;
  } catch {
    return null;
  }
}
