"""Battery for asyncpg, which knows the binary protocol only; prints what a client sees, in parts."""
import asyncio
import datetime
import decimal
import io
import os
import sys
import uuid

import asyncpg

from common import md5, show


FIELDS = (
    "severity sqlstate message detail hint position internal_position internal_query context schema_name table_name column_name "
    "data_type_name constraint_name server_source_filename server_source_line server_source_function"
).split()


def failure(error):
    fields = {n: getattr(error, n, None) for n in FIELDS} if isinstance(error, asyncpg.PostgresError) else {}
    return f"{type(error).__name__} { {n: v for n, v in fields.items() if v is not None} } {error}"


async def connect(**more):
    return await asyncpg.connect(host=os.environ["PGHOST"], port=os.environ["PGPORT"], user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"], database=os.environ["PGDATABASE"], ssl=False, **more)


PARTS = []


def part(function):
    PARTS.append(function)
    return function


async def outcome(what, awaitable):
    try:
        show(what, await awaitable)
    except Exception as error:  # noqa: BLE001
        show(what, "failed", failure(error))


TYPES = """select 1::int2, 2::int4, 3::int8, 1.5::float4, 2.5::float8, 123.45::numeric, 'NaN'::numeric, true, 'ü☃🐘'::text, 'c'::char(3), '\\xdead00'::bytea, '2024-02-29'::date,
'12:34:56.7'::time, '12:34:56+02'::timetz, '2024-02-29 12:00:00+02'::timestamptz, 'infinity'::timestamptz, '2024-02-29 12:00:00'::timestamp, '1 year 2 days 03:00'::interval, '{"a":[1,null]}'::json, '{"a":1}'::jsonb,
'{1,2,null}'::int[], '{{a,b},{"c d",null}}'::text[], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '10.0.0.1'::inet, '10.0.0.0/8'::cidr, int4range(1,5), '(1,2)'::point, '<(1,2),3>'::circle, B'101'::bit(3),
row(1,'x',null), '{[1,2],[5,7)}'::int4multirange, '08:00:2b:01:02:03'::macaddr, null, ''::text, 'pg_class'::regclass, 1::oid, '5'::xid, '(1,2)'::tid, 12.34::money, '16/B374D848'::pg_lsn"""


@part
async def types():
    """types, all in binary"""
    c = await connect()
    row = await c.fetchrow(TYPES)
    show([(k, v) for k, v in row.items()])
    for sql, value in (
        ("$1::int2", 5), ("$1::int8", 2**40), ("$1::float8", 1.25), ("$1::numeric", decimal.Decimal("-123456789.000000001")), ("$1::numeric", decimal.Decimal("NaN")),
        ("$1::text", "té\u2603"), ("$1::bytea", b"a\0b"), ("$1::bool", None), ("$1::date", datetime.date(2024, 2, 29)), ("$1::timestamptz", datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)),
        ("$1::interval", datetime.timedelta(days=1, microseconds=7)), ("$1::jsonb", '{"a": 1}'), ("$1::int[]", [1, None, 3]), ("$1::text[]", [["a"], ["b"]]), ("$1::uuid", uuid.UUID(int=5)), ("$1::int4range", asyncpg.Range(1, 5)), ("$1::point", asyncpg.Point(1, 2)),
        ("$1::int", "wrong"), ("$1::text", "a\0b"), ("$1::int2", 70000),
    ):
        await outcome(f"{sql} {value!r}", c.fetchval(f"select {sql}", value))
    await c.close()


@part
async def custom_types():
    """enums, composites, domains and their arrays (types are looked up on the way)"""
    c = await connect()
    await c.execute("drop schema if exists custom cascade; create schema custom; create type custom.mood as enum ('sad', 'ok'); create type custom.pair as (a int, b custom.mood); create domain custom.pos as int check (value > 0)")
    show(await c.fetchrow("select 'ok'::custom.mood, row(1,'sad')::custom.pair, array[row(1,'ok')::custom.pair], 5::custom.pos, array['sad','ok']::custom.mood[], array[5]::custom.pos[]"))
    show(await c.fetchval("select $1::custom.pair", (3, "sad")), await c.fetchval("select $1::custom.mood[]", ["ok"]))
    await outcome("bad enum", c.fetchval("select $1::custom.mood", "angry"))
    await c.set_type_codec("jsonb", encoder=str, decoder=lambda s: ("decoded", s), schema="pg_catalog")
    show(await c.fetchval("select '{}'::jsonb"))
    await c.execute("drop schema custom cascade")
    await c.reload_schema_state()
    await outcome("gone", c.fetchval("select 'ok'::custom.mood"))
    await c.close()


@part
async def prepared():
    """prepared statements and the statement cache"""
    c = await connect()
    s = await c.prepare("select $1::int as n, $2::text as t")
    show([a.type.name for a in s.get_parameters() and s.get_attributes()], [p.name for p in s.get_parameters()], s.get_statusmsg())
    for i in range(8):
        show(await s.fetch(i, "x"), s.get_statusmsg())
    show(await s.fetchval(5, None), await s.fetchrow(6, "y"))
    show(await (await c.prepare("select 1 from generate_series(1, 3)")).explain() is not None)
    await c.execute("create temp table t(a int); insert into t values (1)")
    show(await c.fetch("select * from t"))
    await c.execute("alter table t add b text default 'new'")
    await outcome("plan changed", c.fetch("select * from t"))
    async with c.transaction():
        await c.fetch("select a from t")
        await c.execute("alter table t alter a type text")
        await outcome("plan changed in a transaction", c.fetch("select a from t"))
    for i in range(150):
        await c.fetchval(f"select {i}")
    show(await c.fetchval("select count(*) > 50 from pg_prepared_statements"))
    await c.execute("deallocate all")
    await outcome("deallocated", c.fetchval("select 149"))
    await c.close()


@part
async def simple():
    """execute without arguments: the simple protocol"""
    c = await connect()
    await outcome("one", c.execute("select 1"))
    await outcome("several", c.execute("create temp table s(x int); insert into s values (1), (2); select * from s"))
    await outcome("error in the middle", c.execute("insert into s values (3); select 1/0"))
    show(await c.fetchval("select count(*) from s"))
    await outcome("empty", c.execute(""))
    await outcome("comment", c.fetch("-- nothing"))
    await outcome("several with arguments", c.execute("select $1::int; select 2", 1))
    await outcome("executemany", c.executemany("insert into s values ($1)", [(i,) for i in range(5000)]))
    await outcome("executemany with an error", c.executemany("insert into s values (1 / $1)", [(i - 50,) for i in range(100)]))
    show(await c.fetchrow("select count(*), sum(x) from s"))
    await c.close()


@part
async def errors():
    """errors with all fields"""
    c = await connect()
    await c.execute("create temp table e(id int primary key, v int constraint positive check (v > 0)); insert into e values (1, 1)")
    for sql in ("selct", "select 1/0", "select nope", "insert into e values (1, 1)", "insert into e values (2, 0)", "do $$ begin raise exception 'mine' using errcode = 'ABCDE', detail = 'd', hint = 'h'; end $$", "select 1/(500-g) from generate_series(1, 1000) g"):
        await outcome(f"simple {sql[:40]}", c.execute(sql))
        await outcome(f"extended {sql[:40]}", c.fetch(sql))
    show(await c.fetchval("select 1"))
    await c.close()


@part
async def transactions():
    """transactions and savepoints"""
    c = await connect()
    await c.execute("create temp table t(x int unique deferrable initially deferred)")

    async def nested():
        async with c.transaction(isolation="repeatable_read"):
            await c.execute("insert into t values (1)")
            try:
                async with c.transaction():
                    await c.execute("insert into t values ($1)", 2)
                    await c.fetch("select 1/0")
            except asyncpg.PostgresError as error:
                show(failure(error))
            async with c.transaction():
                await c.execute("insert into t values ($1)", 3)
        return await c.fetch("select * from t order by x")

    await outcome("nested", nested())

    async def fails():
        async with c.transaction():
            await c.execute("insert into t values (5), (5)")

    await outcome("at commit", fails())

    async def read_only():
        async with c.transaction(isolation="serializable", readonly=True, deferrable=True):
            await c.execute("insert into t values ($1)", 9)

    await outcome("read only", read_only())
    show(c.is_in_transaction(), await c.fetchval("select count(*) from t"))
    await c.close()


@part
async def cursors():
    """cursors (portals in portions)"""
    c = await connect()
    async with c.transaction():
        show(sum([r[0] async for r in c.cursor("select g from generate_series(1, $1::int) g", 1000, prefetch=7)]))
        cur = await c.cursor("select g from generate_series(1, 100) g")
        show(await cur.fetchrow(), await cur.fetch(3), await cur.forward(10), await cur.fetch(2), len(await cur.fetch(1000)), await cur.fetch(5))
        one, two = await c.cursor("select g from generate_series(1, 10) g"), await c.cursor("select -g from generate_series(1, 10) g")
        show([(await one.fetchrow(), await two.fetchrow()) for _ in range(3)])
        async for r in c.cursor("select g from generate_series(1, 100) g", prefetch=10):
            if r[0] == 15:
                break

    async def outside():
        return [r async for r in c.cursor("select 1")]

    await outcome("outside a transaction", outside())

    async def broken():
        async with c.transaction():
            return [r async for r in c.cursor("select 1/(25-g) from generate_series(1, 100) g", prefetch=10)]

    await outcome("error on the way", broken())
    show(await c.fetchval("select 2"))
    await c.close()


@part
async def copying():
    """COPY in text and binary"""
    c = await connect()
    await c.execute("create temp table cp(a int, b text)")
    await outcome("records", c.copy_records_to_table("cp", records=[(i, f"é{i}" if i % 3 else None) for i in range(20000)]))
    await outcome("csv", c.copy_to_table("cp", source=io.BytesIO(b'1,"x\ny"\n2,\n'), format="csv"))
    out = io.BytesIO()
    await outcome("out", c.copy_from_query("select a, b from cp where a < $1 order by a, b", 5000, output=out))
    show(len(out.getvalue()), md5(out.getvalue()))
    out = io.BytesIO()
    await outcome("binary", c.copy_from_table("cp", output=out, format="binary"))
    show(len(out.getvalue()))
    await outcome("bad", c.copy_to_table("cp", source=io.BytesIO(b"x,y\n"), format="csv"))

    async def source():
        yield b"1\tone\n"
        raise ValueError("ours")

    await outcome("given up by us", c.copy_to_table("cp", source=source()))

    async def sink(data):
        raise ValueError("full")

    await outcome("sink fails", c.copy_from_query("select repeat('x', 1000) from generate_series(1, 30000)", output=sink))
    show(await c.fetchval("select count(*) from cp"))
    await c.close()


@part
async def notifications():
    """notices, notifications"""
    c, d = await connect(), await connect()
    heard, logs = [], []
    c.add_log_listener(lambda _, m: logs.append((m.severity, m.message, m.detail)))
    await c.execute("do $$ begin raise notice 'a' using detail = 'd'; raise warning 'b'; end $$")
    await c.add_listener("four", lambda _, pid, channel, payload: heard.append((channel, payload)))
    await d.execute("select pg_notify('four', g::text) from generate_series(1, 3) g")
    for _ in range(50):
        if len(heard) == 3:
            break
        await asyncio.sleep(0.05)
    show(logs, heard)
    await c.close()
    await d.close()


@part
async def cancelling():
    """cancel and time-outs"""
    c = await connect()
    await outcome("timeout", c.fetch("select pg_sleep(30)", timeout=0.5))
    show(await c.fetchval("select 1"))
    task = asyncio.create_task(c.fetch("select pg_sleep($1)", 30))
    await asyncio.sleep(0.5)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        show("cancelled")
    show(await c.fetchval("select 2"))
    for i in range(5):
        await outcome("again", c.execute("select pg_sleep(30)", timeout=0.1))
        show(await c.fetchval("select $1::int", i))
    await outcome("while rows come", c.fetch("select g, pg_sleep(0.0005) from generate_series(1, 1000000) g", timeout=0.5))
    show(await c.fetchval("select 3"))
    await c.close()


@part
async def pools():
    """pool, reset, many connections"""
    pool = await asyncpg.create_pool(host=os.environ["PGHOST"], port=os.environ["PGPORT"], user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"], database=os.environ["PGDATABASE"], ssl=False, min_size=3, max_size=10, max_queries=20, command_timeout=20, server_settings={"search_path": "pg_catalog", "jit": "off"})

    async def one(i):
        async with pool.acquire() as c:
            if i % 10 == 0:
                await c.execute("set search_path = nope; listen x; set timezone = 'Asia/Tokyo'")
            if i % 7 == 0:
                try:
                    await c.fetch("select 1/0")
                except asyncpg.PostgresError:
                    return None
            return tuple(await c.fetchrow("select $1::int, current_setting('search_path'), current_setting('jit'), current_setting('timezone')", i)) if i % 10 else i

    results = await asyncio.gather(*[one(i) for i in range(300)])
    show(md5(repr(results)), results[:12])
    await pool.close()


@part
async def sizes():
    """10 MB both ways, 32,767 parameters, 200,000 rows"""
    c = await connect()
    text = "0123456789é" * 1_000_000
    show(await c.fetchrow("select $1::text = repeat('0123456789é', 1000000), length($1::text)", text))
    data = bytes(range(256)) * 40_000
    show(await c.fetchval("select $1::bytea", data) == data)
    marks = ",".join(f"${i + 1}::int" for i in range(32767))
    show(await c.fetchval(f"select cardinality(array[{marks}])", *range(32767)))
    await outcome("too many", c.fetchval("select 1 where 1 in (" + ",".join(f"${i + 1}::int" for i in range(32768)) + ")", *range(32768)))
    rows = await c.fetch("select g, g::text, g::float8, now() - now() from generate_series(1, 200000) g")
    show(len(rows), md5(repr([tuple(r) for r in rows])))
    show(await c.fetchval("select repeat('x', 40000000)") == "x" * 40_000_000)
    await c.close()


@part
async def ended():
    """the server ends the session"""
    c = await connect()
    gone = asyncio.Event()
    c.add_termination_listener(lambda _: gone.set())
    await outcome("own backend", c.execute("select pg_terminate_backend(pg_backend_pid())"))
    await asyncio.wait_for(gone.wait(), 10)
    show(c.is_closed())


@part
async def settings():
    """settings and version"""
    c = await connect(server_settings={"application_name": "battery", "timezone": "Asia/Tokyo", "search_path": "a,b"})
    s = c.get_settings()
    show(c.get_server_version()[:3], s.client_encoding, s.TimeZone, s.standard_conforming_strings, s.is_superuser, s.server_version)
    show(await c.fetchval("show search_path"))
    await c.reset()
    show(await c.fetchval("show search_path"), await c.fetchval("show timezone"))
    await c.close()


async def main():
    for one in PARTS:
        print(f"## {one.__doc__}")
        try:
            await asyncio.wait_for(one(), 60)
        except asyncio.TimeoutError:
            print("TIMEOUT")
        except Exception as error:  # noqa: BLE001
            print("UNEXPECTED", failure(error))
        sys.stdout.flush()


asyncio.run(main())
