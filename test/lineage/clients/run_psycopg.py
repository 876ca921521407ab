"""Runs statements (JSON array on stdin) through psycopg 3: text and binary, prepared, server-side cursors, COPY. Prints a JSON line for each."""
import json
import os
import sys

import psycopg

connection = psycopg.connect(
    host=os.environ["PGHOST"], port=os.environ["PGPORT"], user="anyone", password=os.environ["PGPASSWORD"],
    dbname=os.environ["PGDATABASE"], sslmode="disable", autocommit=True, prepare_threshold=1,
)


def binary(sql):
    for _ in range(4):
        with connection.cursor(binary=True) as cursor:
            rows = cursor.execute(sql).fetchall()
    return rows


def text(sql):
    with connection.cursor() as cursor:
        return cursor.execute(sql, prepare=False).fetchall()


def named(sql):
    with connection.transaction(), connection.cursor("c") as cursor:
        cursor.itersize = 3
        return list(cursor.execute(sql))


def copy(sql):
    with connection.cursor() as cursor, cursor.copy(f"copy ({sql}) to stdout") as rows:
        return [bytes(row) for row in rows]


def undone(sql):
    with connection.transaction(force_rollback=True):
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else cursor.rowcount


for sql in json.load(sys.stdin):
    reads = not sql.lower().lstrip("( ").startswith(("update", "delete", "insert", "merge"))
    for way in (binary, text, named, copy) if reads else (undone,):
        try:
            said = {"ok": True, "rows": repr(way(sql))}
        except psycopg.Error as error:
            said = {"ok": False, "code": error.sqlstate, "text": str(error)}
        print(json.dumps({"sql": sql, "way": way.__name__, **said}), flush=True)
