-- Values of all common types, in and out of range, in text form.
select 1::int2, -32768::int2, 2147483647::int4, 9223372036854775807::int8, 32768::int2;
select 'NaN'::float4, '-Infinity'::float8, 0.1::float4, 1e300::float8, 1e-320::float8, 3.14159265358979::float8;
select 'NaN'::numeric, 'Infinity'::numeric, 123456789012345678901234567890.123456789::numeric, -0.00000001::numeric(20,8), 1e131071::numeric > 0;
select true, false, null::bool, 'text'::text, 'char'::char(10), 'vc'::varchar(2), 'n'::name, 'c'::"char";
select '\xdeadbeef'::bytea, ''::bytea, 'abc\000def'::bytea;
set bytea_output = escape; select '\x00ff41'::bytea; reset bytea_output;
select '2024-02-29'::date, 'infinity'::date, '-infinity'::timestamp, '4713-01-01 BC'::date, '12:34:56.789'::time, '12:34:56+02'::timetz, '24:00:00'::time;
select '2024-02-29 12:00:00.123456'::timestamp, '2024-02-29 12:00:00+05:30'::timestamptz;
set timezone = 'Asia/Kolkata'; select '2024-02-29 12:00:00+00'::timestamptz; set datestyle = 'German, DMY'; select '2024-02-29 12:00:00+00'::timestamptz, '31.12.1999'::date; reset datestyle; reset timezone;
select '1 year 2 mons 3 days 04:05:06.7'::interval, '-1 day'::interval;
set intervalstyle = iso_8601; select '1 year 2 mons 3 days 04:05:06.7'::interval; set intervalstyle = sql_standard; select '1 year 2 mons -3 days'::interval; reset intervalstyle;
select '{"a": [1, 2, {"b": null}], "é": "\u20ac"}'::json, '{"a": [1, 2, {"b": null}], "é": "\u20ac"}'::jsonb, '"x"'::jsonb, 'null'::json;
select '{}'::json -> 'a', '{"a":1}'::jsonb @> '{"a":1}', jsonb_path_query('[1,2,3]', '$[*] ? (@ > 1)');
select '<a b="c">d</a>'::xml;
select '{1,2,NULL}'::int[], '{{1,2},{3,4}}'::int[][], '[2:4]={a,b,"c d"}'::text[], '{}'::text[], array['with "quote"', 'back\slash', 'com,ma', null, 'NULL', ''];
select int4range(1,10), '(,5]'::int8range, 'empty'::numrange, tstzrange('2024-01-01Z','2024-02-01Z'), '{[1,2],[5,7)}'::int4multirange;
select '192.168.1.5/24'::inet, '192.168.0.0/16'::cidr, '08:00:2b:01:02:03'::macaddr, '::1'::inet, '08:00:2b:01:02:03:04:05'::macaddr8;
select '(1,2)'::point, '[(0,0),(1,1)]'::lseg, '<(0,0),5>'::circle, '((0,0),(1,1))'::box, '((0,0),(1,1),(2,0))'::polygon, '{1,2,3}'::line, '[(0,0),(1,1)]'::path;
select B'1010'::bit(4), B'101'::varbit, 'a & b | !c'::tsquery, 'the quick brown fox'::tsvector, to_tsvector('simple', 'a b a');
select 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '12.34'::money, '16/B374D848'::pg_lsn, '10:20:10,14,15'::txid_snapshot, '0/0'::pg_lsn;
select 'pg_class'::regclass, 'int4'::regtype, 'now()'::regprocedure, 'pg_catalog'::regnamespace, 'simple'::regconfig;
select row(1, 'a', null, row(2, 'b "c"')), (1, '')::record;
create type mood as enum ('sad', 'ok', 'happy'); create type pair as (a int, b text); create domain positive as int check (value > 0);
select 'ok'::mood, enum_range(null::mood), row(1, 'x,y')::pair, array[row(1,'x')::pair, null], 5::positive;
select 'angry'::mood; select 0::positive; select '(1)'::pair;
select repeat('x', 100000) like 'x%', length(repeat('ä', 100000)), md5(repeat('x', 10000000));
select 'Ünïcödé ☃ 🐘 ' || chr(128024), U&'\0061\+01F418', E'tab\tnew\nline\\ \x41 \u00e9';
select 'a' as "a", 'b' as "a", 'c' as "A b""c", 1 as "", 2 as "select"; 
select; select from generate_series(1,3);
select null, null::int, '';
\pset null '(null)'
select null, null::int, '';
\x on
select 1 as a, 'two
lines' as b union all select 2, null;
\x off
\pset format csv
select 'a,b' as x, 'q"q' as y, E'new\nline' as z;
\pset format unaligned
select 1 as a, 2 as b;
\pset format html
select '<&>' as x;
\pset format aligned
\pset border 2
select * from (values (1,'a'),(2,'b')) v(i,t);
\pset border 1
drop type mood, pair; drop domain positive;
