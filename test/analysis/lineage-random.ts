/** Random statements over the lineage schema, with protected columns in random places. */

export interface Random {
  int(below: number): number;
  pick<T>(items: readonly T[]): T;
  chance(percent: number): boolean;
}

/** A small generator of numbers (mulberry32): the same seed gives the same statements. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return {
    int,
    pick: (items) => items[int(items.length)] as (typeof items)[number],
    chance: (percent) => next() * 100 < percent,
  };
}

type Kind = "text" | "int";
interface Column {
  readonly ref: string;
  readonly kind: Kind;
}

const tables: Readonly<Record<string, string>> = {
  users: "id:int email:text name:text ssn:text country:text age:int",
  orders: "id:int user_id:int note:text email:text",
  "hr.emp": "id:int email:text salary:int dept:text mgr:int",
  "app.users": "id:int email:text nick:text",
  part: "id:int email:text k:int",
  part1: "id:int email:text k:int",
  parent: "id:int email:text",
  child: "id:int email:text extra:text",
  mv_users: "id:int email:text",
  v_users: "id:int contact:text name:text",
  v_star: "id:int email:text name:text ssn:text country:text age:int",
  v_agg: "country:text mx:text",
  v_nested: "c2:text",
  v_barrier: "id:int email:text",
  v_mixed: "id:int note:text",
};

export function randomStatement(random: Random): string {
  let aliases = 0;
  const alias = (): string => `t${++aliases}`;

  function columnsOf(spec: string, as: string): Column[] {
    return spec.split(" ").map((column) => {
      const [name = "", kind = "text"] = column.split(":");
      return { ref: `${as}.${name}`, kind: kind as Kind };
    });
  }

  /** A FROM item and the columns it brings. */
  function item(depth: number, outer: readonly Column[]): { sql: string; columns: Column[] } {
    const as = alias();
    const choice = random.int(100);
    if (depth <= 0 || choice < 62) {
      const name = random.pick(Object.keys(tables));
      return { sql: `${name} ${as}`, columns: columnsOf(tables[name] ?? "", as) };
    }
    if (choice < 80) {
      const query = select(depth - 1, [], random.int(3) + 1);
      return {
        sql: `(${query.sql}) ${as}(${query.kinds.map((_, i) => `c${i}`).join(", ")})`,
        columns: query.kinds.map((kind, i) => ({ ref: `${as}.c${i}`, kind })),
      };
    }
    if (choice < 90 && outer.length > 0) {
      const query = select(depth - 1, outer, random.int(2) + 1);
      return {
        sql: `lateral (${query.sql}) ${as}(${query.kinds.map((_, i) => `c${i}`).join(", ")})`,
        columns: query.kinds.map((kind, i) => ({ ref: `${as}.c${i}`, kind })),
      };
    }
    if (choice < 96 && outer.length > 0)
      return {
        sql: `lateral unnest(array[${text(1, outer)}, ${text(0, outer)}]) ${as}(c0)`,
        columns: [{ ref: `${as}.c0`, kind: "text" }],
      };
    return {
      sql: `(values (1, ${text(0, [])}), (2, 'x')) ${as}(c0, c1)`,
      columns: [
        { ref: `${as}.c0`, kind: "int" },
        { ref: `${as}.c1`, kind: "text" },
      ],
    };
  }

  function column(columns: readonly Column[], kind: Kind): string | null {
    const fitting = columns.filter((candidate) => candidate.kind === kind);
    return fitting.length === 0 ? null : random.pick(fitting).ref;
  }

  function text(depth: number, columns: readonly Column[]): string {
    const own = column(columns, "text") ?? "'k'";
    if (depth <= 0) return own;
    const again = (): string => text(depth - 1, columns);
    switch (random.int(14)) {
      case 0:
        return `upper(${again()})`;
      case 1:
        return `${again()} || ${again()}`;
      case 2:
        return `coalesce(${again()}, ${again()})`;
      case 3:
        return `case when ${condition(depth - 1, columns)} then ${again()} else ${again()} end`;
      case 4:
        return `(${select(depth - 1, columns, 1, "text").sql} limit 1)`;
      case 5:
        return `nullif(${again()}, 'x')`;
      case 6:
        return `${again()}::varchar(4)`;
      case 7:
        return `(array[${again()}, ${again()}])[1]`;
      case 8:
        return `greatest(${again()}, ${again()})`;
      case 9:
        return `(${again()})::varchar`;
      case 10:
        return `(${again()} collate "C")`;
      case 11:
        return `array_to_string(array(${select(depth - 1, columns, 1, "text").sql}), ',')`;
      case 12:
        return `row(${again()}, 1)::text`;
      default:
        return own;
    }
  }

  function int(depth: number, columns: readonly Column[]): string {
    const own = column(columns, "int") ?? "1";
    if (depth <= 0) return own;
    switch (random.int(6)) {
      case 0:
        return `length(${text(depth - 1, columns)})`;
      case 1:
        return `(${int(depth - 1, columns)} + 1)`;
      case 2:
        return `(select count(*)::int from (${select(depth - 1, columns, 1).sql}) ${alias()})`;
      case 3:
        return `(case when ${condition(depth - 1, columns)} then 1 else 2 end)`;
      default:
        return own;
    }
  }

  function condition(depth: number, columns: readonly Column[]): string {
    switch (random.int(depth <= 0 ? 5 : 9)) {
      case 0:
        return `${text(depth - 1, columns)} < 'm'`;
      case 1:
        return `${int(depth - 1, columns)} > 1`;
      case 2:
        return `${column(columns, "int") ?? "1"} in (1, 2, 3, 4)`;
      case 3:
        return `${text(0, columns)} is not null`;
      case 4:
        return `${column(columns, "int") ?? "1"} < 5`;
      case 5:
        return `exists (${select(depth - 1, columns, 1).sql})`;
      case 6:
        return `${text(0, columns)} in (${select(depth - 1, columns, 1, "text").sql})`;
      case 7:
        return `not (${condition(depth - 1, columns)})`;
      default:
        return `(${condition(depth - 1, columns)} and ${condition(depth - 1, columns)})`;
    }
  }

  function select(
    depth: number,
    outer: readonly Column[],
    width: number,
    only?: Kind,
  ): { sql: string; kinds: Kind[] } {
    const first = item(depth - 1, outer);
    let from = first.sql;
    const own = [...first.columns];
    for (let i = random.int(depth > 1 ? 3 : 2); i > 0; i--) {
      const next = item(depth - 1, [...outer, ...own]);
      const both = [...own, ...next.columns];
      const lateral = next.sql.startsWith("lateral");
      const kind = random.pick(["join", "left join", ...(lateral ? [] : ["full join"])]);
      const on =
        kind === "full join"
          ? "false"
          : random.chance(70)
            ? `${column(own, "int") ?? "1"} = ${column(next.columns, "int") ?? "1"}`
            : condition(0, both);
      from = random.chance(15) ? `${from} cross join ${next.sql}` : `${from} ${kind} ${next.sql} on ${on}`;
      own.push(...next.columns);
    }
    const columns = random.chance(75) ? own : [...own, ...outer];
    const kinds: Kind[] = Array.from({ length: width }, () => only ?? random.pick(["text", "text", "int"]));
    const grouped = depth > 0 && random.chance(12);
    const outputs = kinds.map((kind) => {
      const plain = random.chance(60);
      if (grouped)
        return kind === "text"
          ? `${random.pick(["max", "min"])}(${text(0, columns)})`
          : random.pick(["count(*)::int", `count(distinct ${text(0, columns)})::int`]);
      if (depth > 0 && random.chance(4))
        return kind === "text"
          ? `first_value(${text(0, columns)}) over (order by ${column(columns, "int") ?? "1"})`
          : `rank() over (order by ${text(0, columns)})::int`;
      return kind === "text" ? text(plain ? 0 : depth, columns) : int(plain ? 0 : depth, columns);
    });
    let sql = `select ${depth > 0 && random.chance(6) ? "distinct " : ""}${outputs.join(", ")} from ${from}`;
    if (random.chance(40)) sql += ` where ${condition(depth, columns)}`;
    if (grouped) {
      sql += ` group by ${random.chance(70) ? (column(own, "int") ?? "1.5::int") : text(0, own)}`;
      if (random.chance(20)) sql += ` having count(*) > 1`;
    } else if (depth > 0 && random.chance(12)) {
      const operator = random.pick([
        "union all",
        "union all",
        "union all",
        "union",
        "except",
        "intersect all",
      ]);
      const guess = kinds.map((kind) => (kind === "text" ? "'guess'" : "7")).join(", ");
      const other = random.chance(70) ? selectOf(depth - 1, outer, kinds) : `select ${guess}`;
      sql = `(${sql}) ${operator} (${other})`;
    } else if (random.chance(12)) sql += ` order by ${random.chance(50) ? "1" : text(0, columns)}`;
    return { sql, kinds };
  }

  /** A SELECT of the given kinds. */
  function selectOf(depth: number, outer: readonly Column[], kinds: readonly Kind[]): string {
    const from = item(depth - 1, outer);
    const outputs = kinds.map((kind) => (kind === "text" ? text(0, from.columns) : int(0, from.columns)));
    return `select ${outputs.join(", ")} from ${from.sql}`;
  }

  const choice = random.int(100);
  if (choice < 72) return select(3, [], random.int(4) + 1).sql;
  if (choice < 84) {
    const query = select(2, [], 2);
    const name = alias();
    return `with ${name}(a, b) as (${query.sql}) select a, b, (select count(*) from ${name}) from ${name} where ${random.pick(
      ["true", "a is not null", "exists (select 1 from users where id = 1)"],
    )}`;
  }
  if (choice < 90) {
    const columns = random.pick(["name, email", "email, name", "name, country", "country, ssn"]);
    return `with recursive r(a, b, n) as (select ${columns}, 1 from users where id < 4 union all select b, ${random.pick(["a", "b", "'x'", "a || b"])}, n + 1 from r where n < 3) select ${random.pick(["a", "b", "a, b", "n"])} from r`;
  }
  const from = item(1, []);
  const target = columnsOf(tables.orders ?? "", "o");
  const set = random.pick(["note", "email"]);
  const value = text(random.int(2), [...target, ...from.columns]);
  const returning = Array.from({ length: 2 }, () => text(random.int(2), [...target, ...from.columns]));
  if (random.chance(60))
    return `update orders o set ${set} = ${value} from ${from.sql} where ${column(from.columns, "int") ?? "1"} = o.id returning ${returning.join(", ")}`;
  return `delete from orders o using ${from.sql} where ${condition(1, [...target, ...from.columns])} returning ${returning.join(", ")}`;
}
