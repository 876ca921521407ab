/** What masks give is taken by the server's own input functions, in both formats, and is the same value in both. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Mask } from "../../src/facts/effects.ts";
import { createRowMasker, type MaskColumn } from "../../src/masking/index.ts";
import { binaries } from "../support/binaries.ts";
import { sharedCluster } from "../support/cluster.ts";
import { openSession, type Session } from "./server.ts";
import { dataRow, keys, planOf, valuesOf } from "./support.ts";

let session: Session;
beforeAll(async () => {
  session = await openSession(await sharedCluster(), "postgres");
});
afterAll(() => session.end());

const masks: Mask[] = [
  { kind: "null" },
  { kind: "redact" },
  { kind: "partial" },
  { kind: "hash" },
  { kind: "keep", first: 1, last: 4 },
  { kind: "keep", first: 100, last: 0 },
  { kind: "keep", first: 0, last: 0 },
  { kind: "date", unit: "year" },
  { kind: "date", unit: "month" },
  { kind: "date", unit: "day" },
];

const { major } = await binaries();

/** Types and values of them, each as an SQL literal. */
const values: Record<string, readonly string[]> = {
  text: [
    "jane.doe@example.com",
    "4111 1111 1111 1111",
    "+49 151 2345 6789",
    "Grüße aus Köln am Rhein",
    "👩‍👩‍👧‍👦 family of 🇩🇪 flags 👍🏽",
    "",
    "a",
    "x\"y\\z{},'q\n\tNULL",
    "1985-03-04",
    "x".repeat(9000),
  ],
  "varchar(20)": ["jane.doe@x.com", "4111111111111111", "hello world and so on"],
  "varchar(5)": ["a@b.c", "hello", "é"],
  "varchar(2)": ["ab", "é"],
  "char(20)": ["jane.doe@x.com", "short", ""],
  "char(3)": ["abc", "a"],
  bpchar: ["abc   ", "jane.doe@x.com "],
  name: ["pg_class", "jane.doe@example.com"],
  '"char"': ["a", ""],
  int2: ["0", "-32768", "32767", "1234"],
  int4: ["0", "-2147483648", "2147483647", "123456"],
  int8: ["0", "-9223372036854775808", "9223372036854775807", "4111111111111111"],
  numeric: [
    "0",
    "-0.000",
    "1.50",
    "123456789012345678901234567890.123456",
    "1e-20",
    "85000",
    "NaN",
    "Infinity",
    "-12345.67",
  ],
  "numeric(10,2)": ["85000.00", "-1.50", "0", "12345678.90"],
  "numeric(5,0)": ["12345"],
  "numeric(3,2)": ["1.23"],
  // Before PostgreSQL 15 a scale lies between 0 and the precision.
  ...(major >= 15 ? { "numeric(3,5)": ["0.00123"], "numeric(5,-2)": ["1234500"] } : {}),
  float4: ["0", "-0", "1.5", "3.4028235e38", "NaN", "-Infinity", "123456.7"],
  float8: ["0", "-0", "0.1", "1e300", "NaN", "Infinity", "123456789.123"],
  date: [
    "1985-03-04",
    "0044-03-15 BC",
    "infinity",
    "-infinity",
    "4713-12-31 BC",
    "99999-06-05",
    "2024-02-29",
  ],
  timestamp: [
    "1985-03-04 05:06:07",
    "2024-02-29 23:59:59.999999",
    "infinity",
    "4713-12-31 00:00:00 BC",
    "294276-12-31 23:59:59",
  ],
  timestamptz: ["1985-03-04 05:06:07+00", "2024-07-01 00:30:00.5+02", "-infinity", "1883-01-01 00:00:00+00"],
  "timestamp(0)": ["1985-03-04 05:06:07"],
  time: ["00:00:00", "23:59:59.123456", "24:00:00"],
  uuid: ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
  json: ['{"a": "secret"}', '"text"', "null", "12"],
  jsonb: ['{"a": "secret"}', '"text"', "null", "12"],
  bool: ["t", "f"],
  bytea: ["\\x", "\\x00ff5c27", "\\x736563726574"],
  inet: ["10.1.2.3", "10.1.2.3/8", "2001:db8::1", "::1", "::ffff:1.2.3.4", "fe80::1/64"],
  cidr: ["10.0.0.0/8", "192.168.1.0/24", "2001:db8::/32", "::/0"],
  macaddr: ["08:00:2b:01:02:03"],
  macaddr8: ["08:00:2b:01:02:03:04:05"],
};

function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

function arrayOf(type: string, list: readonly string[]): string[] {
  const items = list.map((value) => `${quoted(value)}::${type}`);
  return [
    `array[${items.join(",")}]::${type}[]`,
    `array[null,${items[0]}]::${type}[]`,
    `array[]::${type}[]`,
    `array[[${items[0]},null],[null,${items[0]}]]::${type}[]`,
    `('[0:1]={' || array_to_string(array[quote_ident('x')],',') || ',y}')::text[]`,
  ].slice(0, type === "text" ? 5 : 4);
}

describe.each(Object.entries(values))("%s", (type, list) => {
  test("scalars and arrays", async () => {
    const expressions = [...list.map((value) => `${quoted(value)}::${type}`), ...arrayOf(type, list)];
    const sql = `select ${expressions.join(", ")}, null::${type}`;
    const text = await session.run(sql, 0);
    const binary = await session.run(sql, 1);
    for (const mask of masks) {
      const plan = planOf(text.columns.map(() => mask));
      const [fromText, fromBinary] = [text, binary].map(({ columns, rows }) =>
        valuesOf(createRowMasker(plan, columns, keys()).mask(rows[0] as Buffer)),
      ) as [(Buffer | null)[], (Buffer | null)[]];
      // Both back through the type's input and receive functions, cast as the column was.
      const types = [
        ...expressions.map((e) => (e.endsWith("[]") ? e.slice(e.lastIndexOf("::") + 2) : type)),
        type,
      ];
      const cast = `select ${types.map((t, i) => `$${i + 1}::${t}`).join(", ")}`;
      const parameters = (format: 0 | 1, masked: (Buffer | null)[]) =>
        masked.map((value, i) => ({ type: text.columns[i]?.type ?? 0, format, value }));
      const a = await session.run(cast, 0, parameters(0, fromText));
      const b = await session.run(cast, 0, parameters(1, fromBinary));
      const shownA = valuesOf(a.rows[0] as Buffer).map((v) => v?.toString() ?? null);
      const shownB = valuesOf(b.rows[0] as Buffer).map((v) => v?.toString() ?? null);
      const what = `${type} ${JSON.stringify(mask)}`;
      expect(shownB, `${what}: binary gives what text gives`).toEqual(shownA);
      // It is what the server would print: nothing was cut off or rounded.
      expect(
        fromText.map((v) => v?.toString() ?? null),
        `${what}: canonical`,
      ).toEqual(shownA);
      expect(shownA.at(-1), "NULL stays NULL").toBeNull();
      if (mask.kind === "null") expect(shownA.every((v) => v === null)).toBe(true);
    }
  });
});

describe("sessions with other settings", () => {
  const text = (result: { rows: Buffer[] }) => valuesOf(result.rows[0] as Buffer)[0]?.toString() ?? null;
  async function masked(
    sql: string,
    mask: Mask,
    format: 0 | 1,
  ): Promise<{ type: number; value: Buffer | null }> {
    const { columns, rows } = await session.run(sql, format);
    const [value = null] = valuesOf(createRowMasker(planOf([mask]), columns, keys()).mask(rows[0] as Buffer));
    return { type: columns[0]?.type ?? 0, value };
  }

  test.each([
    ["timezone = 'Europe/Berlin'", "'2024-07-01 00:30:00+02'::timestamptz"],
    ["timezone = 'Asia/Kolkata'", "'1985-03-04 05:06:07'::timestamptz"],
    ["timezone = 'America/St_Johns'", "'1885-03-04 05:06:07'::timestamptz"],
    ["bytea_output = 'escape'", "'\\x00ff5c2761'::bytea"],
    ["bytea_output = 'escape'", "array['\\x00ff5c2761'::bytea]"],
    ["extra_float_digits = 3", "0.1::float8"],
  ])("%s: a hash of %s is the same in both formats", async (setting, expression) => {
    await session.query(`set ${setting}`);
    const shown: (string | null)[] = [];
    for (const format of [0, 1] as const) {
      const { type, value } = await masked(`select ${expression}`, { kind: "hash" }, format);
      shown.push(text(await session.run("select $1", 0, [{ type, format, value }])));
    }
    expect(shown[0]).not.toBeNull();
    expect(shown[1]).toBe(shown[0]);
    await session.query(`reset ${setting.split(" ")[0]}`);
  });

  test.each(["German", "SQL, DMY", "Postgres"])(
    "DateStyle %s: what is not read becomes NULL",
    async (style) => {
      await session.query(`set datestyle = '${style}'`);
      for (const mask of [{ kind: "hash" }, { kind: "date", unit: "year" }] as const)
        for (const expression of ["'1985-03-04'::date", "'1985-03-04 05:06:07'::timestamptz"]) {
          const { value } = await masked(`select ${expression}`, mask, 0);
          expect(value).toBeNull();
          expect((await masked(`select ${expression}`, mask, 1)).value).not.toBeNull();
        }
      await session.query("reset datestyle");
    },
  );
});

test("a type of an extension is masked as the type it is like", () => {
  const column = { type: 16_500, typmod: -1, format: 1 as const };
  const first = (c: MaskColumn) =>
    valuesOf(
      createRowMasker(planOf([{ kind: "partial" }]), [c], keys()).mask(dataRow(["jane.doe@example.com"])),
    )[0];
  expect(first(column)).toBeNull();
  expect(first({ ...column, like: 25 })?.toString()).toBe("j***@***.com");
});

test("types whose values cannot be made up become NULL: enum, domain over composite, composite, range", async () => {
  await session.query(`create type pg_temp.mood as enum ('sad', 'glad'); create type pg_temp.pair as (a int, b text);
    create domain pg_temp.short as varchar(30) check (length(value) < 25);`);
  for (const format of [0, 1] as const) {
    const { columns, rows } = await session.run(
      `select 'sad'::pg_temp.mood, row(1, 's')::pg_temp.pair, int4range(1, 5), array['sad']::pg_temp.mood[], interval '1 day', 'jane@example.com'::pg_temp.short`,
      format,
    );
    const masker = createRowMasker(planOf(columns.map(() => ({ kind: "redact" }))), columns, keys());
    const values = valuesOf(masker.mask(rows[0] as Buffer));
    expect(values.slice(0, 5)).toEqual([null, null, null, null, null]);
    // A domain is said as its base type: the client's reader is that of varchar.
    expect(values[5]?.toString()).toBe("[redacted]");
  }
});
