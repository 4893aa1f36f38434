"""Graphs of several sizes: see run.sh. Registration goes the way of a user: a script of calls in one transaction."""
import os
import sys
import time

from bench import Session, Table, drop_database, fresh_database

SIZES = [int(n) for n in os.environ.get("BENCH_SIZES", "2500 5000 10000").split()]


def chain(size):
    """One line of revisions."""
    for n in range(size):
        yield f"r{n}", f"r{n - 1}" if n else None


def braid(size, branches=100, length=9):
    """A base, then rounds of 100 branches, each `length` long, all merged into one."""
    made, trunk = 1, "r0"
    yield trunk, None
    while made < size:
        ends = []
        for _ in range(branches):
            parent = trunk
            for _ in range(length):
                if made >= size - 1:
                    break
                yield f"r{made}", parent
                parent = f"r{made}"
                made += 1
            if parent != trunk:
                ends.append(parent)
        trunk = f"r{made}"
        yield trunk, ", ".join(ends) or f"r{made - 1}"
        made += 1


def script(revisions):
    lines = []
    for name, parents in revisions:
        quoted = f"'{parents}'" if parents else "NULL"
        lines.append(f"SELECT migration_register('{name}', 'revision {name}', {quoted}, "
                     f"'CREATE TABLE t_{name} (id int)', 'DROP TABLE t_{name}');")
    return "\n".join(lines) + "\n"


def main():
    calls = (("status", "SELECT * FROM migration_status()"), ("plan", "SELECT count(*) FROM migration_plan('heads')"),
             ("history", "SELECT count(*) FROM migration_history()"), ("heads", "SELECT count(*) FROM migration_heads()"))
    table = Table("graph", "revisions", "register ms", "cpu us each", *(f"{name} ms" for name, _ in calls), "plan cpu ms")
    for name, shape in (("chain", chain), ("100 branches", braid)):
        each = {}
        for size in SIZES:
            calls_text = f"BEGIN;\n{script(shape(size))}COMMIT;"
            took = processor = float("inf")
            for _ in range(2):
                fresh_database("bench_graph")
                session = Session("bench_graph")
                before, started = session.processor_ms(), time.perf_counter()
                session.run(calls_text)
                took = min(took, (time.perf_counter() - started) * 1000)
                processor = min(processor, session.processor_ms() - before)
                session.close()
            each[size] = processor * 1000 / size
            session = Session("bench_graph")
            times = {call: session.best(sql, 12) for call, sql in calls}
            session.close()
            table.add(name, size, f"{took:.0f}", f"{each[size]:.0f}", *(f"{times[call][0]:.1f}" for call, _ in calls),
                      f"{times['plan'][1]:.1f}")
            if size == max(SIZES):
                for call in ("status", "plan"):
                    wall, processor = times[call]
                    table.target(f"{call} of {size} revisions, {name}: {processor:.1f} ms of processor time ({wall:.1f} "
                                 "passed), target 100 ms", processor < 100)
        growth = each[max(SIZES)] / each[min(SIZES)]
        table.target(f"registration, {name}: processor time per revision at {max(SIZES)} is {growth:.2f} times that at {min(SIZES)}, "
                     "target at most 1.5", growth <= 1.5)
    drop_database("bench_graph")
    return table.show()


sys.exit(main())
