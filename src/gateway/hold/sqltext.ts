/** Texts as constants of SQL, for questions of the gateway's own. */

/** A string constant that reads the same whatever standard_conforming_strings is (PostgreSQL manual, "String Constants with C-Style Escapes"). */
export function literal(text: string): string {
  return `E'${text.replaceAll("\0", "").replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** An array of texts. */
export function textArray(texts: readonly string[]): string {
  return `ARRAY[${texts.map(literal).join(",")}]::pg_catalog.text[]`;
}
