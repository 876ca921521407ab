"""Runs statements (JSON array on stdin) through asyncpg, as its users would: prepared and run again, by cursor, by COPY. Prints a JSON line for each."""
import asyncio
import io
import json
import os
import sys

import asyncpg


async def attempt(work):
    try:
        return {"ok": True, "rows": repr(await work())}
    except asyncpg.PostgresError as error:
        return {"ok": False, "code": error.sqlstate, "text": repr(error.as_dict())}
    except Exception as error:  # noqa: BLE001
        return {"ok": False, "code": type(error).__name__, "text": str(error)}


async def main():
    connection = await asyncpg.connect(
        host=os.environ["PGHOST"], port=os.environ["PGPORT"], user="anyone", password=os.environ["PGPASSWORD"],
        database=os.environ["PGDATABASE"], ssl=False,
    )

    async def again(sql):
        rows = []
        for _ in range(3):
            rows = await connection.fetch(sql)
        statement = await connection.prepare(sql)
        for _ in range(3):
            rows = await statement.fetch()
        return rows

    async def cursor(sql):
        async with connection.transaction():
            return [row async for row in connection.cursor(sql, prefetch=2)]

    async def copy(sql):
        out = io.BytesIO()
        await connection.copy_from_query(sql, output=out, format="csv")
        return out.getvalue()

    async def undone(sql):
        transaction = connection.transaction()
        await transaction.start()
        try:
            return await connection.fetch(sql)
        finally:
            await transaction.rollback()

    for sql in json.load(sys.stdin):
        reads = not sql.lower().lstrip("( ").startswith(("update", "delete", "insert", "merge"))
        for way in (again, cursor, copy) if reads else (undone,):
            print(json.dumps({"sql": sql, "way": way.__name__, **await attempt(lambda: way(sql))}), flush=True)
    await connection.close()


asyncio.run(main())
