/**
 * Random statements over the lineage schema that use much of PostgreSQL's grammar: many are refused by the server, all others put
 * protected columns anywhere. The same seed gives the same statements.
 */
import type { Random } from "./lineage-random.ts";

/** t text, i int, b bool, j jsonb, r a whole row. */
type Kind = "t" | "i" | "b" | "j" | "r";
interface Column {
  readonly ref: string;
  readonly kind: Kind;
}
interface Source {
  readonly sql: string;
  readonly columns: readonly Column[];
}

const tables: Readonly<Record<string, string>> = {
  users: "id:i email:t name:t ssn:t country:t age:i",
  orders: "id:i user_id:i note:t email:t",
  "hr.emp": "id:i email:t salary:i dept:t mgr:i",
  "app.users": "id:i email:t nick:t",
  part: "id:i email:t k:i",
  part1: "id:i email:t k:i",
  parent: "id:i email:t",
  child: "id:i email:t extra:t",
  prof: "id:i uid:i doc:j",
  mv_users: "id:i email:t",
  v_users: "id:i contact:t name:t",
  v_star: "id:i email:t name:t ssn:t country:t age:i",
  v_agg: "country:t mx:t",
  v_nested: "c2:t",
  v_barrier: "id:i email:t",
  v_mixed: "id:i note:t",
};

/** What makes a value of a kind: `$t`, `$i` … stand for values, `$Q` for a query of one text, `$c` for a condition. */
const makers: Readonly<Record<Kind, readonly string[]>> = {
  t: `upper($t)|$t || $t|coalesce($t, $t)|case when $b then $t else $t end|case $t when $t then $t end|($Q limit 1)|nullif($t, $t)
    |$t::varchar(4)|$t::varchar|$t::char(3)|(array[$t, $t])[$i]|greatest($t, $t)|least($t, 'k')|$t collate "C"
    |array_to_string(array($Q), ',')|row($t, $i)::text|left($t, $i)|substr($t, 2, 3)|reverse($t)|replace($t, 'k', $t)|md5($t)
    |concat($t, $i)|concat_ws($t, $t, $t)|format('%s-%s', $t, $t)|format($t, $i)|split_part($t, 'k', 1)|translate($t, 'gjk', 'kjg')
    |regexp_replace($t, 'k', 'j')|regexp_replace('xkx', $t, 'j')|encode($t::bytea, 'hex')|convert_from($t::bytea, 'UTF8')|lpad($t, $i, 'x')
    |repeat($t, $i)|$i::text|$b::text|$j::text|$j->>'k'|$j#>>'{n,0}'|quote_literal($t)|initcap($t)|overlay($t placing $t from 1)
    |btrim($t, 'k')|xmlelement(name x, $t)::text|xmlserialize(content xmlforest($t as a, $i as b) as text)
    |(xpath('/x/text()', xmlelement(name x, $t)))[1]::text|to_char($i, 'FM999')|string_agg($t, ',' order by $t)|max($t)|min($t)
    |first_value($t) over (order by $i)|lag($t, 1, $t) over (partition by $t order by $i)|string_agg($t, $t) filter (where $b)
    |mode() within group (order by $t)|percentile_disc(0.5) within group (order by $t)|($r).email|($r)::text|row_to_json($r)::text
    |json_build_object('a', $t)::text|jsonb_build_array($t, $j)::text|array_agg($t)::text|json_agg($r)::text|jsonb_object_agg($t, $i)::text
    |(select x from unnest(array[$t, $t]) x limit 1)|substring($t from $t)|$t::json::text|$t::int::text|pg_typeof($t)::text
    |(select a.v from (values ($t), ('x')) a(v) limit 1)|quote_nullable($t)|to_json($t)::text|string_to_array($t, 'k')::text
    |(select s.a from (select $t as a, $i as b) s)|current_user::text|$t|$t|$t|$t`.split(
    /\s*\|(?!\|)(?<!\|\|)\s*/,
  ),
  i: `length($t)|($i + 1)|($i % 3)|$i / nullif($i, 2)|(case when $b then 1 else 2 end)|ascii($t)|position('k' in $t)|$i::bigint::int
    |coalesce($i, $i)|greatest($i, $i)|hashtext($t)|count(*)::int|count(distinct $t)::int|sum($i)::int|max($i)|min(length($t))
    |row_number() over (order by $t)::int|rank() over (partition by $i order by $t)::int|ntile(2) over (order by $i)|(select count(*)::int from ($Q) c)
    |count(*) filter (where $b)::int|array_length(array[$t], 1)|strpos($t, $t)|width_bucket($i, 0, 100, 5)|cardinality(string_to_array($t, 'k'))
    |bit_length($t)|(select $i)|grouping($t)|jsonb_array_length($j)|octet_length($t)|$t::int|abs($i)|$i - $i|$i * $i|pg_column_size($t)|$i|$i|$i|$i`.split(
    /\s*\|(?!\|)(?<!\|\|)\s*/,
  ),
  b: `$t < 'm'|$t = $t|$t like 'g%'|$t ~ 'k'|$i > 1|$i in (1, 2, 3)|$t is not null|exists ($Q)|$t in ($Q)|not ($b)|($b and $b)|($b or $b)
    |$t is distinct from $t|$i between 1 and 4|$t = any (array[$t, $t])|$t > all ($Q)|($t, $i) < ($t, $i)|($t, $i) in (select note, id from orders)
    |$r is null|starts_with($t, 'g')|$j ? 'k'|$j @> '{"k": "x"}'|$j is not null|$t similar to 'k%'|bool_or($b)|($b) is true|row($t) = row($t)
    |$r = $r|$t = (select note from orders limit 1)|jsonb_path_exists($j, '$.k')|$i < 5|$i < 5|$i < 5`.split(
    /\s*\|(?!\|)(?<!\|\|)\s*/,
  ),
  j: `to_jsonb($t)|to_jsonb($r)|jsonb_build_object('k', $t)|$j->'n'|$j - 'k'|jsonb_agg($t)|jsonb_strip_nulls($j)|jsonb_path_query_first($j, '$.k')
    |jsonb_set($j, '{k}', to_jsonb($t))|coalesce($j, '{}')|$j || '{}'|$j`.split(/\s*\|(?!\|)(?<!\|\|)\s*/),
  r: ["$r", "row($t, $i)"],
};
const newer: readonly (readonly [major: number, kind: Kind, text: string])[] = [
  [16, "t", "json_object('a': $t)::text"],
  [16, "t", "json_array($t, $t)::text"],
  [16, "t", "json_arrayagg($t order by $i)::text"],
  [16, "t", "any_value($t)"],
  [16, "b", "$t is json"],
  [17, "t", "json_value($j, '$.k')"],
  [17, "t", "json_value($j, '$.k' default $t on empty)"],
  [17, "t", "json_query($j, '$.n' error on error)::text"],
  [17, "t", "json_scalar($t)::text"],
  [17, "b", "json_exists($j, '$.n')"],
  [18, "t", "casefold($t)"],
];

/** @param major of the server: newer grammar is left out for older ones */
export function wildStatement(random: Random, major: number): string {
  const all: Record<Kind, string[]> = { t: [], i: [], b: [], j: [], r: [] };
  for (const kind of ["t", "i", "b", "j", "r"] as const) all[kind].push(...makers[kind]);
  for (const [from, kind, text] of newer) if (major >= from) all[kind].push(text, text);
  let aliases = 0;
  const alias = (): string => `t${++aliases}`;

  function leaf(kind: Kind, columns: readonly Column[]): string {
    const fitting = columns.filter((column) => column.kind === kind);
    if (fitting.length > 0) return random.pick(fitting).ref;
    return { t: "'k'", i: "2", b: "true", j: `'{"k": 1}'::jsonb`, r: "row(1)" }[kind];
  }

  function value(kind: Kind, depth: number, columns: readonly Column[]): string {
    if (depth <= 0 || random.chance(35))
      return kind === "b" ? `${leaf("i", columns)} < 5` : leaf(kind, columns);
    return fill(random.pick(all[kind]), depth - 1, columns);
  }

  function fill(text: string, depth: number, columns: readonly Column[]): string {
    return text.replace(/\$([tibjrQ])(?![.\w])/g, (_, kind: Kind | "Q") =>
      kind === "Q" ? query(depth, columns, ["t"]) : value(kind, depth, columns),
    );
  }

  function table(): Source {
    const as = alias();
    const name = random.pick(Object.keys(tables));
    const only = random.chance(5) && !/^(v_|mv_)/.test(name) ? "only " : "";
    const sample = random.chance(3) && !name.startsWith("v_") ? " tablesample bernoulli (100)" : "";
    const columns = (tables[name] ?? "").split(" ").map((column): Column => {
      const [field = "", kind = "t"] = column.split(":");
      return { ref: `${as}.${field}`, kind: kind as Kind };
    });
    return { sql: `${only}${name} ${as}${sample}`, columns: [...columns, { ref: as, kind: "r" }] };
  }

  function named(sql: string, kinds: readonly Kind[], rows = true): Source {
    const as = alias();
    const columns = kinds.map((kind, i): Column => ({ ref: `${as}.c${i}`, kind }));
    return {
      sql: `${sql} ${as}(${kinds.map((_, i) => `c${i}`).join(", ")})`,
      columns: rows ? [...columns, { ref: as, kind: "r" }] : columns,
    };
  }

  function kindsOf(most: number): Kind[] {
    return Array.from({ length: 1 + random.int(most) }, () =>
      random.pick(["t", "t", "t", "i", "j"] as const),
    );
  }

  function item(depth: number, outer: readonly Column[]): Source {
    const choice = random.int(100);
    if (depth <= 0 || choice < 55) return table();
    if (choice < 68) {
      const kinds = kindsOf(3);
      return named(`(${query(depth - 1, [], kinds)})`, kinds);
    }
    if (choice < 76) {
      const kinds = kindsOf(2);
      return named(`lateral (${query(depth - 1, outer, kinds)})`, kinds);
    }
    if (choice < 80)
      return named(`(values (${value("i", 1, [])}, ${value("t", 1, [])}), (2, 'x'))`, ["i", "t"]);
    if (choice < 84)
      return named(`unnest(array[${value("t", 1, outer)}, ${value("t", 0, outer)}])`, ["t"], false);
    if (choice < 87) return named(`generate_series(1, ${value("i", 1, outer)})`, ["i"], false);
    if (choice < 90) return named(`jsonb_each_text(${value("j", 1, outer)})`, ["t", "t"]);
    if (choice < 92) return named(`regexp_split_to_table(${value("t", 1, outer)}, 'k')`, ["t"], false);
    if (choice < 94)
      return named(
        `rows from (generate_series(1, 2), unnest(array[${value("t", 1, outer)}])) with ordinality`,
        ["i", "t", "i"],
      );
    if (choice < 96) {
      const as = alias();
      return {
        sql: `xmltable('/x' passing xmlelement(name x, ${value("t", 1, outer)}) columns c0 text path '.') ${as}`,
        columns: [{ ref: `${as}.c0`, kind: "t" }],
      };
    }
    if (choice < 98 && major >= 17) {
      const as = alias();
      return {
        sql: `json_table(${value("j", 1, outer)}, '$' columns (c0 text path '$.k', nested path '$.n[*]' columns (c1 text path '$'))) ${as}`,
        columns: [
          { ref: `${as}.c0`, kind: "t" },
          { ref: `${as}.c1`, kind: "t" },
        ],
      };
    }
    // A join with a name of its own hides the names inside.
    const [left, right] = [table(), table()];
    const inner = [...left.columns, ...right.columns].filter(({ kind }) => kind !== "r");
    const as = alias();
    const simple = /^(?:users|orders|parent|part1|app\.users|mv_users) t\d+$/;
    if (!simple.test(left.sql) || !simple.test(right.sql)) return table();
    return {
      sql: `(${left.sql} cross join ${right.sql}) as ${as}(${inner.map((_, i) => `c${i}`).join(", ")})`,
      columns: inner.map(({ kind }, i) => ({ ref: `${as}.c${i}`, kind })),
    };
  }

  function from(depth: number, outer: readonly Column[]): Source {
    const first = item(depth, outer);
    let { sql } = first;
    const columns = [...first.columns];
    for (let i = random.int(depth > 1 ? 3 : 2); i > 0; i--) {
      const next = item(depth - 1, [...outer, ...columns]);
      const both = [...columns, ...next.columns];
      const on = random.chance(60)
        ? `${leaf("i", columns)} = ${leaf("i", next.columns)}`
        : value("b", Math.min(depth, 1), both);
      const how = random.pick(["join", "left join", "inner join"]);
      sql = random.chance(15) ? `${sql}, ${next.sql}` : `${sql} ${how} ${next.sql} on ${on}`;
      columns.push(...next.columns);
    }
    return { sql, columns };
  }

  function query(depth: number, outer: readonly Column[], kinds: readonly Kind[]): string {
    const source = from(depth, outer);
    const columns = random.chance(70) ? source.columns : [...source.columns, ...outer];
    const outputs = kinds.map((kind) => value(kind, random.chance(55) ? 0 : depth, columns));
    const distinct = random.chance(5)
      ? "distinct "
      : random.chance(3)
        ? `distinct on (${value("t", 0, columns)}) `
        : "";
    let sql = `select ${distinct}${outputs.join(", ")} from ${source.sql}`;
    if (random.chance(35)) sql += ` where ${value("b", depth, columns)}`;
    if (random.chance(8))
      sql += ` group by ${random.pick([outputs.join(", "), "1", `rollup (${outputs.join(", ")})`, `grouping sets ((${outputs.join(", ")}), ())`, leaf("i", columns)])}`;
    if (random.chance(2)) sql += ` having ${value("b", depth, columns)}`;
    if (depth > 0 && random.chance(10)) {
      const operator = random.pick(["union all", "union all", "union", "except", "intersect", "except all"]);
      return `(${sql}) ${operator} (${query(depth - 1, outer, kinds)})`;
    }
    if (random.chance(12))
      sql += ` order by ${random.pick(["1", value("t", 1, columns), `${leaf("i", columns)} desc nulls last`, `${leaf("t", columns)} using <`])}`;
    if (random.chance(6))
      sql += ` limit ${random.pick(["3", value("i", 1, []), `(${query(0, outer, ["i"])} limit 1)`])}`;
    if (random.chance(3)) sql += ` offset ${random.pick(["1", value("i", 1, [])])}`;
    return sql;
  }

  function change(): string {
    const source = from(1, []);
    const own: Column[] = (tables.orders ?? "").split(" ").map((column) => {
      const [name = "", kind = "t"] = column.split(":");
      return { ref: `o.${name}`, kind: kind as Kind };
    });
    const old: Column[] =
      major >= 18
        ? [
            { ref: "old.note", kind: "t" },
            { ref: "new.email", kind: "t" },
            { ref: "old", kind: "r" },
          ]
        : [];
    const columns = [...own, ...source.columns, { ref: "o", kind: "r" } as const];
    const returning = (from: readonly Column[]) =>
      random.chance(80) ? ` returning ${value("t", 1, [...from, ...old])}, ${value("t", 0, from)}` : "";
    switch (random.int(5)) {
      case 0:
        return `update orders o set note = ${value("t", 1, columns)} from ${source.sql} where ${value("b", 1, columns)}${returning(columns)}`;
      case 1:
        return `update users o set (email, name) = (${query(1, [], ["t", "t"])} limit 1) where id = 1${random.chance(50) ? " returning email, name" : ""}`;
      case 2:
        return `delete from orders o using ${source.sql} where ${value("b", 1, columns)}${returning(columns)}`;
      case 3:
        return `insert into ${random.pick(["orders(id, note, email)", "users(id, email, name)"])} ${query(1, [], ["i", "t", "t"])}${
          random.chance(40) ? " on conflict (id) do update set email = excluded.email" : ""
        } returning ${random.pick(["email, id", "*", "email || 'x'"])}`;
      default:
        return `merge into orders o using (${query(1, [], ["i", "t"])}) s(a, b) on o.id = s.a when matched and ${value("b", 0, own)} then update set note = ${random.pick(["s.b", "o.note", "'x'"])} when not matched then do nothing${
          major >= 17 ? " returning o.note, s.b" : ""
        }`;
    }
  }

  const choice = random.int(100);
  if (choice < 66) return query(3, [], kindsOf(4));
  if (choice < 78) {
    const kinds = kindsOf(2);
    const name = alias();
    const columns = kinds.map((kind, i): Column => ({ ref: `${name}.c${i}`, kind }));
    const materialized = random.pick(["", " materialized", " not materialized"]);
    const names = kinds.map((_, i) => `c${i}`).join(", ");
    return `with ${name}(${names}) as${materialized} (${query(2, [], kinds)}) select ${value("t", 2, columns)}, ${value("i", 1, columns)} from ${name}${
      random.chance(40) ? ` where ${value("b", 2, columns)}` : ""
    }`;
  }
  if (choice < 84) {
    const clause = random.pick([
      "",
      " search breadth first by a set s",
      " search depth first by n, b set s",
      " cycle n set c using p",
      " cycle b, n set c to 'y' default 'n' using p",
    ]);
    const end = clause.includes("set s") ? ", s" : clause.includes("cycle") ? ", c, p" : "";
    const outputs = random.pick(["a", "b", "a, b", "n", "*", `a${end}`, `n${end}`, `b || ''${end}`]);
    return `with recursive r(a, b, n) as (select ${random.pick(["name, email", "email, name", "country, ssn", "name, country"])}, 1 from users where id < 4 union all select ${random.pick(["b, a", "a, b", "a || b, b", "b, 'x'", "(select email from users where id = n), a"])}, n + 1 from r where n < 3)${clause} select ${outputs} from r`;
  }
  if (choice < 88)
    return `with w as (${change()}) select * from w`.replace(/^with w as \((?!.*returning).*$/s, "select 1");
  return change();
}
