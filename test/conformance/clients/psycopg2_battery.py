"""Battery for psycopg2; prints what a client sees, in parts."""
import io
import select
import threading

import psycopg2
import psycopg2.extensions as ext
import psycopg2.extras as extras

from common import failure, md5, outcome, part, show


def connect(**more):
    return psycopg2.connect("", **more)


def all_rows(cursor):
    columns = [(c.name, c.type_code, c.display_size, c.internal_size, c.precision, c.scale) for c in cursor.description] if cursor.description else None
    rows = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cursor.fetchall()] if cursor.description else None
    return cursor.statusmessage, cursor.rowcount, columns, rows


def execute(cursor, sql, args=None):
    cursor.execute(sql, args)
    return all_rows(cursor)


TYPES = """select 1::int2, 2::int8, 1.5::float8, 123.45::numeric, true, 'ü☃🐘', '\\xdead00'::bytea, '2024-02-29'::date, '12:34:56.7'::time,
'2024-02-29 12:00:00+02'::timestamptz, '2024-02-29 12:00:00'::timestamp, '1 year 2 days'::interval, '{"a":[1,null]}'::json, '{"a":1}'::jsonb,
'{1,2,null}'::int[], '{{a,b},{"c d",null}}'::text[], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, null, ''"""


@part
def settings():
    """settings and session"""
    c = connect(options="-c search_path=pg_catalog -c statement_timeout=30000", application_name="battery")
    cur = c.cursor()
    for name in ("search_path", "statement_timeout", "client_encoding", "server_version"):
        show(execute(cur, f"show {name}"))
    for name in ("server_version", "client_encoding", "DateStyle", "TimeZone", "is_superuser", "session_authorization", "standard_conforming_strings", "integer_datetimes"):
        show(name, c.get_parameter_status(name))
    show(c.server_version, c.encoding, c.protocol_version, c.status)
    c.set_client_encoding("LATIN1")
    show(execute(cur, "select 'é'"), c.encoding)
    c.close()


@part
def types():
    """types and parameters"""
    c = connect()
    cur = c.cursor()
    show(execute(cur, TYPES))
    for value in (1, 1.5, None, True, "té'xt\\", b"a\0b", [1, 2], ["x", None, 'q"'], (1, 2), extras.Json({"a": [1]})):
        outcome(repr(value) if not isinstance(value, extras.Json) else "json", lambda: execute(cur, "select %s as v", (value,))[3])
        c.rollback()
    outcome("mogrify", lambda: cur.mogrify("select %s, %s", ("a'b", None)))
    c.close()


@part
def transactions():
    """transactions, isolation, autocommit"""
    c = connect()
    cur = c.cursor()
    cur.execute("create temp table t(x int unique deferrable initially deferred)")
    c.commit()
    for level in (ext.ISOLATION_LEVEL_SERIALIZABLE, ext.ISOLATION_LEVEL_REPEATABLE_READ, ext.ISOLATION_LEVEL_READ_COMMITTED):
        c.set_session(isolation_level=level, readonly=False, deferrable=False)
        show(execute(cur, "show transaction_isolation"))
        c.rollback()
    cur.execute("insert into t values (1), (1)")
    outcome("commit", c.commit)
    show(c.info.transaction_status)
    outcome("error", lambda: execute(cur, "select 1/0"))
    outcome("aborted", lambda: execute(cur, "select 1"))
    show(c.info.transaction_status)
    c.rollback()
    with c:
        with c.cursor() as inner:
            inner.execute("insert into t values (5)")
    c.autocommit = True
    outcome("vacuum", lambda: execute(cur, "vacuum t"))
    c.autocommit = False
    xid = c.xid(1, "psycopg2", "branch")
    c.tpc_begin(xid)
    cur.execute("create table if not exists psycopg2_two_phase(x int)")
    c.tpc_prepare()
    c.reset()
    show([x.gtrid for x in c.tpc_recover()])
    c.tpc_rollback(xid)
    c.close()


@part
def errors():
    """errors with all fields"""
    c = connect()
    c.autocommit = True
    cur = c.cursor()
    cur.execute("create temp table e(id int primary key, v int constraint positive check (v > 0)); insert into e values (1, 1)")
    for sql in ("selct", "select 1/0", "select nope", "insert into e values (1, 1)", "insert into e values (2, 0)", "", "-- comment", ";", "do $$ begin raise exception 'mine' using errcode = 'ABCDE', detail = 'd', hint = 'h'; end $$", "select 1; select 2/0", "select 1; select 2"):
        outcome(sql[:40], lambda: execute(cur, sql))
    c.close()


@part
def cursors():
    """named cursors"""
    c = connect()
    cur = c.cursor("server side", scrollable=True)
    cur.itersize = 7
    cur.execute("select g from generate_series(1, 100) g")
    show(cur.fetchmany(3), cur.fetchone(), len(cur.fetchall()))
    cur.scroll(10, mode="absolute")
    show(cur.fetchone(), sum(r[0] for r in cur))
    cur.close()
    hold = c.cursor("held", withhold=True)
    hold.execute("select g from generate_series(1, 20) g")
    c.commit()
    show(hold.fetchmany(5))
    hold.close()
    plain = c.cursor()
    show(execute(plain, "declare x cursor for select 1"), execute(plain, "fetch all from x"))
    outcome("callproc", lambda: (plain.callproc("upper", ["abc"]), plain.fetchall()))
    c.close()


@part
def copying():
    """COPY"""
    c = connect()
    cur = c.cursor()
    cur.execute("create temp table cp(a int, b text)")
    cur.copy_from(io.StringIO("1\tone\n2\t\\N\n"), "cp")
    cur.copy_expert("copy cp from stdin csv", io.StringIO('3,"multi\nline"\n'))
    cur.copy_from(io.StringIO("".join(f"{i}\t{'y' * 1000}\n" for i in range(5000))), "cp", size=333)
    out = io.StringIO()
    cur.copy_expert("copy (select a, b from cp order by 1, 2) to stdout", out)
    show(len(out.getvalue()), md5(out.getvalue()))
    c.commit()
    outcome("bad", lambda: cur.copy_from(io.StringIO("x\ty\n"), "cp"))
    c.rollback()

    class Broken(io.StringIO):
        def read(self, size=-1):
            raise ValueError("the file broke")

    outcome("broken file", lambda: cur.copy_from(Broken("1\t2\n"), "cp"))
    c.rollback()
    show(execute(cur, "select count(*) from cp"))
    c.close()


@part
def batches():
    """executemany, execute_values, execute_batch, prepared statements by SQL"""
    c = connect()
    cur = c.cursor()
    cur.execute("create temp table b(x int, y text)")
    cur.executemany("insert into b values (%s, %s)", [(i, f"v{i}") for i in range(300)])
    extras.execute_values(cur, "insert into b values %s", [(i, "é") for i in range(1000)], page_size=100)
    extras.execute_batch(cur, "insert into b values (%s, %s)", [(i, None) for i in range(500)], page_size=50)
    show(execute(cur, "select count(*), sum(x), count(y) from b"))
    cur.execute("prepare p(int) as select $1 * 2")
    for i in range(8):
        cur.execute("execute p(%s)", (i,))
        show(cur.fetchall())
    c.close()


@part
def notifications():
    """notices and notifications"""
    c, d = connect(), connect()
    c.autocommit = d.autocommit = True
    cur = c.cursor()
    cur.execute("do $$ begin raise notice 'a' using detail = 'd'; raise warning 'b'; end $$")
    show(c.notices)
    cur.execute("listen two")
    d.cursor().execute("notify two, 'héllo'; notify two")
    for _ in range(100):
        select.select([c], [], [], 0.1)
        c.poll()
        if len(c.notifies) == 2:
            break
    show([(n.channel, n.payload) for n in c.notifies])
    c.close()
    d.close()


@part
def cancelling():
    """cancel from another thread"""
    c = connect()
    cur = c.cursor()
    threading.Timer(0.5, c.cancel).start()
    outcome("sleep", lambda: execute(cur, "select pg_sleep(30)"))
    c.rollback()
    show(execute(cur, "select 1"))
    c.close()


@part
def asynchronous():
    """asynchronous connection"""

    def wait(conn):
        while True:
            state = conn.poll()
            if state == ext.POLL_OK:
                return
            select.select([conn.fileno()] if state == ext.POLL_READ else [], [conn.fileno()] if state == ext.POLL_WRITE else [], [])

    c = connect(async_=1)
    wait(c)
    cur = c.cursor()
    for sql in ("select 1", "select pg_sleep(0.1), 'é'", "select 1/0", "select g from generate_series(1, 10000) g"):
        try:
            cur.execute(sql)
            wait(c)
            rows = cur.fetchall()
            show(len(rows), rows[:2])
        except psycopg2.Error as error:
            show(failure(error))
    c.close()


@part
def large_objects():
    """large objects (FunctionCall)"""
    c = connect()
    lo = c.lobject(0, "wb")
    for i in range(20):
        lo.write(b"0123456789abcdef" * 5000)
    oid = lo.oid
    lo.close()
    c.commit()
    lo = c.lobject(oid, "rb")
    lo.seek(100)
    data = lo.read()
    show(len(data), md5(data), lo.tell())
    lo.close()
    c.lobject(oid).unlink()
    c.commit()
    outcome("missing", lambda: c.lobject(999999999, "rb"))
    c.rollback()
    show(execute(c.cursor(), "select count(*) from pg_largeobject_metadata"))
    c.close()


@part
def sizes():
    """2 MB there, 10 MB back, 200,000 rows"""
    c = connect()
    cur = c.cursor()
    text = "0123456789é" * 150_000
    cur.execute("select %s = repeat('0123456789é', 150000)", (text,))
    show(cur.fetchall())
    cur.execute("select repeat('x', 10000000)")
    show(md5(cur.fetchone()[0]))
    cur.execute("select g, g::text from generate_series(1, 200000) g")
    show(md5(repr(cur.fetchall())))
    c.close()


@part
def too_large():
    """a statement of 5 MB: this driver puts values into the text"""
    c = connect()
    outcome("select", lambda: execute(c.cursor(), "select length(%s)", ("x" * 5_000_000,)))
    c.rollback()
    show(execute(c.cursor(), "select 1"))
    c.close()


@part
def ended():
    """the server ends the session"""
    c = connect()
    c.autocommit = True
    outcome("own backend", lambda: execute(c.cursor(), "select pg_terminate_backend(pg_backend_pid())"))
    show(c.closed)
    outcome("the next", lambda: c.cursor())


@part
def replication():
    """replication connection"""

    def run():
        c = connect(connection_factory=extras.LogicalReplicationConnection)
        cur = c.cursor()
        cur.execute("IDENTIFY_SYSTEM")
        rows = len(cur.fetchall())
        c.close()
        return rows

    outcome("connect", run)
