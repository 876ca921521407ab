/** A CatalogQuery for tests, over a connection of the pg driver. */
import pg from "pg";
import type { CatalogQuery } from "../../src/catalog/index.ts";
import { parsers } from "../../src/sql/parser.ts";

export interface Connection {
  readonly query: CatalogQuery;
  /** Texts of the statements that were run. */
  readonly texts: string[];
  end(): Promise<void>;
}

export async function connect(options: pg.ClientConfig): Promise<Connection> {
  const client = new pg.Client(options);
  client.on("error", () => undefined);
  await client.connect();
  const texts: string[] = [];
  return {
    texts,
    async query(text) {
      texts.push(text);
      const types = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;
      const result = await client.query<(string | null)[]>({ text, rowMode: "array", types });
      return result.rows;
    },
    end: () => client.end(),
  };
}

/** The statements of a text as nodes. */
export function parse(sql: string): readonly unknown[] | null {
  try {
    return parsers.parse(sql).map((statement) => statement.node);
  } catch {
    return null;
  }
}
