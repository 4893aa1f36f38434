"""Graphs of several sizes: see run.sh. Registration goes the way of a user: a script of calls through psql."""
import os
import sys

from bench import Session, Table, drop_database, fresh_database, psql

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
    table = Table("graph", "revisions", "register ms", "us each", *(f"{name} ms" for name, _ in calls), "plan cpu ms")
    path = os.path.join(os.environ["BENCH_WORK"], "register.sql")
    for name, shape in (("chain", chain), ("100 branches", braid)):
        each = {}
        for size in SIZES:
            with open(path, "w", encoding="ascii") as file:
                file.write(script(shape(size)))
            took = float("inf")
            for _ in range(2):
                fresh_database("bench_graph")
                took = min(took, psql("bench_graph", "-1", "-o", "/dev/null", "-f", path))
            each[size] = took * 1000 / size
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
        table.target(f"registration, {name}: cost per revision at {max(SIZES)} is {growth:.2f} times that at {min(SIZES)}, "
                     "target at most 1.5", growth <= 1.5)
    drop_database("bench_graph")
    return table.show()


sys.exit(main())
