/** Brings the sample shop into the demo's PostgreSQL: roles, tables, rows, rights. */
import type { Client } from "pg";
import { DemoError, loadPg } from "./packages.ts";
import type { DemoPostgres } from "./postgres.ts";
import { shopRows, type TableRows } from "./rows.ts";
import { grantsSql, roles, schemaVersion, tablesSql } from "./schema.ts";

export const shopDatabase = "shop";
export type ShopRole = (typeof roles)[number];

/**
 * Makes roles and database as they should be; loads the rows only when the database is not there yet.
 * `passwords` are set anew each time, so they follow the secret files.
 */
export async function prepareShop(
  postgres: DemoPostgres,
  passwords: Readonly<Record<ShopRole, string>>,
  say: (line: string) => void,
  scale = 1,
): Promise<void> {
  const admin = await connectAdmin(postgres, "postgres");
  try {
    for (const role of roles) {
      const known = await admin.query("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", [role]);
      await admin.query(
        `${known.rowCount === 0 ? "CREATE" : "ALTER"} ROLE ${role} LOGIN PASSWORD ${admin.escapeLiteral(passwords[role])}`,
      );
    }
    const found = await admin.query<{ comment: string | null }>(
      "SELECT pg_catalog.shobj_description(oid, 'pg_database') AS comment FROM pg_catalog.pg_database WHERE datname = $1",
      [shopDatabase],
    );
    if (found.rows[0]?.comment === schemaVersion) return;
    say("filling the sample shop: customers, products, orders, payments, support tickets");
    await admin.query(`DROP DATABASE IF EXISTS ${shopDatabase} WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${shopDatabase} OWNER shop_admin`);
    await fillShop(postgres, scale);
    // Last, so that a half-filled database is recognised as such.
    await admin.query(`COMMENT ON DATABASE ${shopDatabase} IS ${admin.escapeLiteral(schemaVersion)}`);
  } finally {
    await admin.end();
  }
}

async function fillShop(postgres: DemoPostgres, scale: number): Promise<void> {
  const client = await connectAdmin(postgres, shopDatabase);
  try {
    await client.query("GRANT CREATE ON SCHEMA public TO shop_admin");
    await client.query("BEGIN; SET LOCAL ROLE shop_admin");
    await client.query(tablesSql);
    for (const rows of shopRows(scale)) await insert(client, rows);
    await client.query(grantsSql);
    await client.query("COMMIT");
    await client.query("ANALYZE");
  } finally {
    await client.end();
  }
}

/** One INSERT from unnested arrays: as fast as COPY for these sizes, and needs no further package. */
async function insert(client: Client, { table, columns, rows }: TableRows): Promise<void> {
  const names = columns.map(([name]) => name).join(", ");
  const arrays = columns.map(([, type], i) => `$${i + 1}::${type}[]`).join(", ");
  await client.query(
    `INSERT INTO ${table} (${names}) SELECT * FROM unnest(${arrays})`,
    columns.map((_, i) => rows.map((row) => row[i] ?? null)),
  );
  if (columns[0]?.[0] === "id") {
    await client.query(
      `SELECT setval(pg_get_serial_sequence('${table}', 'id'), (SELECT max(id) FROM ${table}))`,
    );
  }
}

/** Connects as superuser, waiting while the server recovers from an unclean stop (SQLSTATE 57P03). */
async function connectAdmin(postgres: DemoPostgres, database: string): Promise<Client> {
  const pg = await loadPg();
  const { host, port, user, password } = postgres;
  for (let attempt = 0; ; attempt++) {
    const client = new pg.Client({ host, port, user, password, database, ssl: false });
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      const code = error instanceof Error && "code" in error ? error.code : null;
      if (code === "28P01")
        throw new DemoError(
          `the PostgreSQL in ${postgres.folder} has another password; delete the folders .postern-demo and ${postgres.folder} and start again`,
        );
      if (code !== "57P03" || attempt > 300) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
