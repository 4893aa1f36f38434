"""Private memory of a session over many calls: see run.sh. A session is read after the first tenth and at the end."""
import os
import sys
import time

import psycopg2

from bench import Session, Table, drop_database, fresh_database

CALLS = int(os.environ.get("BENCH_CALLS", "100000"))
FAILURES = int(os.environ.get("BENCH_FAILURES", "1000"))
RUNS = int(os.environ.get("BENCH_RUNS", "200"))


def series(table, name, count, call):
    """Calls `count` times in one session; adds a row."""
    session = Session("bench_memory")
    start = session.memory_kb()
    warm = peak = 0
    started = time.perf_counter()
    for n in range(count):
        call(session, n)
        if n + 1 == max(count // 10, 1):
            warm = session.memory_kb()
        if n % max(count // 50, 1) == 0:
            peak = max(peak, session.memory_kb())
    end = session.memory_kb()
    each = (time.perf_counter() - started) * 1000 / count
    session.close()
    growth = end - warm
    table.add(name, count, f"{each:.2f}", start, warm, peak, end, f"{end / max(warm, 1):.3f}")
    table.target(f"{name}: {growth:+d} kB after warm-up, target below +512", growth < 512)


def status(session, _):
    session.run("SELECT * FROM migration_status()")


def must_fail(sql, state):
    def call(session, _):
        try:
            session.run(sql)
        except psycopg2.Error as error:
            if error.pgcode == state:
                return
            raise
        sys.exit(f"did not fail: {sql}")
    return call


def worker_run(session, n):
    """Up and down again, so that every call is a run in a worker."""
    session.run("SELECT migration_upgrade('index')" if n % 2 == 0 else "SELECT migration_downgrade('base')")


def main():
    fresh_database("bench_memory")
    setup = Session("bench_memory")
    setup.run("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i")
    setup.run("SELECT migration_register('index', 'an index', NULL, 'CREATE INDEX CONCURRENTLY t_i ON t (i)', "
              "'DROP INDEX CONCURRENTLY t_i')")
    setup.run("SELECT migration_register('broken', 'fails', NULL, 'CREATE TABLE u (i int); SELECT 1 / 0', '')")
    for n in range(20):
        setup.run("SELECT migration_register(%s, 'filler', 'broken', 'SELECT 1', '')", (f"f{n}",))
    setup.close()
    table = Table("in one session", "calls", "ms each", "at start kB", "warm", "peak", "at end", "end/warm")
    series(table, "migration_status()", CALLS, status)
    series(table, "failing upgrade", FAILURES, must_fail("SELECT migration_upgrade('broken')", "22012"))
    series(table, "refused registration", FAILURES,
           must_fail("SELECT migration_register('x', '', NULL, 'CREATE TABL t (i int)')", "42601"))
    series(table, "run in a worker", RUNS, worker_run)
    drop_database("bench_memory")
    return table.show()


sys.exit(main())
