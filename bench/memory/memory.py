"""Private memory of a session over many calls: see run.sh. A session is read after the first tenth and at the end."""
import os
import statistics
import sys
import time

import psycopg2

from bench import Session, Table, drop_database, fresh_database

CALLS = int(os.environ.get("BENCH_CALLS", "100000"))
FAILURES = int(os.environ.get("BENCH_FAILURES", "1000"))
RUNS = int(os.environ.get("BENCH_RUNS", "200"))
ROWS = int(os.environ.get("BENCH_ROWS", "10000000"))


def series(table, name, count, call):
    """Calls `count` times in one session; adds a row."""
    if not count:
        return
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


def memory_of(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return None


def worker_over_rows(table, cursor):
    """Private memory of the worker of one long backfill, sampled as it gets on."""
    fresh_database("bench_memory")
    session = Session("bench_memory")
    session.run(f"CREATE TABLE work AS SELECT i AS id, i % 1000 AS n, NULL::int AS c FROM generate_series(1, {ROWS}) i")
    session.run("ALTER TABLE work ADD PRIMARY KEY (id)")
    session.run("VACUUM ANALYZE work")
    fill = "c = n" if cursor == "blocks" else "n = n + 1"
    where = "c IS NULL" if cursor == "blocks" else "true"
    # Windows of one size: of keys, what is noted of a window is most of the memory, and windows follow the machine's pace.
    options = "{}" if cursor == "blocks" else '{"window_blocks": 256}'
    run = session.run("SELECT migration_backfill('work', %s, %s, %s)", (fill, where, options))[0][0]
    started, samples, pids = time.perf_counter(), [], set()
    while True:
        # VACUUM's own memory is what maintenance_work_mem allows.
        seen = session.run("SELECT pid, p.rows_done FROM migration_progress() p JOIN pg_stat_activity a USING (pid) "
                           "WHERE a.query NOT LIKE '%%: vacuum'", ())
        if not seen and session.run("SELECT state FROM migration_runs() WHERE run_id = %s", (run,))[0][0] not in ("queued", "running"):
            break
        for pid, done in seen:
            memory = memory_of(pid)
            if memory:
                pids.add(pid)
                samples.append((done, memory))
        time.sleep(0.1)
    took = time.perf_counter() - started
    state = session.run("SELECT state FROM migration_runs() WHERE run_id = %s", (run,))[0][0]
    if state != "succeeded":
        sys.exit(f"the backfill is {state}")
    session.close()
    # A batch has buffers of its size, which grows for a while, so single samples differ; what would grow without end shows
    # in the middle of many.
    last = samples[-1][0]
    tenths = [[m for done, m in samples if last * n / 10 <= done < last * (n + 1) / 10] for n in range(10)]
    middles = [statistics.median(tenth) for tenth in tenths if tenth]
    peak = max(m for _, m in samples)
    name = f"worker by {cursor}, {ROWS} rows"
    table.add(name, len(samples), f"{took * 1000 / len(samples):.2f}", samples[0][1], f"{middles[3]:.0f}", peak, f"{middles[-1]:.0f}",
              f"{middles[-1] / middles[3]:.3f}")
    print(f"{name}: median kB by tenths of the rows: {', '.join(f'{m:.0f}' for m in middles)}")
    table.target(f"{name}, {len(pids)} process: {middles[-1] - middles[3]:+.0f} kB from the fourth tenth to the last, target below +512; "
                 f"peak {peak - middles[3]:+.0f} kB, target below +4096", middles[-1] - middles[3] < 512 and peak - middles[3] < 4096)


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
    for cursor in ("blocks", "key") if ROWS else ():
        worker_over_rows(table, cursor)
    drop_database("bench_memory")
    return table.show()


sys.exit(main())
