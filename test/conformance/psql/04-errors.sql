-- Errors with all their fields, positions, notices, exit states.
\set VERBOSITY verbose
selct 1;
select * from missing_table;
select missing_column from pg_class;
select 1 +;
select 1/0;
select 'x'::int;
select E'\xff';
select * from generate_series(1, 'a');
  select
    1,
    nope(2)
  from pg_class;
create table e(id int primary key, parent int references e, v int check (v > 0), n text not null, unique (v));
insert into e values (1, 2, 3, 'a'); insert into e values (1, null, -1, 'a'); insert into e values (1, null, 1, null); insert into e values (1, null, 1, 'x'); insert into e values (1, null, 2, 'x'); insert into e values (2, null, 1, 'x');
insert into e(id) values ('x'); insert into e values (1,2,3,4,5); update e set id = 'x'; delete from e where nope;
drop table nothing; drop table if exists nothing; create table e(); create table if not exists e();
alter table e add column id int; select id, count(*) from e; select max(max(id)) from e;
do $$ begin raise exception 'message %', 42 using detail = 'the detail', hint = 'the hint', errcode = 'P0042', column = 'c', constraint = 'k', datatype = 't', table = 'tt', schema = 's'; end $$;
do $$ begin raise debug 'd'; raise log 'l'; raise info 'i'; raise notice 'n'; raise warning 'w' using hint = 'h', detail = 'd'; end $$;
set client_min_messages = debug1; do $$ begin raise debug 'd1'; end $$; reset client_min_messages;
do $$ declare x int; begin x := 'a'::text::int; exception when others then raise notice 'caught % %', sqlstate, sqlerrm; end $$;
create function deep(n int) returns int language plpgsql as $$ begin if n = 0 then return 1/0; end if; return deep(n - 1); end $$; select deep(3);
do $$ begin perform nothing(); end $$;
do $$ begin this is no sql; end $$;
\set VERBOSITY terse
select nope;
\set VERBOSITY default
select nope;
\set SHOW_CONTEXT always
select deep(1); do $$ begin raise notice 'with context'; end $$;
\set SHOW_CONTEXT never
select deep(1);
\set SHOW_CONTEXT errors
\errverbose
select 1; \errverbose
\echo :ERROR :SQLSTATE :ROW_COUNT :LAST_ERROR_MESSAGE :LAST_ERROR_SQLSTATE
select nope;
\echo :ERROR :SQLSTATE :ROW_COUNT :LAST_ERROR_MESSAGE :LAST_ERROR_SQLSTATE
begin; select 1/0; select 1; savepoint s; commit;
begin; savepoint a; select nope; rollback to a; select 'fine'; release a; commit;
rollback; commit; begin; begin; rollback; savepoint outside; release nothing; rollback to nothing;
\set ON_ERROR_ROLLBACK on
begin; select nope; select 'still here'; insert into e values (50, null, 50, 'x'); insert into e values (50, null, 51, 'x'); select count(*) from e where id = 50; commit;
\set ON_ERROR_ROLLBACK off
\set AUTOCOMMIT off
insert into e values (60, null, 60, 'x'); select count(*) from e where id = 60; rollback; select count(*) from e where id = 60; commit;
\set AUTOCOMMIT on
select 1 \; select 2 \; select nope \; select 3;
select 1 \; select 2/0 \; select 3;
insert into e values (70, null, 70, 'x') \; select 1/0; select count(*) from e where id = 70;
begin \; insert into e values (71, null, 71, 'x') \; commit \; select 1/0; select count(*) from e where id = 71;
select 1 \; begin \; select 2 \; select nope; select 'in a failed transaction'; rollback;
\set SHOW_ALL_RESULTS off
select 1 \; select 2;
\set SHOW_ALL_RESULTS on
;
;;
-- only a comment
/* nested /* comment */ */
select /* inside */ 1 -- after
;
set constraints all deferred; set nonsense = 1; set work_mem = 'x'; show nonsense; reset nonsense; set statement_timeout = '50ms'; select pg_sleep(5); reset statement_timeout;
set lock_timeout = 'bad'; set role nobody_there; set session authorization nobody_there; set transaction isolation level serializable;
begin isolation level repeatable read read only; insert into e values (80, null, 80, 'x'); rollback;
begin; set local statement_timeout = '30ms'; select pg_sleep(5); select 1; rollback; show statement_timeout;
begin; declare c cursor for select 1/(3-g) from generate_series(1, 5) g; fetch 2 from c; fetch 2 from c; fetch 1 from c; rollback;
create table d(x int unique deferrable initially deferred); begin; insert into d values (1), (1); commit; select count(*) from d;
lock table e; prepare transaction 'x'; begin; insert into d values (5); prepare transaction 'two phase'; select count(*) from d; commit prepared 'two phase'; select count(*) from d; rollback prepared 'nothing';
vacuum e; begin; vacuum e; rollback; create database inside \; select 1;
select pg_terminate_backend(0); select pg_cancel_backend(pg_backend_pid()); select 'after cancel';
explain (costs off) select * from e where id = 1; explain (costs off, format json) select 1; 
drop table e, d; drop function deep;
