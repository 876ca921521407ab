/**
 * Random expressions that try to tell of a hidden text by failing: something that depends on the value, inside of what fails, branches or
 * stops early. The same seed gives the same statement.
 */
import type { Random } from "./lineage-random.ts";

/** `%` is the hidden text, or what is made of it. All fail, or not, for some values only, if anything inside lets them. */
const fail = "(1 / (id - id))";
const outside: readonly string[] = [
  "substr(%, 1, -1)",
  "split_part(%, 'x', 0)",
  "lpad(%, 1000000000)",
  "regexp_match(%, '(')",
  "% ~ '('",
  `coalesce(%, ${fail}::text)`,
  `coalesce(%, 'x', ${fail}::text)`,
  `coalesce(nullif(name, name), %, ${fail}::text)`,
  `(string_to_array(%, 'a'))[${fail}]`,
  `(string_to_array(%, 'a'))[1:${fail}]`,
  `row(%, ${fail}) < row('m', 1)`,
  `row(%, ${fail}) = row('m', 1)`,
  `row(%, ${fail}) is null`,
  `row(${fail}, %) is null`,
  `% = any (array['a', ${fail}::text])`,
  `% in ('a', ${fail}::text)`,
  `% = any (select ${fail}::text from generate_series(1, 2))`,
  "% = (select note from orders)",
  "% = (select note from orders limit 1)",
  `(%, ${fail}) = (select 'm', 1)`,
  `greatest(%, ${fail}::text)`,
  `nullif(%, ${fail}::text)`,
  `% || ${fail}::text`,
  `concat(%, ${fail}::text)`,
  `left(%, ${fail})`,
  `case when % is null then 1 else ${fail} end`,
  `case when id > 0 then % else ${fail}::text end`,
  `(% is null) and ${fail} = 1`,
  `(% is null) or ${fail} = 1`,
  "string_to_array(%, 'a')::int[]",
  "string_to_array(%, 'a')::varchar(2)[]",
  "regexp_match(%, '^.')::bool[]",
  "array[%]::int[]",
  "array[string_to_array(%, 'a'), array['x', 'y']]",
  "to_jsonb(%)::int",
  "to_jsonb(%)::text::json",
  "to_jsonb(%) -> 'a'",
  `to_jsonb(%) @? '$ ? (@ > "m" && "2020-01-01".datetime() < "2020-01-01 00:00:00+00".datetime())'`,
  "jsonb_build_object('a', %)",
  "jsonb_build_object(%, 'a')",
  "xmlelement(name x, %)",
  "xmlparse(content %)",
  "xmlelement(name x, %)::text::xml",
  "quote_literal(%)",
  "row(%)::text",
  "(row(%, 1)).f1",
  "%::varchar(3)",
  "%::char(3)",
  "%::name",
  "%::int",
  "%::json",
  "length(%)",
  "length(%)::numeric",
  "round(length(%)::numeric, 1)",
  "to_char(length(%), '999')",
  "to_char(length(%), 'EEEE9')",
  "length(%) / 2",
  "repeat(%, 3)",
  "% like 'a%%'",
  "% is not null",
  "% < 'm'",
  "% || name",
  `'{"a": "\\u0000"}'::json -> %`,
  `json_extract_path('{"a": "\\u0000"}'::json, 'a', %)`,
  `to_jsonb('{"k": 1e200000, "m": 1e200000}'::json -> %)`,
  `jsonb_build_object('k', 1) ->> %`,
  "to_jsonb(string_to_array(%, 'a'))",
];
/** What makes of the hidden text something that is NULL, empty or short for some values only. */
const inside: readonly string[] = [
  "%",
  "%",
  "upper(%)",
  "left(%, 1)",
  "substring(% from '^[a-m]')",
  "substring(% from 'z.*')",
  "nullif(left(%, 1), 'z')",
  "nullif(name, left(%, 2))",
  "split_part(%, 'a', 2)",
  "(regexp_match(%, '[k-z]'))[1]",
  "(string_to_array(%, 'a'))[2]",
  "to_jsonb(%) ->> 'a'",
  "jsonb_build_object('a', %) ->> 'a'",
  "greatest(%, 'm')",
  "coalesce(%, 'none')",
  "trim(% || name)",
];
const newer: readonly (readonly [major: number, text: string])[] = [
  [16, "json_array(% returning varchar(5))"],
  [16, "json_array(%)"],
  [16, "json_array(% returning bytea)"],
  [16, "% is json"],
  [17, "json_value(to_jsonb(%), '$')"],
  [17, `json_value(to_jsonb(%), '$' passing ${fail} as x)`],
  [17, `json_exists(to_jsonb(%), '$ ? (@ > "m" && "2020".datetime("YYYY@@MM") == "2020".datetime())')`],
  [17, "json_scalar(%)"],
  [18, "casefold(%)"],
];
/** Where the hidden text stands: `%` is the expression; `x` names it where it was worked out before, `one` is a row. */
const frames: readonly ((inner: string, outer: (text: string) => string) => string)[] = [
  (inner, outer) => `select ${outer(inner)} from one`,
  (inner, outer) => `select id, ${outer(inner)} from users where id < 4`,
  (inner, outer) => `select ${outer("x")} from (select id, name, ${inner} as x from one) s`,
  (inner, outer) => `with c as (select id, name, ${inner} as x from one) select ${outer("x")} from c`,
  (inner, outer) =>
    `with c as materialized (select id, name, ${inner} as x from one) select ${outer("x")} from c`,
  (inner, outer) => `select (select ${outer("x")} from (select ${inner} as x) s) from one`,
  (inner, outer) =>
    `select ${outer("x")} from (select id, name, ${inner} as x from one union all select id, note, email from orders) s`,
  (inner, outer) =>
    `select ${outer("x")} from orders o left join (select id as u, name, ${inner} as x from one) s on s.u = o.user_id`,
  (inner, outer) =>
    `select v.y from one cross join lateral (select ${outer(inner)} as y from (select one.id, one.name, one.email, one.ssn) l) v`,
];

/** @param major of the server: newer grammar is left out for older ones */
export function tellingStatement(random: Random, major: number): string {
  const all = [...outside, ...newer.filter(([from]) => major >= from).map(([, text]) => text)];
  const fill = (text: string, value: string): string =>
    text.replace(/%%|%/g, (mark) => (mark === "%%" ? "%" : value));
  const make = (): string => {
    let value = "email";
    for (let i = random.int(3); i > 0; i--) value = fill(random.pick(inside), value);
    return value;
  };
  const inner = make();
  const sql = random.pick(frames)(inner, (value) => fill(random.pick(all), fill(random.pick(inside), value)));
  // One row tells more than all of them.
  return sql.replace("from one", `from (select * from users where id = ${1 + random.int(8)}) one`);
}
