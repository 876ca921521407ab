-- COPY in all directions, its failures included.
create table c(a int primary key, b text, c numeric);
copy c from stdin;
1	one	1.5
2	two\twith tab	\N
3	back\\slash	-1
\.
copy c(b, a) from stdin with (format csv, header, delimiter ';', null 'NIL');
b;a
"four; quoted ""x""";4
NIL;5
"multi
line";6
\.
copy c to stdout;
copy c to stdout with (format csv, header, force_quote *);
copy (select a, b from c where a < 4 order by a desc) to stdout with csv;
copy (select * from c where false) to stdout;
copy (select 'a'::text) to stdout (format binary);
copy (select generate_series(1, 20000)) to stdout;
copy c from stdin;
7	seven	7
7	again	7
\.
copy c from stdin;
x	bad	1
\.
copy c from stdin;
8	too	many	columns
\.
copy c from stdin;
9	short
\.
select count(*) from c;
copy missing from stdin;
copy c to stdout (format nonsense);
copy c(nope) to stdout;
begin; copy c from stdin;
20	in transaction	1
\.
select count(*) from c; copy c to stdout; rollback; select count(*) from c;
begin; copy c from stdin;
1	duplicate	1
\.
select 1; rollback;
\copy c to '/dev/stdout' csv
\copy (select a, b from c order by a) to stdout
\copy c from '/nonexistent/file'
\copy c from program 'printf "30\tthirty\t30\n31\tthirty-one\t\\\\N\n"'
\copy c from program 'seq 100 20099 | sed "s/$/\tbulk\t1/"'
select count(*), sum(a) from c;
\copy (select * from c) to program 'md5sum'
\copy (select * from c) to program 'exit 3'
\copy (select repeat(md5(g::text), 3000) from generate_series(1, 100) g) to program 'md5sum'
create temp table big(t text);
\copy big from program 'head -c 3000000 /dev/zero | tr "\\0" x'
select length(t) from big;
copy c from stdin where a > 1001 with (format csv);
select 1 \; copy (select 1) to stdout \; select 2 \; copy (select 3) to stdout;
create table n(x int); select 1 \; copy n from stdin \; select count(*) from n;
5
6
\.
copy n from stdin \; copy n from stdin \; select sum(x) from n;
1
\.
2
\.
copy c from stdin (freeze);
copy n from stdin;
70
\.
table n;
copy (insert into n values (99) returning x, x + 1) to stdout;
copy n from program 'echo 1234'; copy n to program 'cat > /dev/null'; 
select count(*) from n;
create function slow_bad() returns trigger language plpgsql as $$ begin if new.x > 3 then raise exception 'no more than 3, got %', new.x using hint = 'try less', detail = 'd', errcode = 'ZZ001'; end if; raise notice 'row %', new.x; return new; end $$;
create trigger t before insert on n for each row execute function slow_bad();
copy n from stdin;
1
2
5
6
\.
select 'after';
drop table c, n, big; drop function slow_bad;
