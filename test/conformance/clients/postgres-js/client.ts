/** What the parts of the battery for postgres.js share. */
import postgres from "postgres";
export type Sql = ReturnType<typeof postgres>;
const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;

// The host and so on are given by name: its defaults from the environment are few.
export function connect(options: postgres.Options<Record<string, postgres.PostgresType>> = {}): Sql {
  return postgres({
    host: PGHOST ?? "",
    port: Number(PGPORT),
    user: PGUSER ?? "",
    password: PGPASSWORD ?? "",
    database: PGDATABASE ?? "",
    ssl: false,
    onnotice: () => undefined,
    ...options,
  }) as Sql;
}

export async function using(
  run: (sql: Sql) => Promise<void>,
  options: Parameters<typeof connect>[0] = { max: 1 },
): Promise<void> {
  const sql = connect(options);
  try {
    await run(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

interface Shown extends Array<unknown> {
  count: number;
  command: string;
  columns?: { name: string; type: number; number: number }[];
}
export function shape(result: unknown): unknown {
  const r = result as Shown;
  return {
    command: r.command,
    count: r.count,
    columns: r.columns?.map((c) => [c.name, c.type, c.number]),
    rows: [...r],
  };
}
