-- Prepared statements in SQL, cursors, procedures that commit, \gexec and friends.
prepare p(int, text) as select $1 + 1, $2 || '!'; execute p(1, 'a'); execute p('2', 'b'); execute p(1); execute p('x', 'y'); execute nothing;
prepare p as select 1; deallocate p; execute p(1, 'a'); deallocate p; deallocate all;
prepare q as insert into nothing values (1); prepare ins(int) as select $1::int where $1 > 0; select name, statement, parameter_types from pg_prepared_statements order by 1;
execute ins(5) \; execute ins(-5); prepare two as select 1; prepare two as select 2; execute two; deallocate prepare two;
prepare z as select * from generate_series(1, $1); execute z(3); explain (costs off) execute z(3); create table from_z as execute z(4); select count(*) from from_z; drop table from_z;
begin; prepare intx as select 'made in a transaction that rolls back'; rollback; execute intx; discard plans; execute intx; discard all; execute intx;
begin; declare c scroll cursor for select g from generate_series(1, 10) g; fetch 3 from c; fetch backward 2 from c; fetch last from c; fetch absolute 5 from c; move 2 in c; fetch next from c; fetch relative -1 from c; fetch 0 from c; move forward all in c; fetch prior from c; close c; fetch c; rollback;
declare h cursor with hold for select g from generate_series(1, 5) g; fetch 2 from h; select name, is_holdable from pg_cursors; begin; fetch 1 from h; rollback; fetch all from h; close h; close h; close all;
declare outside cursor for select 1;
begin; declare b binary cursor for select 'bin'::text; fetch b; commit;
\set FETCH_COUNT 7
select g, g * 2 as d from generate_series(1, 20) g;
select g from generate_series(1, 0) g;
select 1/(10-g) from generate_series(1, 20) g;
begin; select g from generate_series(1, 3) g; commit;
create temp table fc as select 1; insert into fc values (2) returning *; select 1 as a \gset
\echo :a
\set FETCH_COUNT 0
create table log(n int); create procedure commits(k int) language plpgsql as $$ begin for i in 1..k loop insert into log values (i); if i % 2 = 0 then commit; else rollback; end if; end loop; end $$;
call commits(5); table log; begin; call commits(2); rollback; table log;
create procedure outs(in a int, out b int, inout c text) language plpgsql as $$ begin b := a * 2; c := c || '!'; raise notice 'in outs'; end $$; call outs(4, null, 'x');
do $$ begin insert into log values (100); commit; insert into log values (101); raise exception 'after the commit'; end $$; table log;
do $$ begin for i in 1..3 loop raise notice 'step %', i; perform pg_sleep(0.01); end loop; end $$;
create function gen(n int) returns setof log language plpgsql as $$ begin return query select g from generate_series(1, n) g; raise notice 'done'; end $$; select * from gen(3); select gen(2);
create function two_refs() returns setof refcursor language plpgsql as $$ declare a refcursor := 'ra'; b refcursor := 'rb'; begin open a for select 1; return next a; open b for select 2, 3; return next b; end $$; begin; select two_refs(); fetch all from ra; fetch all from rb; commit;
select 'select ' || g from generate_series(1, 3) g \gexec
select 1 as one, 'two' as two \gdesc
select * from nothing \gdesc
select $1 \gdesc
insert into log values (7) returning n \gdesc
select g % 3 as r, g % 2 as c, count(*) from generate_series(1, 12) g group by 1, 2 order by 1, 2 \crosstabview
select 5 as v, null as w \gset pre_
\echo :pre_v :{?pre_w}
select :pre_v + 1, :'pre_v', :"pre_v";
select 1 \g /dev/null
select 'to a program' \g | cat
select 1 \gx
\if :{?pre_v}
select 'then';
\else
select 'else';
\endif
\i /nonexistent.sql
\timing off
\c - - - -
select 'after reconnecting', current_database(), current_user, session_user;
begin; insert into log values (1); savepoint one; insert into log values (2); savepoint two; insert into log values (3); rollback to one; insert into log values (4); release one; commit; select * from log order by 1;
with w as (insert into log values (500) returning n), d as (delete from log where n = 1 returning n) select * from w, d; merge into log using (values (500), (600)) s(x) on n = x when matched then update set n = 501 when not matched then insert values (x); truncate log; 
insert into log select generate_series(1, 1000); update log set n = n + 1; delete from log where n < 500; select count(*) from log; table log limit 2; values (1, 2), (3, 4); 
select into sel from log; create table ct as select 1 as a; select * into st from ct; refresh materialized view nothing; analyze log; checkpoint; reindex table log; cluster; discard temp; 
listen ch; notify ch; notify ch, 'with payload'; select pg_notify('ch', repeat('x', 100)); unlisten ch; notify ch, 'not heard'; listen "Quoted Ch"; begin; notify "Quoted Ch", 'in tx'; select 'not yet'; commit; unlisten *; notify "Quoted Ch"; select pg_notify('ch', repeat('x', 8000));
set application_name = 'changed'; show application_name; set standard_conforming_strings = off;
select 'a\'b', 'c\\d', E'e\'f'; prepare odd as select 'g\'h'; execute odd;
begin; declare odd cursor for select 'i\'j; select 1'; fetch odd; commit;
reset standard_conforming_strings;
select 'a\', E'b\'c', 'd\';
set search_path = nothing; select * from log; reset search_path; select count(*) from log; set local work_mem = '1MB'; show search_path; show server_version_num;
set client_encoding = latin1; select 'é', U&'\20ac'; \encoding
reset client_encoding; \encoding utf8
select U&'\20ac'; set client_encoding = sjis; select 'x' as "y"; set client_encoding = nothing; set client_encoding = 'utf-8'; \encoding LATIN1
select U&'\00e9'; \encoding UTF8
select 'é';
drop procedure commits, outs; drop function gen, two_refs; drop table log, st, ct, sel;
