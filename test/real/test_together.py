"""Eight application processes start at once and each brings the database to head: one run, eight successes.

Half of them use asyncpg and half SQLAlchemy, whichever is there. The run is held in its index build until all eight wait,
so that the test does not depend on who comes first.
"""
import os
import subprocess
import sys

from scenario import Held, Suite, check, psql, until

WITH_ASYNCPG = """
import asyncio, asyncpg, sys
async def main():
    connection = await asyncpg.connect(database=sys.argv[1])
    print(await connection.fetchval("SELECT migration_upgrade($1)", "head"))
asyncio.run(main())
"""

WITH_SQLALCHEMY = """
import sqlalchemy, sys
engine = sqlalchemy.create_engine("postgresql+psycopg2:///" + sys.argv[1])
with engine.begin() as connection:
    print(connection.execute(sqlalchemy.text("SELECT migration_upgrade(:t)"), {"t": "head"}).scalar())
"""

suite = Suite("together")
programs = []
for module, program in (("asyncpg", WITH_ASYNCPG), ("sqlalchemy", WITH_SQLALCHEMY)):
    try:
        __import__(module)
        programs.append(program)
    except ImportError:
        suite.skip(f"{module} is not installed")
if not programs:
    sys.exit(0)


def start(database, count):
    environment = dict(os.environ, PGUSER=os.environ.get("PGUSER", "postgres"))
    return [subprocess.Popen([sys.executable, "-c", programs[n % len(programs)], database], env=environment, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE) for n in range(count)]


def finish(processes):
    results = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        check(process.returncode == 0, f"a process failed: {err[-1500:]}")
        results.append(out.strip())
    return results


def held_back():
    database = suite.database()
    held = Held(database, "UPDATE account SET name = name WHERE id = 1")
    processes = start(database, 8)
    try:
        until("all eight wait", lambda: int(psql(
            database, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE "
                      "'%migration_upgrade%' AND state = 'active' AND pid <> pg_backend_pid()")) >= 8, 40)
        until("the index build waits", lambda: psql(
            database, "SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for %'"))
    finally:
        held.release()
    results = finish(processes)
    check(len(set(results)) == 1 and results[0].isdigit(), f"eight times the same run: {results}")
    check(psql(database, "SELECT run_id || state FROM migration_runs()") == results[0] + "succeeded", "one run")
    check(psql(database, "SELECT state FROM migration_status()") == "up to date", "up to date")
    suite.drop(database)


def race():
    database = suite.database()
    results = finish(start(database, 8))
    check(psql(database, "SELECT count(*) FROM migration_runs()") == "1", f"one run: {results}")
    run = psql(database, "SELECT run_id FROM migration_runs() WHERE state = 'succeeded'")
    # Who comes too late has nothing to do.
    check(set(results) <= {run, "None"} and run in results, f"the run or nothing to do: {results}")
    suite.drop(database)


suite.case("eight processes, all waiting for one run", held_back)
suite.case("eight processes, as they come", race)
