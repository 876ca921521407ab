/** What the parts of the battery for node-postgres share. */
import pg from "pg";
/** Parts of the driver that @types/pg does not know. */
export interface Wire {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
  parse(query: { text: string; name?: string; types?: number[] }, more?: boolean): void;
  bind(config: object, more?: boolean): void;
  describe(target: { type: "S" | "P"; name?: string }, more?: boolean): void;
  execute(config: { portal?: string; rows?: number }, more?: boolean): void;
  close(target: { type: "S" | "P"; name?: string }, more?: boolean): void;
  flush(): void;
  sync(): void;
}

export function client(more: pg.ClientConfig = {}): pg.Client {
  const made = new pg.Client(more);
  made.on("error", () => undefined);
  return made;
}

export async function connected(more: pg.ClientConfig = {}): Promise<pg.Client> {
  const made = client(more);
  await made.connect();
  return made;
}

export async function using(run: (c: pg.Client) => Promise<void>, more: pg.ClientConfig = {}): Promise<void> {
  const c = await connected(more);
  try {
    await run(c);
  } finally {
    await c.end();
  }
}

export function shape(result: pg.QueryResult): unknown {
  const columns = result.fields.map((f) => [
    f.name,
    f.dataTypeID,
    f.dataTypeSize,
    f.dataTypeModifier,
    f.format,
    f.columnID,
  ]);
  return { command: result.command, rowCount: result.rowCount, columns, rows: result.rows };
}

export const several = (result: unknown) =>
  (Array.isArray(result) ? result : [result]).map((r) => shape(r as pg.QueryResult));
