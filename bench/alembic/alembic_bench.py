"""Alembic, psql and migration_ext with the same revisions: see run.sh.

The competitors take turns, a fresh database each time, and the best round of each counts. Alembic runs as its users run
it (the command), in its default, all revisions in one transaction, and with a transaction per migration; the first round
compiles the versions. Three statements: CREATE TABLE, where most of the time is the server's; COMMENT ON TABLE, which
writes one row; SELECT 1, which costs nothing, so that what is left is the tool itself.
"""
import os
import subprocess
import sys
import time

from bench import Session, Table, drop_database, fresh_database, psql

COUNT = int(os.environ.get("BENCH_REVISIONS", "1000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
WORK = os.environ["BENCH_WORK"]

# What a revision does, what undoes it, and what must have been made before.
KINDS = {
    "create": ("CREATE TABLE t{n} (id int)", "DROP TABLE t{n}", ""),
    "comment": ("COMMENT ON TABLE item IS 'revision {n}'", "COMMENT ON TABLE item IS NULL", "CREATE TABLE item (id int)"),
    "select": ("SELECT 1", "SELECT 1", ""),
}
TITLES = {"create": "CREATE TABLE", "comment": "COMMENT ON TABLE", "select": "SELECT 1"}

ENVIRONMENT = """
import os
from alembic import context
from sqlalchemy import create_engine
engine = create_engine("postgresql+psycopg2:///bench_alembic")
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=bool(os.environ.get("EACH")))
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
    op.execute({up!r})


def downgrade():
    op.execute({down!r})
'''


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def make_files(kind):
    up, down, _ = KINDS[kind]
    here = f"{WORK}/{kind}"
    write(f"{here}/alembic.ini", f"[alembic]\nscript_location = {here}/scripts\n")
    write(f"{here}/scripts/env.py", ENVIRONMENT)
    calls = []
    for n in range(COUNT):
        parent = repr(f"r{n - 1}") if n else None
        write(f"{here}/scripts/versions/r{n}.py",
              REVISION.format(n=n, parent=parent, up=up.format(n=n), down=down.format(n=n)))
        calls.append(f"SELECT migration_register('r{n}', 'revision {n}', {parent or 'NULL'}, {literal(up.format(n=n))}, "
                     f"{literal(down.format(n=n))});\n")
    write(f"{here}/bare.sql", "".join(f"{up.format(n=n)};\n" for n in range(COUNT)))
    write(f"{here}/register.sql", "".join(calls))


def begin(kind, extension=True):
    fresh_database("bench_alembic", extension=extension)
    if KINDS[kind][2]:
        psql("bench_alembic", "-c", KINDS[kind][2])


def check(kind, name, query):
    """The tool says that it is at the head, and the effects are there."""
    session = Session("bench_alembic")
    effects = {"create": (f"SELECT count(*) = {COUNT} FROM pg_class WHERE relkind = 'r' AND relname ~ '^t[0-9]+$'"),
               "comment": f"SELECT obj_description('item'::regclass) = 'revision {COUNT - 1}'", "select": "SELECT true"}
    right = session.run(effects[kind])[0][0] and (query is None or session.run(query)[0][0] == f"r{COUNT - 1}")
    session.close()
    if not right:
        sys.exit(f"{name} did not run all revisions")


def alembic(kind, each):
    begin(kind, extension=False)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    if each:
        environment["EACH"] = "1"
    started = time.perf_counter()
    subprocess.run(["/usr/bin/python3", "-m", "alembic.config", "-c", f"{WORK}/{kind}/alembic.ini", "upgrade", "head"],
                   check=True, env=environment, stdout=subprocess.DEVNULL)
    took = (time.perf_counter() - started) * 1000
    check(kind, "alembic", "SELECT version_num FROM alembic_version")
    return took


def bare(kind, *options):
    begin(kind, extension=False)
    took = psql("bench_alembic", *options, "-o", "/dev/null", "-f", f"{WORK}/{kind}/bare.sql")
    check(kind, "psql", None)
    return took


def ours(kind):
    begin(kind)
    register = psql("bench_alembic", "-1", "-o", "/dev/null", "-f", f"{WORK}/{kind}/register.sql")
    upgrade = psql("bench_alembic", "-o", "/dev/null", "-c", "SELECT migration_upgrade('head')")
    check(kind, "migration_ext", "SELECT revision FROM migration_current()")
    return register, upgrade


def compare(kind):
    make_files(kind)
    best = {}

    def keep(name, took):
        best[name] = min(took, best.get(name, float("inf")))

    for _ in range(ROUNDS):
        keep("alembic", alembic(kind, False))
        keep("each", alembic(kind, True))
        keep("single", bare(kind, "-1"))
        keep("autocommit", bare(kind))
        register, upgrade = ours(kind)
        keep("register", register)
        keep("upgrade", upgrade)
        keep("ours", register + upgrade)
    drop_database("bench_alembic")
    table = Table(f"{TITLES[kind]}, {COUNT} revisions", "ms", "ms each", "to ours", "to upgrade")
    for name, label in (("alembic", "alembic upgrade head, one transaction"), ("each", "alembic upgrade head, a transaction each"),
                        ("ours", "migration_ext, register and upgrade"), ("register", "  of it: register"),
                        ("upgrade", "  of it: migration_upgrade('head')"), ("single", "psql, bare script, one transaction"),
                        ("autocommit", "psql, bare script, autocommit")):
        table.add(label, f"{best[name]:.0f}", f"{best[name] / COUNT:.3f}", f"{best[name] / best['ours']:.2f}",
                  f"{best[name] / best['upgrade']:.2f}")
    upgrade_ratio, ratio = best["alembic"] / best["upgrade"], best["alembic"] / best["ours"]
    text = (f"Alembic takes {upgrade_ratio:.1f} times as long to upgrade ({best['each'] / best['upgrade']:.1f} with a transaction "
            f"each), {ratio:.1f} times with our registration counted in; the bare script: {best['alembic'] / best['single']:.1f}")
    if kind == "create":
        # Not trivial: the server itself takes a good part of the time.
        print(text)
    else:
        table.target(f"{text}; target 10", upgrade_ratio >= 10)
    above = (best["ours"] - best["single"]) / COUNT
    table.target(f"{above:.3f} ms per revision above the bare script in one transaction, registration included, target 1", above < 1)
    missed = table.show()
    print()
    return missed


def main():
    kinds = os.environ.get("BENCH_KINDS", "select,comment,create").split(",")
    return max(compare(kind) for kind in kinds)


sys.exit(main())
