"""Backfills side by side: see run.sh."""
import argparse
import os
import re
import statistics
import sys
import threading
import time

from bench import Session, Table, drop_database
from tables import FILL, VARIANTS, copy_template, make_template

LOOPS = {
    "loop": f"""
DO $$ DECLARE BEGIN
LOOP
  UPDATE account SET {FILL} WHERE id IN (SELECT id FROM account WHERE tax IS NULL LIMIT 1000);
  EXIT WHEN NOT FOUND;
  COMMIT;
END LOOP; END $$""",
    "keyset": f"""
DO $$ DECLARE low account.id%TYPE; high account.id%TYPE; BEGIN
LOOP
  SELECT id INTO high FROM account WHERE low IS NULL OR id > low ORDER BY id OFFSET 999 LIMIT 1;
  IF high IS NULL THEN
    UPDATE account SET {FILL} WHERE (low IS NULL OR id > low) AND tax IS NULL;
    EXIT;
  END IF;
  IF low IS NULL THEN
    UPDATE account SET {FILL} WHERE id <= high AND tax IS NULL;
  ELSE
    UPDATE account SET {FILL} WHERE id > low AND id <= high AND tax IS NULL;
  END IF;
  COMMIT;
  low := high;
END LOOP; END $$""",
    "ctid": f"""
DO $$ DECLARE last bigint := pg_relation_size('account') / current_setting('block_size')::int; at bigint := 0; BEGIN
WHILE at < last LOOP
  UPDATE account SET {FILL} WHERE ctid >= format('(%s,0)', at)::tid AND ctid < format('(%s,0)', at + 20)::tid AND tax IS NULL;
  COMMIT;
  at := at + 20;
END LOOP; END $$""",
    "update": f"UPDATE account SET {FILL} WHERE tax IS NULL",
}
NAMES = {"update": "one UPDATE", "loop": "id IN (... LIMIT 1000) loop", "keyset": "PL/pgSQL loop by key",
         "ctid": "PL/pgSQL loop by blocks", "ours": "migration_ext", "ourskey": "migration_ext, by key"}


def workers_of(method):
    """ours4 is ours with four workers; nothing for other methods."""
    found = re.fullmatch(r"ours(\d+)", method)
    return int(found.group(1)) if found else None


def name_of(method):
    workers = workers_of(method)
    return f"migration_ext, {workers} workers" if workers else NAMES[method]


class Watch(threading.Thread):
    """Reads memory and processor time of the processes at work until it is stopped; a process that ends keeps its last."""

    def __init__(self, database, pid):
        super().__init__(daemon=True)
        self.session = Session("postgres")
        self.database, self.pids, self.started = database, {}, {}
        self.anon = self.peak = 0
        self.ended = threading.Event()
        if pid:
            self.read(pid)
            self.started = dict(self.pids)

    def read(self, pid):
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                for line in file:
                    if line.startswith("RssAnon:"):
                        self.anon = max(self.anon, int(line.split()[1]))
                    elif line.startswith("VmHWM:"):
                        self.peak = max(self.peak, int(line.split()[1]))
            with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
                self.pids[pid] = int(file.read().split()[0]) / 1e9
        except OSError:
            pass

    def run(self):
        looked = 0
        while not self.ended.wait(0.02):
            if time.monotonic() - looked > 0.1:
                looked = time.monotonic()
                for row in self.session.run("SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type LIKE "
                                            "'migration_ext%%'", (self.database,)):
                    self.pids.setdefault(row[0], 0)
            for pid in list(self.pids):
                self.read(pid)

    def stop(self):
        for pid in list(self.pids):
            self.read(pid)
        self.ended.set()
        self.join()
        self.session.close()
        return sum(cpu - self.started.get(pid, 0) for pid, cpu in self.pids.items())


def sizes(session):
    return session.run("SELECT pg_relation_size('account'), pg_indexes_size('account'), (pg_current_wal_insert_lsn() - '0/0')::bigint")[0]


def measure(method, target):
    """One method on a fresh copy; None if this version refuses it."""
    copy_template("bench_backfill_template", "bench_backfill")
    session = Session("bench_backfill")
    if target:
        session.run(f"SET migration_ext.batch_target = '{target}'")
    if method.startswith("ours") and not session.run("SELECT 1 FROM migration_ext.revision WHERE revision = %s", (method,)):
        session.close()
        return None
    session.run("CHECKPOINT")
    heap, indexes, wal = sizes(session)
    watch = Watch("bench_backfill", None if method.startswith("ours") else session.pid)
    watch.start()
    started = time.perf_counter()
    if method.startswith("ours"):
        session.run("SELECT migration_upgrade(%s)", (method,))
    else:
        session.run(LOOPS[method])
    took = time.perf_counter() - started
    heap_after, indexes_after, wal_after = sizes(session)
    cpu = watch.stop()
    if session.run("SELECT count(*) FROM account WHERE tax IS DISTINCT FROM balance / 5")[0][0]:
        sys.exit(f"{method} has left rows")
    session.run("SELECT pg_stat_force_next_flush()")
    session.run("SELECT pg_stat_clear_snapshot()")
    updates, hot = session.run("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'account'")[0]
    session.close()
    drop_database("bench_backfill")
    return {"time": took, "cpu": cpu, "heap": heap_after / heap - 1, "indexes": indexes_after / indexes - 1,
            "wal": wal_after - wal, "hot": hot / max(updates, 1), "processes": len(watch.pids), "anon": watch.anon, "peak": watch.peak}


def median_of(results):
    return {key: statistics.median(result[key] for result in results) for key in results[0]}


def targets(table, variant, method, r, base):
    """What the backfill has to reach, by variant."""
    if variant not in ("fresh", "dead12", "dead12v") or method not in ("ours", "ours2"):
        return
    time_limit = {("fresh", "ours"): 0.45, ("fresh", "ours2"): 0.28}.get((variant, method), 0.30 if method == "ours" else 0.20)
    ratio = r["time"] / base["time"]
    table.target(f"{variant}, {name_of(method)}: time {ratio:.2f} of one UPDATE, target {time_limit}", ratio <= time_limit)
    if method == "ours":
        table.target(f"{variant}: heap grows by {r['heap']:.0%}, target 15%", r["heap"] <= 0.15)
        table.target(f"{variant}: indexes grow by {r['indexes']:.0%}, target 10%", r["indexes"] <= 0.10)
        table.target(f"{variant}: WAL {r['wal'] / base['wal']:.2f} of one UPDATE, target 0.65", r["wal"] / base["wal"] <= 0.65)


def compare(variant, rows, methods, given):
    """All methods on one table; their medians, and 1 if a target was missed."""
    make_template("bench_backfill_template", variant, rows, [m for m in methods if workers_of(m)])
    results = {method: [] for method in methods}
    for n in range(given.repeats):
        # Every other round backwards, so that a machine that gets slower is no one's fault.
        for method in methods if n % 2 == 0 else reversed(methods):
            result = measure(method, given.target)
            if result:
                results[method].append(result)
                print(f"  {variant} {method}: {result['time']:.1f} s", file=sys.stderr, flush=True)
    drop_database("bench_backfill_template")
    medians = {method: median_of(of) for method, of in results.items() if of}
    base = medians["update"]
    table = Table(f"{variant}: {VARIANTS[variant]}, {rows} rows, {given.repeats} x", "s", "time", "cpu", "heap", "indexes",
                  "WAL MB", "WAL", "HOT", "us/row", "processes", "private MB", "peak MB")
    for method in methods:
        if method not in medians:
            table.add(name_of(method), "-", *["refused"] + ["-"] * 10)
            continue
        r = medians[method]
        table.add(name_of(method), f"{r['time']:.1f}", f"{r['time'] / base['time']:.2f}", f"{r['cpu'] / base['cpu']:.2f}",
                  f"{r['heap']:+.0%}", f"{r['indexes']:+.0%}", f"{r['wal'] / 1e6:.0f}", f"{r['wal'] / base['wal']:.2f}",
                  f"{r['hot']:.2f}", f"{r['time'] / rows * 1e6:.1f}", f"{r['processes']:.0f}",
                  f"{r['anon'] / 1024:.0f}", f"{r['peak'] / 1024:.0f}")
        targets(table, variant, method, r, base)
    missed = table.show()
    print()
    return medians, missed


def compare_sizes(variant, medians):
    """What a row costs in the largest table against the smallest, by wall clock and by processor time. The whole-table
    UPDATE is the measure here as well: a table that fits into no cache makes a row dearer for everybody."""
    small, large = min(medians), max(medians)

    def growth(method, what):
        return (medians[large][method][what] / large) / (medians[small][method][what] / small)

    table = Table(f"{variant}: a row of {large} against one of {small}", "us/row", "cpu us/row", "time", "cpu", "cpu to UPDATE")
    for method, r in medians[large].items():
        if method not in medians[small]:
            continue
        relative = growth(method, "cpu") / growth("update", "cpu")
        table.add(name_of(method), f"{r['time'] / large * 1e6:.1f}", f"{r['cpu'] / large * 1e6:.1f}", f"{growth(method, 'time'):.2f}",
                  f"{growth(method, 'cpu'):.2f}", f"{relative:.2f}")
        if method.startswith("ours"):
            # A tenth is what two runs of the same differ by.
            table.target(f"{variant}, {name_of(method)}: what a row costs grows {relative:.2f} times as much as with one UPDATE, "
                         f"target 1.1", relative <= 1.1)
    missed = table.show()
    print()
    return missed


def used_wal(admin):
    """Files of WAL as on a server that has been running for a while: there, to be used again. A new one has to be filled
    with zeros by whoever comes first, while all others wait."""
    for _ in range(4):
        admin.run("SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 1000000))) FROM generate_series(1, 1000)")
    for _ in range(2):
        admin.run("SELECT pg_switch_wal()")
        admin.run("CHECKPOINT")


def main():
    parser = argparse.ArgumentParser(prog="bench/backfill/run.sh")
    parser.add_argument("--rows", default="1000000")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--methods", default=None)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--variants", default="fresh,dead12,dead12v")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--target", default=None)
    parser.add_argument("--new-wal", action="store_true", help="no files of WAL are there to be used again")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    sizes_of_table = [5000000] if given.big else [int(n) for n in given.rows.split(",")]
    several = f"ours{given.workers}"
    standard = ["update", "loop", "keyset", "ctid", "ours"] + ([several] if given.workers > 1 else [])
    variants = list(VARIANTS) if given.variants == "all" else given.variants.split(",")
    asked = given.methods.split(",") if given.methods else standard
    unknown = [m for m in asked if m not in NAMES and not workers_of(m)] + [v for v in variants if v not in VARIANTS]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}")
    admin = Session("postgres")
    # Nothing of the server's own doing in between: the same start and the same company for every method.
    for line in ("max_wal_size = '16GB'", "min_wal_size = '8GB'", "checkpoint_timeout = '1h'", "autovacuum = off"):
        admin.run(f"ALTER SYSTEM SET {line}")
    admin.run("SELECT pg_reload_conf()")
    if not given.new_wal:
        used_wal(admin)
    status = 0
    for variant in variants:
        medians = {}
        for rows in sizes_of_table:
            # The loop reads from the start of the table for every thousand rows: quadratic, hours for millions.
            methods = asked if given.methods else [m for m in asked if m != "loop" or rows <= 1000000]
            if "update" not in methods:
                methods = ["update"] + methods
            medians[rows], missed = compare(variant, rows, methods, given)
            status = max(status, missed)
        if len(sizes_of_table) > 1:
            status = max(status, compare_sizes(variant, medians))
    return status if given.check else 0


sys.exit(main())
