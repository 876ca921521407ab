-- psql's large object commands use libpq's fast path: the FunctionCall message.
\set VERBOSITY verbose
select lo_create(777001);
\lo_import /etc/hostname 'imported'
\lo_unlink 777001
\lo_unlink 777001
select lo_from_bytea(777002, convert_to(repeat('0123456789abcdef', 200000), 'UTF8'));
\lo_export 777002 /dev/null
begin;
\lo_export 777002 /dev/null
\lo_export 999999 /dev/null
select 'in a failed transaction?';
rollback;
select 'after';
\lo_unlink 777002
select count(*) from pg_largeobject_metadata;
select lo_unlink(oid) from pg_largeobject_metadata;
