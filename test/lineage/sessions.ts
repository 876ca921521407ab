/**
 * Random sessions of somebody who owns the tables: definitions, copies, cursors, rules and reads, one after the other, so that what a
 * statement leaves behind meets the next one. The same seed gives the same sessions.
 */
import type { Random } from "../analysis/lineage-random.ts";

const columns: Readonly<Record<string, readonly string[]>> = {
  users: ["email", "ssn"],
  "hr.emp": ["salary"],
  prof: ["doc", "home"],
  part: ["email"],
  parent: ["email"],
  child: ["email"],
  v_users: ["contact"],
  mv_users: ["email"],
  kinds: ["p_text", "p_raw", "p_home", "p_doc", "p_list"],
};
const owned = ["users", "parent", "child", "part", "hr.emp", "kinds", "orders", "copies"];

/** The statements of one session, in order. */
export function randomSession(random: Random, seed: number): string[] {
  let names = 0;
  const fresh = (): string => `z${seed}_${++names}`;
  const made: string[] = [];
  const kept = (): string => {
    const name = fresh();
    made.push(name);
    return name;
  };
  const table = (): string => random.pick(Object.keys(columns));
  const column = (name: string): string => random.pick(columns[name] ?? ["note"]);
  const protectedTable = (): string => random.pick(owned.filter((name) => columns[name] !== undefined));

  function expression(name: string): string {
    const one = column(name);
    return random.pick([
      one,
      one,
      one,
      `${one}::text`,
      `upper(${one}::text)`,
      `to_jsonb(${one})`,
      `array[${one}]`,
    ]);
  }
  function reads(): string {
    const name = random.pick([...Object.keys(columns), ...made]);
    if (columns[name] === undefined) return `select * from ${name}`;
    return random.chance(60)
      ? `select ${column(name)} as x, 1 as one from ${name}`
      : `select ${expression(name)} as x, ${expression(name)} as y from ${name}`;
  }
  const any = (...texts: readonly string[]): string => random.pick(texts);
  const old = (): string => (made.length === 0 ? table() : random.pick(made));

  const kinds: readonly (() => string)[] = [
    reads,
    reads,
    () =>
      any(
        `select * from ${old()}`,
        `select z, to_jsonb(z) from ${old()} z`,
        `copy ${old()} to stdout`,
        `select x::int from ${old()}`,
      ),
    () => `create ${any("", "temp ")}table ${kept()} as ${reads()}`,
    () => `create ${any("", "temp ")}view ${kept()} as ${reads()}`,
    () => `create materialized view ${kept()} as ${reads()} ${any("", "with no data")}`,
    () => `refresh materialized view ${old()}`,
    () => `prepare ${kept()} as ${reads()}`,
    () =>
      any(
        `execute ${old()}`,
        `create temp table ${fresh()} as execute ${old()}`,
        `explain (analyze, verbose) execute ${old()}`,
      ),
    () => `declare ${kept()} ${any("", "binary ")}cursor with hold for ${reads()}`,
    () =>
      any(
        `fetch all from ${old()}`,
        `fetch 1 from ${old()}`,
        `update users set name = email where current of ${old()}`,
      ),
    () =>
      `insert into ${random.pick(owned)} select ${any("*", "1, email", "7, 7, 1, email")} from ${table()} returning *`,
    () => {
      const name = protectedTable();
      return `update ${name} set ${column(name)} = ${any(column(name), expression(name), "default")} returning *`;
    },
    () => {
      const name = protectedTable();
      const one = column(name);
      return `alter table ${name} ${any(
        `rename to ${fresh()}`,
        `rename column ${one} to ${fresh()}`,
        `add column ${fresh()} text generated always as (${one}::text) stored`,
        `alter column ${one} type varchar(5)`,
        "set schema app",
        `add unique (${one})`,
        `inherit ${random.pick(owned)}`,
        `no inherit ${random.pick(owned)}`,
        `drop column ${one} cascade`,
        "enable row level security",
      )}`;
    },
    () =>
      any(
        `create table ${kept()} (like ${random.pick(owned)} including all)`,
        `create table ${kept()} () inherits (${random.pick(owned)})`,
        `create table ${kept()} of addr`,
        `create table ${kept()} (id int, email text, x text generated always as (upper(email)) stored)`,
      ),
    () =>
      `insert into ${old()} (${any("id, email", "email", "x")}) select ${any("1, email", "email", "ssn")} from users`,
    () =>
      `create rule ${fresh()} as on ${any("insert", "update", "delete")} to ${random.pick(owned)} do ${any("also", "instead")} ${any(
        reads(),
        "insert into copies select email from users",
        "update orders set note = (select ssn from users limit 1)",
      )}`,
    () =>
      `create trigger ${fresh()} before insert or update on ${protectedTable()} for each row execute function ${any(
        "tsvector_update_trigger(words, 'pg_catalog.simple', email)",
        "tsvector_update_trigger(words, 'pg_catalog.simple', p_text)",
        "suppress_redundant_updates_trigger()",
      )}`,
    () =>
      any(
        "set search_path = app, public",
        "reset search_path",
        "set datestyle = 'German'",
        "set bytea_output = escape",
        "set plan_cache_mode = force_generic_plan",
        "begin",
        "commit",
        "rollback",
        "savepoint s",
        "rollback to s",
        "discard plans",
        "deallocate all",
        "alter type addr rename attribute street to lane cascade",
        "alter domain email_d add check (value::int > 1)",
        "analyze users",
      ),
    () =>
      `merge into orders o using users u on o.id = u.id when matched then update set ${any("note = u.email", "note = u.name", "email = u.ssn")}`,
    () =>
      `with w as (update users set email = email returning *) ${any("select * from w", "insert into copies select email from w", "select w from w")}`,
  ];
  return Array.from({ length: 3 + random.int(8) }, () => random.pick(kinds)());
}
