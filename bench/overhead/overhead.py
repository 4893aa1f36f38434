"""One worker step against the statement alone: see run.sh. Both take turns in one session each."""
import os
import statistics
import sys
import time

from bench import Session, Table, drop_database, fresh_database

CALLS = int(os.environ.get("BENCH_CALLS", "40"))


def timed(session, sql):
    started = time.perf_counter()
    session.run(sql)
    return (time.perf_counter() - started) * 1000


def main():
    fresh_database("bench_overhead")
    setup = Session("bench_overhead")
    for table in ("a", "b"):
        setup.run(f"CREATE TABLE {table} AS SELECT i FROM generate_series(1, 1000) i")
    for n in range(CALLS):
        setup.run("SELECT migration_register(%s, 'an index', %s, %s, %s)",
                  (f"r{n}", f"r{n - 1}" if n else None, f"CREATE INDEX CONCURRENTLY a{n} ON a (i)",
                   f"DROP INDEX CONCURRENTLY a{n}"))
    bare, ours = Session("bench_overhead"), Session("bench_overhead")
    alone, run = [], []
    for n in range(CALLS):
        alone.append(timed(bare, f"CREATE INDEX CONCURRENTLY b{n} ON b (i)"))
        run.append(timed(ours, f"SELECT migration_upgrade('r{n}')"))
    valid = setup.run("SELECT count(*) FROM pg_index WHERE indrelid = 'a'::regclass AND indisvalid")[0][0]
    for session in (setup, bare, ours):
        session.close()
    drop_database("bench_overhead")
    if valid != CALLS:
        sys.exit(f"{valid} of {CALLS} indexes are valid")
    table = Table(f"CREATE INDEX CONCURRENTLY, {CALLS} calls", "median ms", "best ms", "worst ms", "to bare")
    middle = statistics.median(alone)
    for name, times in (("bare statement", alone), ("migration_upgrade, one worker step", run)):
        table.add(name, f"{statistics.median(times):.1f}", f"{min(times):.1f}", f"{max(times):.1f}",
                  f"{statistics.median(times) / middle:.2f}")
    above = statistics.median(run) - middle
    table.target(f"{above:.1f} ms above the bare statement (median), target 50", above < 50)
    return table.show()


sys.exit(main())
