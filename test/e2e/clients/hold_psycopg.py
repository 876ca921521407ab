"""One session of psycopg 3, driven line by line: "id op base64…" in, "id ok" or "id error SQLSTATE" out."""
import base64
import sys
import threading

import psycopg

conn = psycopg.connect(autocommit=True)
conn.add_notice_handler(lambda diag: say("notice", diag.sqlstate))
lock = threading.Lock()


def say(*words):
    with lock:
        print(*words, flush=True)


def work(number, op, texts):
    try:
        if op == "run":
            rows = conn.execute(texts[0], [int(text) for text in texts[1:]] or None, prepare=len(texts) > 1)
            count = len(rows.fetchall()) if rows.description else rows.rowcount
            say(number, "ok", count)
            return
        if op == "together":
            with conn.pipeline():
                for text in texts:
                    conn.execute(text)
        elif op in ("begin", "commit", "rollback"):
            conn.execute(op)
        say(number, "ok", 0)
    except psycopg.Error as error:
        say(number, "error", error.sqlstate or "-", str(error).split("\n")[0])


for line in sys.stdin:
    number, op, *rest = line.split()
    texts = [base64.b64decode(text).decode() for text in rest]
    if op == "cancel":
        conn.cancel()
        say(number, "ok", 0)
    elif op == "end":
        conn.close()
        say(number, "ok", 0)
        break
    else:
        threading.Thread(target=work, args=(number, op, texts), daemon=True).start()
