/** Roads for protected values that are no result of a query: errors, notices, notifications, settings, copies, functions. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { functionCall, query } from "../e2e/messages.ts";
import { rawLogin } from "../support/raw.ts";
import { type LineageLab, startLineageLab } from "./support.ts";

describe.each(["output", "derived"] as const)("use: %s", (use) => {
  let lab: LineageLab;
  beforeAll(async () => {
    lab = await startLineageLab(use);
    await lab.cluster.query(
      lab.dbname,
      `create unique index on users (email);
       create function tell() returns trigger language plpgsql as
         $$ begin raise exception '%', (select string_agg(ssn, ' ') from users); end $$;
       create table bell (x int); create trigger tell before insert on bell for each row execute function tell();
       grant all on bell to ${lab.role};
       create table copies (x text);
       alter table users add constraint ages check (age < 1000);
       create function shout() returns trigger language plpgsql as
         $$ begin raise notice 'old %', old.ssn; raise log 'x'; return new; end $$;
       create trigger shout before update on users for each row execute function shout();
       create table ruled (id int, note text);
       create rule also as on insert to ruled do also select email from users;
       create rule instead as on update to ruled do instead select note, (select ssn from users limit 1) from ruled;
       create table told (id int, note text);
       create rule tell as on insert to told do also select id, note from told;
       insert into ruled values (1, 'a'); grant all on ruled, told to ${lab.role};
       create function chatty(x int) returns boolean language plpgsql immutable as
         $$ begin raise notice '%', (select string_agg(ssn, ' ') from users); return true; end $$;
       create function chatty_sum(int, int) returns boolean language sql immutable as 'select chatty($1 + $2)';
       create operator ~?~ (leftarg = int, rightarg = int, function = chatty_sum);
       create table checked (x int check (chatty(x)));
       create table weighed (x int check (x ~?~ 1));
       create table computed (x int, y boolean generated always as (chatty(x)) stored);
       create table indexed (x int); create index on indexed (chatty(x));
       create table filtered (x int); create index on filtered (x) where chatty(x);
       create table divided (x int) partition by list (chatty(x));
       create table divided_part partition of divided default;
       create table above (x int) partition by list (x);
       create table below partition of above default; alter table below add check (chatty(x));
       create table upper (x int) partition by list (x);
       create table lower partition of upper default;
       create trigger tell before insert on lower for each row execute function tell();
       grant all on checked, weighed, computed, indexed, filtered, divided, above, upper to ${lab.role};
       grant all on copies to ${lab.role}; grant create on schema public to ${lab.role};
       grant update on users to ${lab.role}`,
    );
  });
  afterAll(async () => {
    await lab?.stop();
  });

  /** Runs statements one by one in a session of its own; whether each was refused or failed. */
  async function says(...texts: readonly string[]): Promise<boolean[]> {
    const client = await rawLogin(lab.recorder, await lab.postern.token(), { database: "lineage" });
    const failed: boolean[] = [];
    for (const text of texts) {
      client.send(query(text));
      const messages = await client.ready();
      failed.push(messages.some((one) => one.type === "E"));
      expect(client.closed, text).toBe(false);
    }
    await client.end();
    expect(lab.tokens.found(lab.recorder.take()), texts.join("; ")).toEqual([]);
    return failed;
  }

  test.each([
    ["a cast that fails", "select email::int from users"],
    ["a cast in a predicate", "select 1 from users where ssn::int = 1"],
    ["a domain", "select email::email_d from users"],
    ["JSON", "select ssn::json from users"],
    ["XML", "select xmlparse(document email) from users"],
    ["a regular expression", "select 'x' ~ ('[' || email) from users"],
    ["a division", "select 1 / (length(email) - 14) from users"],
    ["to_date", "select to_date(ssn, 'YYYY-MM-DD') from users"],
    ["a format", "select format('%' || email) from users"],
    ["a set-returning function", "select * from users u, generate_series(1, u.email::int)"],
    ["a check constraint", "update users set age = 5000 where id = 1"],
    ["not null", "update users set email = null where id = 1"],
    ["a unique index", "update users set email = (select email from users where id = 2) where id = 1"],
    ["an insert", "insert into users(id, email) select 99, email from users where id = 1"],
    [
      "on conflict",
      "insert into users(id, email) values (1, 'x') on conflict (id) do update set name = users.email returning name",
    ],
    [
      "merge",
      "merge into orders o using users u on o.user_id = u.id when matched then update set note = u.email",
    ],
    ["a trigger's notice", "update users set age = 1 where id = 1"],
    ["a trigger that reads", "insert into bell values (1)"],
    ["a trigger of a partition", "insert into upper values (1)"],
    ["a check's function", "insert into checked values (1)"],
    ["an operator in a check", "insert into weighed values (1)"],
    ["a check of a partition", "insert into above values (1)"],
    ["a generated column's function", "insert into computed values (1)"],
    ["an index's function", "insert into indexed values (1)"],
    ["an index's predicate", "insert into filtered values (1)"],
    ["a partition key's function", "insert into divided values (1)"],
    ["a rule that selects as well", "insert into ruled values (1, 'x')"],
    ["the same, returning", "insert into ruled values (1, 'x') returning id"],
    ["a rule that selects instead", "update ruled set id = 2"],
    ["a rule that selects, behind WITH", "with x as (select 1) insert into ruled select 1, 'x' from x"],
    ["pg_notify", "select pg_notify('c', email) from users"],
    ["set_config", "select set_config('application_name', email, false) from users"],
    ["set_config of a setting of one's own", "select set_config('my.own', ssn, false) from users"],
    ["a large object", "select lo_from_bytea(0, email::bytea) from users"],
    ["the write-ahead log", "select pg_logical_emit_message(false, 'x', email) from users"],
    ["a lock", "select pg_advisory_lock(hashtext(email)) from users"],
    ["sleep", "select pg_sleep(length(email) / 1000.0) from users"],
    ["query_to_xml", "select query_to_xml('select * from users', true, false, '')"],
    ["a cursor by name", "select cursor_to_xml('c', 1, true, false, '')"],
    [
      "DO",
      "do $$ declare r record; begin for r in select email from users loop raise notice '%', r.email; end loop; end $$",
    ],
    ["DO that fails", "do $$ begin raise exception '%', (select string_agg(email, ' ') from users); end $$"],
    [
      "a function of one's own",
      "create function pg_temp.f() returns text language sql as 'select email from users limit 1'; select pg_temp.f()",
    ],
    ["statistics", "select most_common_vals, histogram_bounds from pg_stats where tablename = 'users'"],
    ["statistics themselves", "select stavalues1 from pg_statistic"],
    ["SELECT INTO", "select email into leaked from users"],
    ["CREATE TABLE AS", "create table leaked as table users"],
    ["a view", "create view leaked as select email as x from users"],
    ["a copy by INSERT", "insert into copies select email from users"],
    ["a copy by UPDATE", "update orders set note = (select email from users where id = 1)"],
    ["COPY out", "copy users to stdout"],
    ["COPY out, CSV", "copy users (id, email, ssn) to stdout with (format csv, header, quote '''')"],
    [
      "COPY out, with another delimiter",
      "copy (select name, email from users) to stdout (delimiter 'n', null '[redacted]')",
    ],
    ["COPY in another encoding", "copy (select '表', email, name from users) to stdout (encoding 'SJIS')"],
    ["EXPLAIN", "explain (analyze, verbose, buffers) select * from users where email > 'k'"],
    ["EXPLAIN of a constant", "explain (verbose, costs off) select (select email from users limit 1)"],
  ])("%s", async (_, text) => {
    await says(text);
  });

  test("what a rule adds that reads nothing protected runs", async () => {
    expect(await says("insert into told values (1, 'x')", "delete from told")).toEqual([false, false]);
    expect(await says("insert into ruled values (1, 'x')", "update ruled set id = 2")).toEqual([true, true]);
  });

  test("what was copied comes back masked, or was never copied", async () => {
    await says(
      "create table mine as select id, email as x from users",
      "select * from mine",
      "insert into copies select ssn from users",
      "select * from copies",
      "create temp table t as select u from users u",
      "select * from t",
      "create materialized view m as select id, ssn as y from users",
      "select * from m",
      "table m",
    );
  });

  test("names prepared and declared before", async () => {
    await says(
      "prepare p as select email, ssn from users",
      "execute p",
      "begin",
      "declare c cursor with hold for select * from users",
      "fetch 1 from c",
      "commit",
      "fetch all from c",
      "fetch backward 2 from c",
      "select name, statement from pg_prepared_statements",
      "select name, statement from pg_cursors",
      "deallocate p",
      "execute p",
      "prepare ruling as insert into ruled values (1, 'x')",
      "execute ruling",
      "explain (analyze, verbose) insert into ruled values (1, 'x')",
      "create table mine_ruled (id int)",
      "create rule r as on insert to mine_ruled do also select ssn from users",
      "insert into mine_ruled values (1)",
      "create rule s as on delete to mine_ruled do instead (select 1; select email from users)",
      "delete from mine_ruled",
    );
  });

  test("a function called by the protocol", async () => {
    const [row] = await lab.cluster.query(
      lab.dbname,
      "select 'get_email(int)'::regprocedure::oid::int as oid",
    );
    const client = await rawLogin(lab.recorder, await lab.postern.token(), { database: "lineage" });
    client.send(functionCall(Number(row?.oid), ["1"]));
    const messages = await client.ready();
    expect(messages.some((one) => one.type === "E")).toBe(true);
    await client.end();
    expect(lab.tokens.found(lab.recorder.take())).toEqual([]);
  });

  test("notifications that another session sends are not made of what this one sent", async () => {
    expect(
      await says("listen c", "notify c, 'hello'", "select pg_notify('c', ssn) from users", "select 1"),
    ).toEqual([false, false, true, false]);
  });

  test("log and audit trail hold no token", async () => {
    expect(await lab.kept()).toEqual([]);
  });
});
