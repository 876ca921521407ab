/** A statement with its parameters' values where they stand, for people to read. Never sent anywhere. Pure. */
import type { HeldParameter } from "../../facts/approval.ts";
import { Lexer, token } from "../../sql/lexer.ts";

/** $n outside of strings, names and comments is replaced; a text that cannot be read stays as it is. */
export function inPlace(sql: string, parameters: readonly HeldParameter[]): string {
  if (parameters.length === 0) return sql;
  const lexer = new Lexer(sql);
  let shown = "";
  try {
    for (let kind = lexer.next(); kind !== token.end; kind = lexer.next()) {
      const piece = sql.slice(lexer.start, lexer.end);
      const parameter = kind === token.parameter ? parameters[Number(piece.slice(1)) - 1] : undefined;
      shown += parameter === undefined ? piece : literalOf(parameter);
    }
  } catch {
    return sql;
  }
  return shown;
}

/** As a literal would be written; never cut, so that nothing hides behind its end. */
export function literalOf({ type, text, bytes }: HeldParameter): string {
  if (text === null) return "NULL";
  if (text === undefined) return `'base64:${bytes ?? ""}'::${type}`;
  if (/^(int2|int4|int8|float4|float8|numeric|oid)$/.test(type) && /^-?\d+(\.\d+)?$/.test(text)) return text;
  return `'${text.replaceAll("'", "''")}'`;
}
