/**
 * Random queries over values of many types: bytes, arrays, composites, ranges, JSON, XML, text search. Protected columns stand anywhere
 * in them. The same seed gives the same statements.
 */
import type { Random } from "./lineage-random.ts";

/** t text, i bigint, y bytea, a text[], m bigint[], c addr, x xml, v tsvector, j json, d jsonb, r int8range, b bool, w a whole row. */
type Kind = "t" | "i" | "y" | "a" | "m" | "c" | "x" | "v" | "j" | "d" | "r" | "b" | "w";
interface Column {
  readonly ref: string;
  readonly kind: Kind;
}

/** Filled by the caller: the columns that begin with p_ hold tokens. `addr` is of the lineage schema. */
export const kindsSchema = `
create table kinds (id bigint primary key, note text, raw bytea, list text[], many bigint[], home addr, x xml, words tsvector, js json, doc jsonb,
  span int8range, p_text text, p_num bigint, p_raw bytea, p_list text[], p_many bigint[], p_home addr, p_x xml, p_words tsvector, p_js json,
  p_doc jsonb, p_span int8range);
create view v_kinds as select id, note, p_text as shown, p_doc as d, p_home as h from kinds where id > 0;
create view v_json as select id, note, to_jsonb(k) as whole from kinds k;
create materialized view mv_kinds as select id, p_list || 'z'::text as l, p_raw as raw from kinds;`;

const tables: Readonly<Record<string, string>> = {
  kinds:
    "id:i note:t raw:y list:a many:m home:c x:x words:v js:j doc:d span:r p_text:t p_num:i p_raw:y p_list:a p_many:m p_home:c p_x:x p_words:v p_js:j p_doc:d p_span:r",
  v_kinds: "id:i note:t shown:t d:d h:c",
  v_json: "id:i note:t whole:d",
  mv_kinds: "id:i l:a raw:y",
};

const constants: Readonly<Record<Kind, string>> = {
  t: "'k'::text",
  i: "2::bigint",
  y: "'\\x6162'::bytea",
  a: "array['a', 'b']",
  m: "array[1, 2]::bigint[]",
  c: "row('s', 'z')::addr",
  x: "'<r><a>1</a></r>'::xml",
  v: "'w:1'::tsvector",
  j: `'{"k": "v"}'::json`,
  d: `'{"k": "v", "n": [1]}'::jsonb`,
  r: "int8range(1, 4)",
  b: "true",
  w: "row(1, 'a')",
};

const lines = (text: string): readonly string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

/** `$t`, `$i` … stand for values, `$Q` for a query of one text. */
const makers: Readonly<Record<Kind, readonly string[]>> = {
  t: lines(`
    ($a)[1]
    ($a)[1:2]::text
    array_to_string($a, ',', 'none')
    concat_ws(',', variadic $a)
    ($c).street
    ($c)::text
    $x::text
    (xpath('/r/a/text()', $x))[1]::text
    xmlserialize(document $x as text)
    xmlserialize(content xmlforest($t as a, $i as b) as text)
    xmlelement(name e, xmlattributes($t as a), $c)::text
    encode($y, 'base64')
    encode($y, 'hex')
    convert_from($y, 'UTF8')
    $y::text
    $v::text
    tsvector_to_array($v)::text
    $j->>'k'
    $d->>'k'
    $d['n'][0]::text
    jsonb_path_query_first($d, '$.n[*] ? (@ != $q)', jsonb_build_object('q', $i))::text
    json_strip_nulls($j)::text
    $r::text
    lower($r)::text
    row($t, $c, $a)::text
    to_json($w)::text
    ($w)::text
    unnest($a)
    jsonb_object_keys($d)
    json_array_elements_text($j->'n')
    (json_each_text($j)).value
    my_agg($t)
    string_agg($t, ',' order by $i)
    (array_agg($a))[1][1]
    percentile_disc(0.5) within group (order by $t)
    first_value($t) over (order by $i)
    nth_value($t, 2) over (partition by $b order by $i)
    f_twice($t)
    f_join($t, $t, 'z')
    f_join(variadic $a)
    (f_wrap($t))[1]
    f_given($t, c => $t)
    ($Q limit 1)
    case $t when 'k' then $t else upper($t) end
    ts_headline('simple', $t, to_tsquery('simple', 'a'))
    $t::json::text
    $t::xml::text
    $t::addr::text
    (1 / (length($t) - 14))::text`),
  i: lines(`
    cardinality($a)
    ($m)[1]
    ($m)[$i]
    octet_length($y)
    get_byte($y, 0)
    length($v)
    jsonb_array_length($d->'n')
    upper($r)
    array_position($a, $t)
    width_bucket($i, 1, 9, 3)
    count(distinct $t)
    sum(cardinality($m))::bigint
    rank() over (order by $t)
    ($d->'n'->>0)::bigint
    nullif($i, $i)
    $i / $i
    hashtext($t)::bigint`),
  y: lines(`
    $t::bytea
    convert_to($t, 'UTF8')
    sha256($y)
    substr($y, 2, 3)
    $y || $y
    overlay($y placing '\\x00' from 1)
    textsend($t)
    int8send($i)
    jsonb_send($d)
    string_agg($y, '\\x00')`),
  a: lines(`
    array[$t, $t]
    $a || $t
    array_remove($a, $t)
    ($a)[1:1]
    array($Q)
    array_agg($t)
    string_to_array($t, 'k')
    regexp_match($t, '(.).(.)')
    tsvector_to_array($v)
    array_fill($t, array[2])
    (select array_agg(z order by z) from unnest($a) z)
    f_wrap($t)`),
  m: lines(`
    array[$i, $i]
    $m || $i
    ($m)[:1]
    array_agg($i)
    array_replace($m, 1, $i)`),
  c: lines(`
    row($t, $t)::addr
    coalesce($c, $c)
    jsonb_populate_record($c, '{"zip": "z"}')
    jsonb_populate_record(null::addr, jsonb_build_object('street', $t))
    json_populate_record(null::addr, $j)`),
  x: lines(`
    xmlelement(name e, $t)
    xmlconcat($x, $x)
    xmlagg($x)
    (xpath('//a', $x))[1]
    xmlparse(document '<a>' || $t || '</a>')
    xmlpi(name p, $t)`),
  v: lines(`
    to_tsvector('simple', $t)
    strip($v)
    $v || $v
    ts_delete($v, $t)
    array_to_tsvector($a)`),
  j: lines(`
    to_json($t)
    row_to_json($w)
    json_agg($w)
    json_build_object('k', $t, 'n', $a)
    $d::json
    $t::json`),
  d: lines(`
    to_jsonb($w)
    to_jsonb($c)
    jsonb_agg($t)
    jsonb_set($d, '{k}', to_jsonb($t))
    $d - $t
    $d || $d
    jsonb_object($a, $a)
    jsonb_path_query_array($d, '$.n[*]')`),
  r: lines(`
    int8range($i, $i)
    $r * int8range(0, 10)
    coalesce($r, $r)`),
  b: lines(`
    $i < 5
    $i < 5
    $t = any ($a)
    $a @> array[$t]
    $a && $a
    $d @> '{"k": "v"}'
    $d @? '$.k'
    $d ?| $a
    $r @> $i
    $r && $r
    $v @@ to_tsquery('simple', 'a')
    xmlexists('/r/a' passing $x)
    $x is document
    $c = $c
    $c is null
    ($c).zip like 'z%'
    $w = $w
    $w is not distinct from $w
    $w *= $w
    $t ~ $t
    f_same($t, $t)
    $y > '\\x00'
    exists ($Q)
    ($t, $i) in (select note, id from kinds)`),
  w: ["$w", "$w", "row($t, $c)"],
};

/** Functions that kindStatement() calls. */
export const kindsFunctions = `
create function f_twice(t text) returns text language sql immutable as $$ select t || t $$;
create function f_same(a text, b text) returns bool language plpgsql immutable as $$ begin return a = b; end $$;
create function f_wrap(a anyelement) returns anyarray language sql immutable as $$ select array[a] $$;
create function f_join(variadic a text[]) returns text language sql immutable as $$ select array_to_string(a, '+') $$;
create function f_given(a text, b text default 'dd', c text default 'cc') returns text language sql stable as $$ select a || b || c $$;`;

/** @param major of the server: newer grammar is left out for older ones */
export function kindStatement(random: Random, major: number): string {
  let aliases = 0;
  const alias = (): string => `t${++aliases}`;

  function leaf(kind: Kind, columns: readonly Column[]): string {
    const fitting = columns.filter((column) => column.kind === kind);
    return fitting.length > 0 && random.chance(90) ? random.pick(fitting).ref : constants[kind];
  }

  function value(kind: Kind, depth: number, columns: readonly Column[]): string {
    if (depth <= 0 || random.chance(30)) return leaf(kind, columns);
    return random
      .pick(makers[kind])
      .replace(/\$([tiyamcxvjdrbwQ])(?![.\w[])/g, (_, inner: Kind | "Q") =>
        inner === "Q" ? query(depth - 1, columns, ["t"]) : value(inner, depth - 1, columns),
      );
  }

  function table(): { sql: string; columns: readonly Column[] } {
    const [as, name] = [alias(), random.pick(["kinds", "kinds", ...Object.keys(tables)])];
    const columns = (tables[name] ?? "").split(" ").map((column): Column => {
      const [field = "", kind = "t"] = column.split(":");
      return { ref: `${as}.${field}`, kind: kind as Kind };
    });
    return { sql: `${name} ${as}`, columns: [...columns, { ref: as, kind: "w" }] };
  }

  function item(depth: number, outer: readonly Column[]): { sql: string; columns: readonly Column[] } {
    const as = alias();
    const one = (kind: Kind): Column[] => [{ ref: `${as}.c0`, kind }];
    switch (depth <= 0 ? 99 : random.int(12)) {
      case 0: {
        const kinds = kindsOf(2);
        const columns = kinds.map((kind, i): Column => ({ ref: `${as}.c${i}`, kind }));
        return {
          sql: `lateral (${query(depth - 1, outer, kinds)}) ${as}(${kinds.map((_, i) => `c${i}`).join(", ")})`,
          columns: [...columns, { ref: as, kind: "w" }],
        };
      }
      case 1:
        return { sql: `unnest(${value("a", 1, outer)}) ${as}(c0)`, columns: one("t") };
      case 2:
        return {
          sql: `jsonb_to_record(${value("d", 1, outer)}) as ${as}(k text, n jsonb)`,
          columns: [{ ref: `${as}.k`, kind: "t" }],
        };
      case 3:
        return {
          sql: `xmltable('/r/a' passing ${value("x", 1, outer)} columns c0 text path '.', c1 text path 'z' default ${value("t", 0, outer)}) ${as}`,
          columns: [...one("t"), { ref: `${as}.c1`, kind: "t" }],
        };
      case 4:
        if (major < 17) return table();
        return {
          sql: `json_table(${value("d", 1, outer)}, '$' passing ${value("i", 0, outer)} as q columns (c0 text path '$.k', nested path '$.n[*] ? (@ != $q)' columns (c1 jsonb path '$'))) ${as}`,
          columns: [...one("t"), { ref: `${as}.c1`, kind: "d" }],
        };
      case 5:
        return {
          sql: `rows from (unnest(${value("m", 1, outer)}), jsonb_object_keys(${value("d", 0, outer)})) ${as}(c0, c1)`,
          columns: [...one("i"), { ref: `${as}.c1`, kind: "t" }],
        };
      default:
        return table();
    }
  }

  function kindsOf(most: number): Kind[] {
    const all = Object.keys(makers).filter((kind) => kind !== "w") as Kind[];
    return Array.from({ length: 1 + random.int(most) }, () => random.pick(["t", ...all]));
  }

  function query(depth: number, outer: readonly Column[], kinds: readonly Kind[]): string {
    const first = item(depth, outer);
    let from = first.sql;
    const columns = [...first.columns];
    if (random.chance(35)) {
      const next = item(depth - 1, [...outer, ...columns]);
      from = `${from} join ${next.sql} on ${random.chance(60) ? "true" : value("b", 1, [...columns, ...next.columns])}`;
      columns.push(...next.columns);
    }
    const outputs = kinds.map((kind) => value(kind, random.chance(40) ? 0 : depth, columns));
    let sql = `select ${outputs.join(", ")} from ${from}`;
    if (random.chance(25)) sql += ` where ${value("b", depth, columns)}`;
    if (random.chance(6)) sql += ` group by ${random.pick([outputs.join(", "), "1", leaf("i", columns)])}`;
    if (depth > 0 && random.chance(8))
      return `(${sql}) ${random.pick(["union all", "union", "except", "intersect all"])} (${query(depth - 1, outer, kinds)})`;
    if (random.chance(10)) sql += ` order by ${random.pick(["1", leaf("i", columns), leaf("t", columns)])}`;
    return sql;
  }

  return query(1 + random.int(2), [], kindsOf(4));
}
