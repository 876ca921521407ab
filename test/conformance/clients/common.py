"""What the Python batteries share: parts with names, and output that is the same every time."""
import hashlib
import signal
import sys
import traceback


def show(*values):
    print(*[v if isinstance(v, str) else repr(v) for v in values])
    sys.stdout.flush()


def md5(data):
    return hashlib.md5(data if isinstance(data, bytes) else data.encode()).hexdigest()


FIELDS = (
    "severity sqlstate message_primary message_detail message_hint statement_position internal_position internal_query context "
    "schema_name table_name column_name datatype_name constraint_name source_file source_line source_function"
).split()


def failure(error):
    """Class and every field of a server's error (psycopg 2 and 3)."""
    diag = getattr(error, "diag", None)
    found = {f: getattr(diag, f, None) for f in FIELDS} if diag is not None else {}
    found = {k: v for k, v in found.items() if v is not None}
    return f"{type(error).__name__} {getattr(error, 'sqlstate', getattr(error, 'pgcode', None))} {found or error}"


class Late(Exception):
    pass


def on_alarm(*_):
    raise Late()


signal.signal(signal.SIGALRM, on_alarm)


def part(function):
    """Runs a part at once; its docstring is its name."""
    print(f"## {function.__doc__}")
    sys.stdout.flush()
    signal.alarm(60)
    try:
        function()
    except Late:
        print("TIMEOUT")
    except Exception as error:  # noqa: BLE001
        print("UNEXPECTED", failure(error))
        traceback.print_exc(limit=-2, file=sys.stdout)
    finally:
        signal.alarm(0)
        sys.stdout.flush()
    return function


def outcome(what, run):
    """Prints what a call gives, or how it fails."""
    try:
        show(what, run())
    except Late:
        raise
    except Exception as error:  # noqa: BLE001
        show(what, "failed", failure(error))
