"""What every client test does: the plan, the load, the holder that keeps the run waiting, and the assertions.

A client brings functions `call(dsn, target, on_notice) -> run id`; each way of calling gets a database of its own, copied
from one template. While the call waits, this process looks at it from outside: the waiting session must hold no snapshot
(backend_xmin), or the index build in the worker would wait for it for ever. Control goes through psql, so that no test
depends on the driver of another.
"""
import os
import subprocess
import threading
import time
import traceback

TEMPLATE = "real_template"
APPLICATION = "real client"
ROWS = 4000
WAIT = "wait => false"

REVISIONS = """
CREATE EXTENSION migration_ext;
CREATE TABLE setting (name text, value text);
CREATE TABLE account (id int PRIMARY KEY, name text NOT NULL, seen int NOT NULL DEFAULT 0) WITH (fillfactor = 70);
INSERT INTO account SELECT i, 'name ' || i FROM generate_series(1, {rows}) i;
SELECT migration_register('idx', 'find accounts by name', NULL, 'CREATE INDEX CONCURRENTLY account_name ON account (name)');
SELECT migration_register('col', 'score', 'idx', 'ALTER TABLE account ADD COLUMN score int');
SELECT migration_register('fill', 'fill the score', 'col', 'UPDATE account SET score = length(name) WHERE score IS NULL',
                          'irreversible');
"""

LOAD = "\\set id random(2, {rows})\nUPDATE account SET seen = seen + 1 WHERE id = :id;\nSELECT * FROM account WHERE id = :id;\n"


def psql(database, *statements):
    """One-shot psql; its output."""
    arguments = [a for s in statements for a in ("-c", s)]
    done = subprocess.run(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", database, *arguments], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise AssertionError(f"psql: {done.stderr}")
    return done.stdout.strip()


class Held:
    """A session that keeps a transaction open until released."""

    def __init__(self, database, *statements):
        self.process = subprocess.Popen(["psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", database], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.process.stdin.write("BEGIN;\n" + ";\n".join(statements) + ";\n\\echo held\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.strip() == "held":
                return
        raise AssertionError("the holding session ended")

    def release(self):
        if self.process.poll() is None:
            self.process.communicate("COMMIT;\n", timeout=20)


class Load:
    """pgbench with a few small writes and reads per second, until stopped."""

    def __init__(self, database):
        path = os.path.join(os.environ.get("REAL_WORK", "/tmp"), "load.sql")
        with open(path, "w", encoding="ascii") as file:
            file.write(LOAD.format(rows=ROWS))
        try:
            self.process = subprocess.Popen(["pgbench", "-n", "-f", path, "-c", "2", "-R", "100", "-T", "100", database],
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        except FileNotFoundError:
            self.process = None

    def stop(self):
        """Ends it; what it said if it had ended by itself, which it must not have."""
        if self.process is None:
            return ""
        if self.process.poll() is not None:
            return self.process.communicate()[0]
        self.process.terminate()
        self.process.communicate()
        return ""


def until(what, look, seconds=20):
    """Polls until `look` gives something true; that thing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not seen in {seconds} s: {what}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Suite:
    """Counts and prints; one per client."""

    def __init__(self, client):
        self.client = client
        self.number = 0

    def case(self, name, function):
        started = time.monotonic()
        try:
            function()
            print(f"ok - {self.client}: {name} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:  # a test reports whatever went wrong and goes on with the next one
            print(f"not ok - {self.client}: {name}")
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)

    def skip(self, why):
        print(f"skip - {self.client}: {why}", flush=True)

    def database(self):
        self.number += 1
        name = f"real_{self.client}_{self.number}"
        with TemplateLock():
            if not psql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{TEMPLATE}'"):
                psql("postgres", f"CREATE DATABASE {TEMPLATE}")
                psql(TEMPLATE, "SET client_min_messages = error", REVISIONS.format(rows=ROWS))
            psql("postgres", "SET client_min_messages = error", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
                 f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name

    def drop(self, name):
        psql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def waits(self, name, call, bouncer=False, live=True, returns=True, reader=False):
        """A call that waits for the worker, seen from outside; `live`: notices must arrive before it returns."""
        def run():
            database = self.database()
            try:
                self.watch(database, call, bouncer, live, returns, reader)
            finally:
                self.drop(database)
        if bouncer and not os.environ.get("REAL_BOUNCER"):
            self.skip(f"{name}: no PgBouncer")
        else:
            self.case(name, run)

    def blocks_itself(self, name, call):
        """The transaction has read the table that the run must lock: an error at once, and the run goes on after it."""
        def run():
            database = self.database()
            try:
                seen = call(dsn(database))
                check(seen is not None and seen[0] == "25001", f"SQLSTATE 25001: {seen}")
                check("migration_wait(" in (seen[1] or ""), f"hint to wait: {seen}")
                until("the run goes on", lambda: psql(database, "SELECT state FROM migration_status()") == "up to date")
            finally:
                self.drop(database)
        self.case(name, run)

    def watch(self, database, call, bouncer, live, returns, reader):
        notices, result = [], {}
        if reader:
            held = Held(database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM account")
        else:
            held = Held(database, "UPDATE account SET name = name WHERE id = 1")
        load = Load(database)

        def work():
            try:
                result["value"] = call(dsn(database, bouncer), "head", notices.append)
            except Exception as error:  # handed to the main thread
                result["error"] = error

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            def building():
                check("error" not in result, f"the call failed: {result.get('error')!r}")
                check("value" not in result, f"the call did not wait: {result.get('value')!r}")
                return psql(database, "SELECT phase FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for %' "
                                      "AND phase NOT LIKE '%index validation%'"
                            if not reader else
                            "SELECT phase FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'")
            until("the index build waits for the holder", building)

            def waiting():
                rows = psql(database, "SELECT backend_xmin IS NULL AND backend_xid IS NULL, state, "
                                      "coalesce(backend_xmin::text, '-') FROM pg_stat_activity WHERE datname = "
                                      "current_database() AND query LIKE '%migration_upgrade%' AND pid <> "
                                      "pg_backend_pid() AND backend_type = 'client backend'")
                return rows.splitlines()
            rows = until("the waiting session", waiting)
            check(len(rows) == 1, f"one waiting session: {rows}")
            # A look at the ledger takes a snapshot for a moment; held means: seen each time.
            for _ in range(8):
                if rows == ["t|active|-"]:
                    break
                time.sleep(0.05)
                rows = waiting()
            check(rows == ["t|active|-"], f"the waiting session holds no snapshot: {rows}")
            check("value" not in result, "the call is still waiting")
            if live:
                until("a notice while waiting", lambda: notices, 8)
                check("value" not in result, "the notice came while waiting")
        finally:
            held.release()
            thread.join(40)
        broken = load.stop()
        check(not thread.is_alive(), "the call returns after the holder has gone")
        if "error" in result:
            raise result["error"]
        check(not broken, f"the load went on: {broken}")
        runs = psql(database, "SELECT run_id, state FROM migration_runs()")
        check(runs.endswith("|succeeded") and "\n" not in runs, f"one successful run: {runs}")
        if returns:
            check(str(result["value"]) == runs.split("|")[0], f"returns the run: {result['value']!r} of {runs}")
        check(psql(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'account_name'::regclass") == "t",
              "the index is valid")
        missed = psql(database, "SELECT count(*) FROM account WHERE score IS DISTINCT FROM length(name)")
        check(missed == "0", f"all rows are filled, also those that the load has moved: {missed} are not")
        check(psql(database, "SELECT state FROM migration_status()") == "up to date", "up to date")
        if live:
            check(any("Running upgrade" in n or "revision" in n for n in notices), f"notices name the work: {notices}")

    def refuses(self, name, call, state, hint, bouncer=False):
        """`call(dsn)` returns (sqlstate, hint) of the error it met; nothing may have happened."""
        def run():
            database = self.database()
            try:
                seen = call(dsn(database, bouncer))
                check(seen is not None, "no error")
                check(seen[0] == state, f"SQLSTATE {state}: {seen}")
                check(hint in (seen[1] or ""), f"hint with {hint!r}: {seen}")
                check(psql(database, "SELECT count(*) FROM migration_runs()") == "0", "no run")
                check(psql(database, "SELECT count(*) FROM pg_class WHERE relname = 'account_name'") == "0", "no index")
            finally:
                self.drop(database)
        self.case(name, run)


class TemplateLock:
    """CREATE DATABASE from a template wants it for itself; the client files may run side by side."""

    def __enter__(self):
        import fcntl
        self.file = open(os.path.join(os.environ.get("REAL_WORK", "/tmp"), "template.lock"), "w", encoding="ascii")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def dsn(database, bouncer=False):
    """Where to connect to, as plain values that every driver takes."""
    return {"host": os.environ["REAL_BOUNCER"] if bouncer else os.environ["PGHOST"],
            "port": 6432 if bouncer else int(os.environ["PGPORT"]), "user": os.environ.get("PGUSER", "postgres"),
            "database": database}
