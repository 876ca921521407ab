/** A simple query whose rows are read as text: what the catalog is loaded with. */
import { decodeDataRow, decodeErrorFields, encodeQuery, type Frame } from "../../protocol/index.ts";

/** The server refused a question of the gateway's own. */
export class QuestionRefused extends Error {
  override readonly name = "QuestionRefused";
  readonly sqlstate: string;
  constructor(sqlstate: string) {
    super(`the server refused a question about its catalog (SQLSTATE ${sqlstate})`);
    this.sqlstate = sqlstate;
  }
}

/**
 * Runs one statement through `run` and gives its rows, NULL as null.
 * Rejects with QuestionRefused, or with what `run` rejects with.
 */
export async function queryRows(
  run: (request: Buffer, onFrame: (frame: Frame) => void) => Promise<void>,
  sql: string,
  encode: (sql: string) => Buffer = encodeQuery,
): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  let refused: string | null = null;
  await run(encode(sql), ({ type, body }) => {
    if (type === 0x44) rows.push(decodeDataRow(body).values.map((value) => value?.toString("utf8") ?? null));
    else if (type === 0x45) refused ??= decodeErrorFields(body).get("C") ?? "XX000";
  });
  if (refused !== null) throw new QuestionRefused(refused);
  return rows;
}
