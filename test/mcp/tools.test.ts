/** The tools through the official client, of both eras, against a real PostgreSQL. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call, eras, type McpHouse, startHouse } from "./support.ts";

const schema = `
create table customers(id int primary key, name text not null, email text, ssn text, notes jsonb, tags text[]);
comment on table customers is 'people who buy';
comment on column customers.name is 'full name';
comment on column customers.ssn is 'very secret';
insert into customers values
  (1, 'Ann', 'ann@example.com', '111-11-1111', '{"a": [1, 2]}', '{x,y}'),
  (2, 'Bob', 'bob@example.com', '222-22-2222', null, null);
create table orders(id int primary key, customer int references customers, total numeric(10,2), paid bool, at timestamptz);
insert into orders values (10, 1, 12.50, true, '2026-01-02 03:04:05+00'), (11, 2, 99999999.99, false, null);
create table hidden(a int, b text);
create view vips as select id, name, email from customers;
`;

const policy = `
version: 1
labels:
  - label: pii.email
    columns: ["*.*.customers.email"]
    mask: partial
  - label: secret
    columns: ["*.*.customers.ssn"]
    access: none
rules:
  - name: reads
    when: 'statement.effects == ["read"] && !statement.reads.exists(r, r == "public.hidden")'
    then: allow
    limits: { rows: 500, timeout: 30s, per_minute: 1000 }
  - name: writes
    when: '"write" in statement.effects && "public.orders" in statement.writes'
    then: approve
    approvers: { groups: [stewards], count: 1, within: 15m, ticket: true }
`;

let house: McpHouse;
beforeAll(async () => {
  house = await startHouse({ schema, policy });
});
afterAll(async () => {
  await house?.stop();
});

describe.each(eras)("a client of the %s era", (era) => {
  it("finds the tools in their order, with schemas and all annotations", async () => {
    const client = await house.connect(era);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual([
      "describe_access",
      "list_tables",
      "describe_table",
      "query",
      "explain",
      "approval_status",
      "approval_wait",
      "my_activity",
    ]);
    for (const tool of tools) {
      expect(tool.description?.length).toBeGreaterThan(40);
      expect(tool.inputSchema.type).toBe("object");
      expect(tool.outputSchema?.type).toBe("object");
      expect(Object.keys(tool.annotations ?? {}).sort()).toEqual([
        "destructiveHint",
        "idempotentHint",
        "openWorldHint",
        "readOnlyHint",
      ]);
    }
  });

  it("gets rows as lists, with types and what is masked, and its values bound", async () => {
    const client = await house.connect(era);
    const got = await call(client, "query", {
      database: "shop",
      sql: "select id, email, notes, tags from customers where id = $1",
      params: [1],
    });
    expect(got).toMatchObject({
      error: false,
      status: "ok",
      columns: ["id", "email", "notes", "tags"],
      types: ["int4", "text", "jsonb", "text[]"],
      rows: [[1, expect.not.stringContaining("ann@"), { a: [1, 2] }, "{x,y}"]],
      masked: ["email"],
      note: expect.stringContaining("not instructions"),
    });
    expect(JSON.parse(got.text)).toMatchObject({ rows: got.rows });
  });

  it("is told why a statement is denied and what to do, with the object of the contract", async () => {
    const client = await house.connect(era);
    const got = await call(client, "query", {
      database: "shop",
      sql: "select id from customers where email like 'a%'",
    });
    expect(got).toMatchObject({
      error: true,
      v: 1,
      decision: "deny",
      code: "PROTECTED_PREDICATE",
      object: "public.customers.email",
      retryable: false,
      request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      sqlstate: "42501",
    });
  });
});

describe("query", () => {
  const run = async (sql: string, more: Record<string, unknown> = {}) =>
    call(await house.connect("modern"), "query", { database: "shop", sql, ...more });

  it("binds values of every kind", async () => {
    const got = await run(
      "select $1::int[] a, $2::jsonb b, $3::text c, $4::bool d, $5::numeric e, $6::text f",
      {
        params: [[1, null, 3], { k: "v" }, `'; drop table customers; --`, true, 1.5, null],
      },
    );
    expect(got.rows).toEqual([["{1,NULL,3}", { k: "v" }, "'; drop table customers; --", true, "1.5", null]]);
    const texts = await run("select $1::text[] = array['a\"b', 'c\\d', 'e,f', null, 'NULL'] is not false", {
      params: [['a"b', "c\\d", "e,f", null, "NULL"]],
    });
    expect(texts.rows).toEqual([[true]]);
  });

  it("keeps numbers that JSON would change as text", async () => {
    const got = await run(
      "select 9007199254740993::int8, 9007199254740991::int8, 'NaN'::float8, 0.1::float8, 1.10::numeric",
    );
    expect(got.rows).toEqual([["9007199254740993", 9007199254740991, "NaN", 0.1, "1.10"]]);
    const zero = await run("select '-0'::float8, '-0'::float4, 'null'::jsonb, null::jsonb");
    expect(zero.rows).toEqual([["-0", "-0", null, null]]);
  });

  it.each([
    ['{"a": [1.5, 100, 1e2, 0.10, -0.5, 1e-7, 1.7976931348623157e308]}', true],
    ['{"a": {"b": 123456789.123456789}}', false],
    ["[9007199254740993]", false],
    ['{"a": 1e400}', false],
    ['{"a": -0}', false],
    ['{"a": 1, "b": {"a": 2}, "c": [{"a": 3}]}', true],
    ['{"a": 1, "a": 2}', false],
    ['{"": 1, "__proto__": {"x": 1}, "b:\\"": "1:2"}', true],
    ['{"": 1, "a": {"": 2}}', true],
    ['{"": 1, "": 2}', false],
    ['"12345678901234567890"', true],
    ['"\\ud83d\\ude00"', true],
    ['{"a": ["\\ud83d"]}', false],
    ['{"\\ude00": 1}', false],
  ])("JSON %s: as it is, or as text", async (text, exact) => {
    const got = await run("select $1::json", { params: [text] });
    expect((got.rows as unknown[][])[0]?.[0]).toEqual(exact ? JSON.parse(text) : text);
  });

  it("refuses numbers that have lost digits before they came", async () => {
    for (const params of [[2 ** 53], [[1, 2 ** 60]], [{ id: 1e30 }]]) {
      const got = await run("select $1::text", { params });
      expect(got.error).toBe(true);
      expect(got.text).toContain("2^53 as strings");
    }
    const text = await run("select $1::int8, $2::text", { params: ["9007199254740993", "a\\u0000b"] });
    expect(text.rows).toEqual([["9007199254740993", "a\\u0000b"]]);
  });

  it("takes one statement a call", async () => {
    const got = await run("select 1; select 2");
    expect(got.error).toBe(true);
    expect(got.rows).toBeUndefined();
  });

  it("says that there may be more rows than it gave", async () => {
    const got = await run("select generate_series(1, 300)", { max_rows: 7 });
    expect(got.rows).toHaveLength(7);
    expect(got.truncated).toContain("more rows");
    expect((await run("select 1")).truncated).toBeUndefined();
  });

  it("never gives more than it may, however long a value is", async () => {
    const one = await run("select repeat('x', 1000000) a, 5 b");
    expect(one.text.length).toBeLessThan(60_000);
    expect(one.truncated).toContain("cut");
    const many = await run("select repeat('x', 4000) from generate_series(1, 400)", { max_rows: 400 });
    expect(many.text.length).toBeLessThan(110_000);
    expect(many.truncated).toContain("too long");
    expect((many.rows as unknown[]).length).toBeGreaterThan(5);
  });

  it.each(["", "x"])("cuts no character in two, behind %j", async (before) => {
    const long = await run("select $1 || repeat('😀', 20000) a", { params: [before] });
    expect(long.truncated).toContain("cut");
    expect((long.rows as string[][])[0]?.[0]?.isWellFormed()).toBe(true);
    const failed = await run("select ($1 || repeat('😀', 800))::int", { params: [before] });
    expect(failed).toMatchObject({ status: "error", sqlstate: "22P02" });
    expect(String(failed.message).length).toBeGreaterThan(990);
    expect(String(failed.message).isWellFormed()).toBe(true);
  });

  it("refuses texts with half a character, which would be stored as another", async () => {
    for (const [sql, params] of [
      ["select $1::text", ["a\ud83d"]],
      ["select $1::jsonb", [{ "\ude00": 1 }]],
      ["select 'a\ud83d'", []],
    ] as const) {
      const got = await run(sql, { params });
      expect(got.error).toBe(true);
      expect(got.text).toContain("halves of surrogate pairs");
    }
  });

  it("leaves nothing behind for the next call", async () => {
    await run("set search_path = pg_catalog");
    await run("begin");
    await run("set statement_timeout = 1");
    const got = await run("select current_setting('search_path'), current_setting('statement_timeout')");
    expect(got.rows).toEqual([['"$user", public', "0"]]);
  });

  it("hands on errors of the database as data", async () => {
    expect(await run("select 1/0")).toMatchObject({
      error: true,
      status: "error",
      code: "SERVER_ERROR",
      sqlstate: "22012",
      message: "division by zero",
      retryable: false,
      note: expect.stringContaining("not instructions"),
    });
    expect(await run("select nothing from nowhere")).toMatchObject({ sqlstate: "42P01", error: true });
    expect(await run("selec")).toMatchObject({ sqlstate: "42601", error: true });
  });

  it("refuses COPY, which has no rows to give", async () => {
    expect(await run("copy orders(id) to stdout")).toMatchObject({ error: true, code: "COPY_REFUSED" });
  });

  it("says that a statement needs approval", async () => {
    const got = await run("update orders set paid = true where id = 11");
    expect(got).toMatchObject({ code: "NEEDS_APPROVAL" });
    const [row] = await house.cluster.query(house.dbname, "select paid from orders where id = 11");
    expect(row?.paid).toBe(false);
  });

  it("refuses an unknown database without a word about others", async () => {
    const client = await house.connect("modern");
    for (const tool of ["query", "explain", "list_tables", "describe_access"]) {
      const got = await call(client, tool, { database: "nope", sql: "select 1" });
      expect(got, tool).toMatchObject({
        error: true,
        status: "denied",
        code: "UNKNOWN_DATABASE",
        sqlstate: "3D000",
        retryable: false,
        hint: expect.stringContaining("describe_access"),
      });
      expect(got.text).not.toContain("shop");
    }
  });

  it("is recorded with what the client says of itself", async () => {
    const client = await house.connect("modern");
    await call(
      client,
      "query",
      { database: "shop", sql: "select 4711", intent: "to see\nthat it is recorded" },
      { "postern/model": "gpt-x", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    );
    const start = (await house.postern.records()).findLast((r) => r.type === "session.start");
    expect(start).toMatchObject({
      client: { via: "mcp", ip: "127.0.0.1", application: "test-agent/1.2.3" },
      claimed: {
        agent: "test-agent/1.2.3",
        model: "gpt-x",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      },
    });
  });

  it("is cancelled with its call", async () => {
    const client = await house.connect("modern");
    const stop = new AbortController();
    const wide = "select count(*) from generate_series(1, 1000000000000)";
    const running = client.callTool(
      { name: "query", arguments: { database: "shop", sql: wide } },
      { signal: stop.signal },
    );
    running.catch(() => undefined);
    const active = async () =>
      (
        await house.cluster.query(
          house.dbname,
          `select count(*)::int n from pg_stat_activity where state = 'active' and query = $1 and application_name = 'postern:agent-7'`,
          [wide],
        )
      )[0]?.n;
    await expect.poll(active, { timeout: 20_000 }).toBe(1);
    stop.abort();
    await expect.poll(active, { timeout: 20_000 }).toBe(0);
    await expect(running).rejects.toThrow();
  });
});

describe("explain", () => {
  const explain = async (sql: string) =>
    call(await house.connect("modern"), "explain", { database: "shop", sql });

  it("says what the walk would do, and runs nothing", async () => {
    expect(await explain("select id, email from customers where id = $1")).toMatchObject({
      status: "ok",
      verdict: "allow",
      rule: "reads",
      reads: ["public.customers"],
      outputs: [
        { name: "id", type: "int4" },
        { name: "email", type: "text", mask: "partial", source: "public.customers.email" },
      ],
      limits: { rows: 500, timeoutMs: 30_000 },
      estimate: { rows: expect.any(Number), cost: expect.any(Number) },
    });
    expect(await explain("delete from orders where id = 10")).toMatchObject({
      verdict: "approve",
      rule: "writes",
    });
    expect(await explain("select ssn from customers")).toMatchObject({
      error: true,
      code: "PROTECTED_COLUMN",
    });
    expect(await explain("select * from hidden")).toMatchObject({ error: true, code: "NO_RULE" });
    expect(await explain("select nextval('x')")).toMatchObject({ error: true });
    const [row] = await house.cluster.query(house.dbname, "select count(*)::int n from orders");
    expect(row?.n).toBe(2);
  });
});

describe("describing tools", () => {
  it("tell what may be seen, and nothing of the rest", async () => {
    const client = await house.connect("modern");
    const got = await call(client, "describe_access");
    expect(got.error).toBe(false);
    const [shop] = got.databases as {
      database: string;
      tables: Record<string, string>;
      limits: string;
      budget: string[];
    }[];
    expect(shop?.database).toBe("shop");
    expect(Object.keys(shop?.tables ?? {})).toEqual(["public.customers", "public.orders", "public.vips"]);
    expect(shop?.tables["public.customers"]).toContain("email text (masked: partial)");
    expect(shop?.tables["public.orders"]).toMatch(/insert, update, delete: with approval \(stewards\)/);
    expect(shop?.limits).toBe("500 rows, 30 s");
    expect(shop?.budget).toEqual([expect.stringMatching(/^\d+ of 1000 statements left in 60 s$/)]);
    for (const word of ["ssn", "hidden", "secret"]) expect(got.text).not.toContain(word);
    expect(got.text.length).toBeLessThan(2500);
  });

  it("list tables by a part of their name", async () => {
    const client = await house.connect("legacy");
    expect(await call(client, "list_tables", { database: "shop", contains: "ORD" })).toMatchObject({
      tables: { "public.orders": expect.stringContaining("read") },
    });
    expect(await call(client, "list_tables", { database: "none" })).toMatchObject({
      code: "UNKNOWN_DATABASE",
    });
  });

  it("describe a table with its keys and comments, but of listed columns only", async () => {
    const client = await house.connect("modern");
    const customers = await call(client, "describe_table", { database: "shop", table: "customers" });
    expect(customers).toMatchObject({
      table: "public.customers",
      keys: ["primary key (id)"],
      comment: "people who buy",
      partial: expect.stringContaining("cannot read"),
    });
    expect(customers.columns).toContain("name text not null -- full name");
    expect(customers.text).not.toContain("ssn");
    expect(customers.text).not.toContain("very secret");
    expect(await call(client, "describe_table", { database: "shop", table: "public.orders" })).toMatchObject({
      keys: ["primary key (id)", "foreign key (customer) -> public.customers (id)"],
    });
    expect(await call(client, "describe_table", { database: "shop", table: "hidden" })).toMatchObject({
      code: "UNKNOWN_TABLE",
    });
  });
});

it("names those who approve only where something that the login may do needs them", async () => {
  const role = `reader_${randomBytes(4).toString("hex")}`;
  const reader = await startHouse({
    schema: `create table orders(id int); create role ${role} login password '${role}'; grant select on orders to ${role}`,
    policy,
    login: { user: role, password: role },
  });
  try {
    const got = await call(await reader.connect("modern"), "list_tables", { database: "shop" });
    expect(got.tables).toEqual({ "public.orders": "read" });
  } finally {
    await reader.stop();
    await house.cluster.query(house.dbname, `drop role ${role}`);
  }
});
