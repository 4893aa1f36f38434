"""Alembic, psql and migration_ext with the same revisions: see run.sh.

The competitors take turns, a fresh database each time, and the best round of each counts. Alembic runs as its users run
it (the command, default settings: all revisions in one transaction), once with cold and then with compiled versions.
"""
import os
import subprocess
import sys
import time

from bench import Session, Table, drop_database, fresh_database, psql

COUNT = int(os.environ.get("BENCH_REVISIONS", "1000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
WORK = os.environ["BENCH_WORK"]

ENVIRONMENT = """
from alembic import context
from sqlalchemy import create_engine
engine = create_engine("postgresql+psycopg2:///bench_alembic")
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

REVISION = '''"""revision {n}"""
from alembic import op
revision = "r{n}"
down_revision = {parent}
branch_labels = None
depends_on = None


def upgrade():
    op.execute("CREATE TABLE t{n} (id int)")


def downgrade():
    op.execute("DROP TABLE t{n}")
'''


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def make_files():
    write(f"{WORK}/alembic/alembic.ini", f"[alembic]\nscript_location = {WORK}/alembic/scripts\n")
    write(f"{WORK}/alembic/scripts/env.py", ENVIRONMENT)
    for n in range(COUNT):
        parent = repr(f"r{n - 1}") if n else None
        write(f"{WORK}/alembic/scripts/versions/r{n}.py", REVISION.format(n=n, parent=parent))
    write(f"{WORK}/bare.sql", "".join(f"CREATE TABLE t{n} (id int);\n" for n in range(COUNT)))
    parents = (f"'r{n - 1}'" if n else "NULL" for n in range(COUNT))
    write(f"{WORK}/register.sql", "".join(
        f"SELECT migration_register('r{n}', 'revision {n}', {parent}, 'CREATE TABLE t{n} (id int)', 'DROP TABLE t{n}');\n"
        for n, parent in enumerate(parents)))


def tables(database):
    session = Session(database)
    count = session.run("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^t[0-9]+$'")[0][0]
    session.close()
    return count


def alembic():
    fresh_database("bench_alembic", extension=False)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    started = time.perf_counter()
    subprocess.run(["/usr/bin/python3", "-m", "alembic.config", "-c", f"{WORK}/alembic/alembic.ini", "upgrade", "head"],
                   check=True, env=environment, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


def bare(*options):
    fresh_database("bench_alembic", extension=False)
    return psql("bench_alembic", *options, "-f", f"{WORK}/bare.sql")


def ours():
    fresh_database("bench_alembic")
    register = psql("bench_alembic", "-1", "-o", "/dev/null", "-f", f"{WORK}/register.sql")
    return register, psql("bench_alembic", "-o", "/dev/null", "-c", "SELECT migration_upgrade('head')")


def main():
    make_files()
    best = {}

    def keep(name, took):
        if tables("bench_alembic") != COUNT:
            sys.exit(f"{name} did not make all tables")
        best[name] = min(took, best.get(name, float("inf")))

    for _ in range(ROUNDS):
        keep("alembic", alembic())
        keep("single", bare("-1"))
        keep("autocommit", bare())
        register, upgrade = ours()
        keep("register", register)
        keep("upgrade", upgrade)
        keep("ours", register + upgrade)
    drop_database("bench_alembic")
    table = Table(f"{COUNT} revisions", "ms", "ms each", "to ours")
    for name, label in (("alembic", "alembic upgrade head"), ("ours", "migration_ext, register and upgrade"),
                        ("register", "  of it: register"), ("upgrade", "  of it: migration_upgrade('head')"),
                        ("single", "psql, bare script, one transaction"), ("autocommit", "psql, bare script, autocommit")):
        table.add(label, f"{best[name]:.0f}", f"{best[name] / COUNT:.3f}", f"{best[name] / best['ours']:.2f}")
    ratio = best["alembic"] / best["ours"]
    table.target(f"Alembic takes {ratio:.1f} times as long (upgrade alone: {best['alembic'] / best['upgrade']:.1f}), target 10; "
                 f"no tool can pass {best['alembic'] / best['single']:.1f}, which is the bare script", ratio >= 10)
    above = (best["ours"] - best["single"]) / COUNT
    table.target(f"{above:.3f} ms per revision above the bare script in one transaction, target 1", above < 1)
    return table.show()


sys.exit(main())
