"""Battery for psycopg 3; prints what a client sees, in parts."""
import asyncio
import logging
import os
import threading

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from common import failure, md5, outcome, part, show


# What it says when objects are collected comes at any time.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)


def connect(**more):
    return psycopg.connect("", **more)


def rows(cursor):
    columns = [(c.name, c.type_code, c.internal_size) for c in cursor.description] if cursor.description else None
    return cursor.statusmessage, cursor.rowcount, columns, cursor.fetchall() if cursor.description else None


TYPES = """select 1::int2, 2::int8, 1.5::float8, 123.45::numeric, true, 'ü☃🐘'::text, '\\xdead00'::bytea, '2024-02-29'::date, '12:34:56.7'::time,
'2024-02-29 12:00:00+02'::timestamptz, '2024-02-29 12:00:00'::timestamp, '3 days 02:00'::interval, '{"a":[1,null]}'::json, '{"a":1}'::jsonb,
'{1,2,null}'::int[], '{{a,b},{"c d",null}}'::text[], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '10.0.0.0/8'::cidr, int4range(1,5), null, ''::text"""


@part
def settings():
    """settings and session"""
    with connect(options="-c search_path=pg_catalog,public -c lock_timeout=5000", application_name="battery") as c:
        for name in ("search_path", "lock_timeout", "client_encoding"):
            show(rows(c.execute(f"show {name}")))
        for name in ("server_version", "client_encoding", "DateStyle", "TimeZone", "IntervalStyle", "is_superuser", "session_authorization"):
            show(name, c.info.parameter_status(name))
        show(c.info.server_version, c.info.encoding, c.info.status.name, c.info.transaction_status.name, c.info.dbname, c.info.user)


@part
def types():
    """types in text and binary"""
    with connect() as c:
        show(rows(c.execute(TYPES)))
        show(rows(c.cursor(binary=True).execute(TYPES)))
        for binary in (False, True):
            for value in (1, 70000, 2**40, 1.5, None, True, "té'xt", "", b"a\0b", [1, 2], ["x", None], Jsonb({"a": [1]})):
                outcome(f"{binary} {value if not isinstance(value, Jsonb) else 'json'}", lambda: c.cursor(binary=binary).execute("select %s as v", (value,)).fetchall())
                c.rollback()
        outcome("formats", lambda: c.execute("select %b::int4 + %t::int4", (1, 2)).fetchall())


@part
def prepared():
    """statements prepared after some executions"""
    for threshold in (0, 1, 5, None):
        with connect(prepare_threshold=threshold) as c:
            for i in range(10):
                c.execute("select %s::int + 1", (i,)).fetchall()
            show(threshold, [r[0] for r in c.execute("select statement from pg_prepared_statements order by 1").fetchall()])
            c.prepared_max = 3
            for i in range(12):
                c.execute(f"select {i % 6}, %s::text", ("x",), prepare=True).fetchall()
            show(c.execute("select count(*) from pg_prepared_statements").fetchall())
            c.execute("create temp table t(a int)")
            for _ in range(7):
                c.execute("select * from t").fetchall()
            c.execute("alter table t add b int")
            outcome("plan changed", lambda: c.execute("select * from t").fetchall())
            c.rollback()
            outcome("deallocate all", lambda: c.execute("deallocate all").statusmessage)
            outcome("after", lambda: c.execute("select %s::int + 1", (1,)).fetchall())


@part
def pipeline():
    """pipeline mode"""
    with connect(autocommit=True) as c:
        c.execute("create temp table p(x int)")
        with c.pipeline() as p:
            cursors = [c.execute("select %s::int, repeat('x', 1000)", (i,)) for i in range(500)]
            show(sum(cur.fetchone()[0] for cur in cursors))
            c.execute("insert into p values (1)")
            p.sync()
            cur = c.execute("select count(*) from p")
            show(cur.fetchall())

        def broken():
            with c.pipeline():
                c.execute("insert into p values (2)")
                c.execute("select 1/0")
                c.execute("insert into p values (3)")

        outcome("error", broken)
        show(c.execute("select array_agg(x) from p").fetchall())

        def several():
            with c.pipeline() as p:
                a = c.execute("insert into p values (4)")
                p.sync()
                try:
                    c.execute("selct")
                    p.sync()
                except psycopg.Error as error:
                    show("caught", failure(error))
                b = c.execute("select array_agg(x order by x) from p")
                return b.fetchall()

        outcome("sync between", several)
        with c.pipeline():
            with c.transaction():
                c.execute("insert into p values (10)")
            try:
                with c.transaction():
                    c.execute("insert into p values (11)")
                    c.execute("select 1/0").fetchall()
            except psycopg.Error as error:
                show("caught", failure(error))
            show(c.execute("select array_agg(x order by x) from p").fetchall())
        with c.pipeline():
            cur = c.cursor()
            cur.executemany("insert into p values (%s) returning x", [(i,) for i in range(100, 400)], returning=True)
            total = 0
            while True:
                total += cur.fetchone()[0]
                if not cur.nextset():
                    break
            show(total)
        show(c.execute("select count(*), sum(x) from p").fetchall(), c.info.transaction_status.name)


@part
def transactions():
    """transactions, savepoints, two-phase"""
    with connect() as c:
        c.execute("create temp table t(x int unique deferrable initially deferred)")
        c.commit()
        with c.transaction():
            c.execute("insert into t values (1)")
            try:
                with c.transaction():
                    c.execute("insert into t values (2)")
                    c.execute("select 1/0")
            except psycopg.Error as error:
                show(failure(error))
            with c.transaction("named"):
                c.execute("insert into t values (3)")
            with c.transaction() as tx:
                c.execute("insert into t values (4)")
                raise psycopg.Rollback(tx)
        show(c.execute("select array_agg(x) from t").fetchall())
        c.execute("insert into t values (7), (7)")
        outcome("commit", c.commit)
        c.rollback()
        for level in psycopg.IsolationLevel:
            c.isolation_level = level
            c.read_only = True
            show(level.name, c.execute("select current_setting('transaction_isolation'), current_setting('transaction_read_only')").fetchall())
            outcome("write", lambda: rows(c.execute("create table never(x int)")))
            c.rollback()
        c.isolation_level = c.read_only = None
        c.rollback()
    c = connect()
    xid = c.xid(1, "psycopg3", "b")
    c.tpc_begin(xid)
    c.execute("create table if not exists psycopg3_two_phase(x int)")
    c.tpc_prepare()
    c.close()
    with connect() as c:
        show([x.gtrid for x in c.tpc_recover()])
        c.rollback()
        c.tpc_rollback(xid)


@part
def errors():
    """errors with all fields"""
    with connect(autocommit=True) as c:
        c.execute("create temp table e(id int primary key, v int constraint positive check (v > 0))")
        c.execute("insert into e values (1, 1)")
        for text in ("selct", "select 1/0", "select nope", "insert into e values (1, 1)", "insert into e values (2, 0)", "", "-- comment", ";", "do $$ begin raise exception 'mine' using errcode = 'ABCDE', detail = 'd', hint = 'h'; end $$", "select 1; select 2/0", "select 1; select 2"):
            outcome(text[:40], lambda: rows(c.execute(text)))
        outcome("several with parameters", lambda: c.execute("select %s; select 2", (1,)))
        outcome("bad parameter", lambda: c.execute("select %s::int", ("x",)))
        outcome("NUL", lambda: c.execute("select %s::text", ("a\0b",)))


@part
def cursors():
    """server cursors, streams, row factories"""
    with connect() as c:
        with c.cursor("named", scrollable=True) as cur:
            cur.itersize = 9
            cur.execute("select g from generate_series(1, %s) g", (100,))
            show(cur.fetchmany(3), sum(r[0] for r in cur))
            cur.scroll(50, mode="absolute")
            show(cur.fetchone())
        with c.cursor("binary one", binary=True) as cur:
            cur.execute("select g, g::text from generate_series(1, 5) g")
            show(cur.fetchall())
        show(sum(r[0] for r in c.cursor().stream("select g from generate_series(1, %s) g", (5000,))))
        outcome("error in a stream", lambda: [r for r in c.cursor().stream("select 1/(50-g) from generate_series(1, 100) g")])
        c.rollback()
        with c.cursor() as cur:
            for i, row in enumerate(cur.stream("select g from generate_series(1, 100000) g")):
                if i == 10:
                    break
        c.rollback()
        show(c.cursor(row_factory=dict_row).execute("select 1 as a, 'x' as b").fetchall())
        client = psycopg.ClientCursor(c)
        show(rows(client.execute("select %s, %s", ("a'b", 5))))


@part
def copying():
    """COPY in text and binary"""
    with connect() as c:
        cur = c.cursor()
        cur.execute("create temp table cp(a int, b text)")
        with cur.copy("copy cp from stdin") as copy:
            copy.write("1\tone\n2\t")
            copy.write(b"two\n")
            copy.write_row((3, None))
        with cur.copy("copy cp from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            for i in range(3000):
                copy.write_row((i, "é" * 100))
        with cur.copy("copy (select a, b from cp order by a, b) to stdout") as copy:
            data = b"".join(bytes(block) for block in copy)
        show(len(data), md5(data))
        with cur.copy("copy (select a, b from cp order by a, b limit 5) to stdout (format binary)") as copy:
            copy.set_types(["int4", "text"])
            show(list(copy.rows()))
        with cur.copy("copy cp (a) from stdin") as copy:
            for i in range(100_000):
                copy.write_row((i,))
        show(cur.statusmessage, cur.rowcount)
        c.commit()

        def bad():
            with cur.copy("copy cp from stdin") as copy:
                copy.write("x\ty\n")

        outcome("bad", bad)
        c.rollback()

        def ours():
            with cur.copy("copy cp from stdin") as copy:
                copy.write("1\ty\n")
                raise ValueError("ours")

        outcome("given up by us", ours)
        c.rollback()

        show(cur.execute("select count(*) from cp").fetchall())


@part
def notifications():
    """notices and notifications"""
    with connect(autocommit=True) as c, connect(autocommit=True) as d:
        heard = []
        c.add_notice_handler(lambda diag: heard.append((diag.severity, diag.message_primary, diag.message_detail)))
        c.execute("do $$ begin raise notice 'a' using detail = 'd'; raise warning 'b'; end $$")
        show(heard)
        c.execute("listen three")
        threading.Timer(0.3, lambda: d.execute("select pg_notify('three', g::text) from generate_series(1, 3) g")).start()
        got = []
        for n in c.notifies():
            got.append((n.channel, n.payload))
            if len(got) == 3:
                break
        show(got)


@part
def own_notifications():
    """own notifications are known by the process id"""
    with connect(autocommit=True) as c:
        seen = []
        c.add_notify_handler(lambda n: seen.append(n.pid == c.info.backend_pid))
        c.execute("listen own")
        c.execute("notify own")
        c.execute("select 1")
        show(seen)


@part
def cancelling():
    """cancel"""
    with connect() as c:
        for text in ("select pg_sleep(30)", "select g, pg_sleep(0.001) from generate_series(1, 1000000) g"):
            threading.Timer(0.5, c.cancel).start()
            outcome(text[:30], lambda: c.execute(text).fetchall())
            c.rollback()
        show(c.execute("select 1").fetchall())


@part
def asynchronous():
    """asyncio"""

    async def run():
        async with await psycopg.AsyncConnection.connect("") as c:
            cur = await c.execute("select g, %s from generate_series(1, 3) g", ("x",))
            show(await cur.fetchall())
            task = asyncio.create_task(c.execute("select pg_sleep(30)"))
            await asyncio.sleep(0.5)
            c.cancel()
            try:
                await task
            except psycopg.Error as error:
                show(failure(error))
            await c.rollback()
            async with c.pipeline():
                a = await c.execute("select 1")
                b = await c.execute("select 2")
                show(await a.fetchall(), await b.fetchall())
        many = await asyncio.gather(*[psycopg.AsyncConnection.connect("") for _ in range(15)])
        results = await asyncio.gather(*[(lambda c, i: c.execute("select %s::int, pg_sleep(0.1)", (i,)))(c, i) for i, c in enumerate(many)])
        show([(await r.fetchone())[0] for r in results])
        for c in many:
            await c.close()

    asyncio.run(run())


@part
def sizes():
    """10 MB both ways, 65,535 parameters, 200,000 rows"""
    with connect() as c:
        text = "0123456789é" * 1_000_000
        show(c.execute("select %s::text = repeat('0123456789é', 1000000), length(%s::text)", (text, text)).fetchall())
        data = os.urandom(16) * 600_000
        back = c.cursor(binary=True).execute("select %b::bytea", (data,)).fetchone()[0]
        show(back == data)
        marks = ",".join(["%s"] * 65535)
        show(c.execute(f"select cardinality(array[{marks}]::int[])", list(range(65535))).fetchall())
        show(md5(repr(c.execute("select g, g::text from generate_series(1, 200000) g").fetchall())))
        show(md5(repr(c.cursor(binary=True).execute("select g, g::text, g::float8, now() - now() from generate_series(1, 100000) g").fetchall())))


@part
def ended():
    """the server ends the session"""
    c = connect(autocommit=True)
    outcome("own backend", lambda: c.execute("select pg_terminate_backend(pg_backend_pid())"))
    show(c.closed, c.broken)


@part
def composed():
    """composed SQL and multiple results"""
    with connect() as c:
        show(rows(c.execute(sql.SQL("select {} as {}").format(sql.Literal("a'b"), sql.Identifier('odd "x"')))))
        cur = c.execute("select 1; select 2, 3; create temp table z(x int); insert into z values (1) returning x")
        while True:
            show(rows(cur))
            if not cur.nextset():
                break
