/** What describe_access says is what GET /api/access says: both come from one judgement. */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestApi, type TestApi, type TestRole } from "../api/support.ts";
import { call } from "./support.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(async () => {
  await api?.stop();
});

interface Column {
  readonly name: string;
  readonly type: string;
  readonly mask: string | null;
}
interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly read: string;
  readonly insert: string;
  readonly update: string;
  readonly delete: string;
  readonly limits: { readonly rows: number | null } | null;
  readonly approvers: readonly { readonly groups: readonly string[] }[];
}

it.each<TestRole>(["agent", "user", "approver"])("for the role %s", async (role) => {
  const token = await api.token(role);
  const { body } = await api.ask({ token }, "/api/access");
  const client = new Client({ name: "compare", version: "1" });
  const headers = { authorization: `Bearer ${token}` };
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${api.url}/mcp`), { requestInit: { headers } }),
  );
  try {
    const said = await call(client, "describe_access");
    const databases = said.databases as {
      database: string;
      tables: Record<string, string>;
      limits: string;
    }[];
    const items = body.items as { database: string; tables: Table[] }[];
    expect(databases.map(({ database }) => database)).toEqual(items.map(({ database }) => database));
    expect(items.length).toBeGreaterThan(0);
    for (const [i, { tables }] of items.entries()) {
      const texts = databases[i]?.tables ?? {};
      expect(Object.keys(texts)).toEqual(tables.map(({ name }) => name));
      expect(tables.length).toBeGreaterThan(0);
      for (const table of tables) {
        const [columns = "", doing = ""] = (texts[table.name] ?? "").split(" | ");
        expect(
          columns.split(/, (?![^(]*\))/).map((text) => text.replace(/\(masked: (\w+).*/, "($1)")),
        ).toEqual(
          table.columns.map(({ name, type, mask }) => `${name} ${type}${mask === null ? "" : ` (${mask})`}`),
        );
        for (const what of ["read", "insert", "update", "delete"] as const) {
          const words = { yes: "", approval: "with approval", depends: "depends" }[table[what]];
          const part = doing.split("; ").find((one) => new RegExp(`\\b${what}\\b`).test(one));
          if (words === undefined) expect(part, what).toBeUndefined();
          else expect(part, what).toContain(words);
        }
        for (const group of table.approvers.flatMap(({ groups }) => groups)) expect(doing).toContain(group);
        if (table.limits?.rows != null) expect(databases[i]?.limits).toContain(`${table.limits.rows} rows`);
      }
    }
  } finally {
    await client.close();
  }
});
