"""The property test of backfills: random tables, fills, writers and faults against a specification.

    property.py [--seeds N] [--first SEED] [--jobs N] [--kill] [--beyond] [--verbose] [SEED...]

A seed fixes the table, the fill, what each writer does and which faults come when; the interleaving is the server's. A seed
that fails is printed with its description and what is wrong, and can be run again by itself. --kill: faults are SIGKILLs
of the worker, which bring the whole server down; all jobs then live with each other's crashes. --beyond: writers
who rather let the backfill be a deadlock's victim. Last line: `N passed, N failed`.
"""
import argparse
import json
import multiprocessing
import os
import queue
import random
import signal
import sys
import threading
import time
import traceback

import psycopg2

from fills import liberties
from place import OWNER, Call, Place
from scenario import Scenario
from writers import Keeper, Writer

REFUSALS = ("0A000", "55000", "22023", "MX014")  # a fill that cannot be exact may be refused, and then has done nothing twice
LIMIT = 90  # seconds for one seed, crashes included
PREPARE = """
CREATE SCHEMA property;
GRANT ALL ON SCHEMA property TO property_owner;
CREATE FUNCTION property.slow(x int, every int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN IF x % every = 0 THEN PERFORM pg_catalog.pg_sleep(0.001); END IF; RETURN x; END $$;
CREATE FUNCTION property.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END';
CREATE FUNCTION property.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION property.audit() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO property.audited VALUES (OLD.rid, TG_OP); RETURN NULL; END';
"""
# What the table is made of; a fill leaves it as it was.
DEFINITION = """
SELECT string_agg(line, chr(10) ORDER BY line) FROM (
SELECT 'column ' || a.attrelid::regclass || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'property'::regnamespace AND attnum > 0
UNION ALL SELECT 'trigger ' || tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text FROM pg_trigger t
  JOIN pg_class c ON c.oid = tgrelid WHERE c.relnamespace = 'property'::regnamespace
UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || convalidated FROM pg_constraint
  WHERE connamespace = 'property'::regnamespace
UNION ALL SELECT 'relation ' || relname || ' ' || relkind::text || ' ' || coalesce(reloptions::text, '') FROM pg_class
  WHERE relnamespace = 'property'::regnamespace
UNION ALL SELECT 'index ' || indexrelid::regclass || ' ' || indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  WHERE c.relnamespace = 'property'::regnamespace
UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'property'::regnamespace) x (line)"""


class Wrong(Exception):
    """The specification does not hold."""


class Trial:
    """One seed in one place."""

    def __init__(self, place, scenario, kill, beyond):
        self.place, self.s, self.kill, self.beyond = place, scenario, kill, beyond
        self.call = Call(place)
        self.end = time.monotonic() + LIMIT
        self.ended = threading.Event()
        self.crashes = 0
        self.did = []
        self.refused = False
        self.ranges = 0

    def remaining(self):
        if time.monotonic() > self.end:
            state = self.call("SELECT state, sqlstate, message FROM migration_runs() LIMIT 1")
            activity = self.call("SELECT pid, backend_type, state, wait_event_type, wait_event, left(query, 100) FROM pg_stat_activity "
                                 "WHERE datname = current_database() AND pid <> pg_backend_pid()")
            raise Wrong(f"no end after {LIMIT} s: {state} {activity}")

    def prepare(self):
        s = self.s
        for _ in range(30):
            # A crash of somebody else's makes of a half prepared trial a new one.
            call = Call(self.place, attempts=1)
            try:
                call("DROP SCHEMA IF EXISTS property CASCADE")
                call(PREPARE)
                for sql in s.table.statements(random.Random(s.table.seed)):
                    call(sql)
                for sql in s.fill.more_tables(s.table):
                    call(sql)
                t = s.table.relation
                call("CREATE TABLE property.journal (rid bigint, what text, base int, purge boolean);"
                     "CREATE INDEX ON property.journal (rid);"
                     "CREATE TABLE property.audited (rid bigint, what text)")
                # A fill changes rows of the time before it: this is that time.
                call(f"CREATE TABLE property.start AS SELECT * FROM {t}; CREATE INDEX ON property.start (rid); ANALYZE property.start")
                if s.as_owner:
                    call("DO $$ DECLARE r regclass; BEGIN FOR r IN SELECT oid FROM pg_class WHERE relnamespace = 'property'::regnamespace "
                         f"AND relkind IN ('r', 'p') LOOP EXECUTE 'ALTER TABLE ' || r || ' OWNER TO {OWNER}'; END LOOP; END $$")
                if s.table.unlogged and self.kill:
                    call(f"ALTER TABLE {t} SET LOGGED")
                if call(f"SELECT count(*) FROM {t}")[0][0] > 0:
                    self.definition = call(DEFINITION)[0][0]
                    return
            except psycopg2.Error as error:
                if not self.kill or error.pgcode not in (None, "57P01", "57P02", "57P03"):
                    raise
                time.sleep(0.1)
            finally:
                call.close()
        raise Wrong("the table could not be made")

    def submit(self):
        """Queues the fill; gives its run."""
        s = self.s
        user = OWNER if s.as_owner else "postgres"
        session = Call(self.place, user, attempts=1)
        names = f"s{s.seed}_{int(time.time() * 1000)}"
        before = self.call("SELECT coalesce(max(run_id), 0) FROM migration_runs()")[0][0]
        for _ in range(50):
            try:
                session(f"SET migration_ext.batch_target = '{s.batch_target}'")
                session("SET migration_ext.lock_retries = 200")
                session("SET client_min_messages = error")
                if s.fill.as_revision:
                    session("SET search_path = public")
                    script = s.fill.statement(s.table, s.every)
                    if s.kind == "not null":
                        script += f";\nALTER TABLE {s.table.relation} ALTER COLUMN c SET NOT NULL"
                    session("SELECT migration_register(%s, 'property', NULL, %s, 'irreversible')", names, script)
                    session("SELECT migration_upgrade(%s, wait => false)", names)
                elif s.kind == "purge":
                    session("SELECT migration_register(%s, 'property', NULL, %s, 'irreversible')", names,
                            s.fill.statement(s.table, s.every))
                    session("SELECT migration_upgrade(%s, wait => false)", names)
                else:
                    session("SELECT migration_backfill(%s, %s, %s, %s)", s.table.relation, s.fill.assignments(s.table, s.every),
                            s.fill.condition(s.table), json.dumps({"workers": s.workers, **s.fill.options()}))
                break
            except psycopg2.Error as error:
                if s.kind == "trap" and error.pgcode in REFUSALS:
                    self.refused = True
                    return None
                if not self.kill or error.pgcode not in (None, "57P01", "57P02", "57P03", "53000", "MX040"):
                    raise
                time.sleep(0.1)
            # Queued by an attempt whose answer was lost?
            if self.call("SELECT coalesce(max(run_id), 0) FROM migration_runs()")[0][0] > before:
                break
        session.close()
        run = self.call("SELECT coalesce(max(run_id), 0) FROM migration_runs()")[0][0]
        if run <= before:
            raise Wrong("no run was queued")
        return run

    def fault(self, what, run):
        call = self.call
        pids = [row[0] for row in call("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE "
                                       "'migration_ext%%'")]
        self.did.append(what)
        if what == "pause":
            try:
                call("SELECT migration_pause(%s)", run)
            except psycopg2.Error as error:
                if error.pgcode != "55000":
                    raise
        elif what in ("terminate", "cancel"):
            for pid in pids:
                call(f"SELECT pg_{'terminate' if what == 'terminate' else 'cancel'}_backend({pid})")
        elif pids:
            self.crashes += 1
            try:
                os.kill(random.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                return
            time.sleep(0.3)

    def tune(self, run, settings):
        try:
            self.call("SELECT migration_tune(%s, %s)", run, json.dumps(settings))
        except psycopg2.Error as error:
            if error.pgcode != "55000":  # it has ended
                raise

    def follow(self, run):
        """Until the run has succeeded: does the faults at their time, resumes what they have stopped."""
        faults = list(self.s.faults)
        due = time.monotonic() + faults[0][0] if faults else None
        crew = ([(0, self.s.workers)] if self.s.workers > 1 else []) + self.s.workers_later
        crew_due = time.monotonic()
        stopped_since = None
        while True:
            self.remaining()
            # One statement over all rows is a deadlock's victim again and again while others lock them in any order, and
            # begins anew each time: no fault of its, and nothing to wait for.
            if not self.ended.is_set() and time.monotonic() > self.end - LIMIT * 2 / 3:
                if not self.call("SELECT 1 FROM migration_ext.job LIMIT 1"):
                    self.ended.set()
            if due is not None and time.monotonic() >= due:
                self.fault(faults.pop(0)[1], run)
                due = time.monotonic() + faults[0][0] if faults else None
            if crew and time.monotonic() >= crew_due + crew[0][0]:
                crew_due = time.monotonic()
                self.tune(run, {"workers": crew.pop(0)[1]})
            rows = self.call("SELECT state, sqlstate, message, run_id FROM migration_runs() WHERE run_id = %s", run)
            state, sqlstate, message = rows[0][:3]
            if state == "succeeded":
                return
            if state == "failed":
                # The guard against steps that crash the server cannot know that it was us.
                guarded = sqlstate == "MX012" and (self.kill or "terminate" in self.did)
                # A cancel in the worker's first instant fails the run instead of pausing it; nothing is lost.
                early = sqlstate == "57014" and "cancel" in self.did and not self.beyond
                if self.s.kind == "trap" and sqlstate in REFUSALS:
                    self.refused = True
                    return
                if not guarded and not early:
                    raise Wrong(f"the run failed: {sqlstate} {message}")
            elif state == "cancelled":
                raise Wrong(f"the run was cancelled: {message}")
            elif state in ("queued", "running"):
                state = self.call("SELECT state FROM migration_status()")[0][0]
            if state in ("paused", "failed", "interrupted", "queued"):
                # Not at once: whatever stopped it may be about to go on, and writers have their time.
                if stopped_since is None:
                    stopped_since = time.monotonic()
                elif time.monotonic() - stopped_since > (0.04 if state != "queued" else 1):
                    stopped_since = None
                    try:
                        self.call("SELECT migration_resume(%s)", run)
                    except psycopg2.Error as error:
                        if error.pgcode not in ("55000", "MX040", "53000"):
                            raise
            else:
                stopped_since = None
            time.sleep(0.015)

    def check(self):
        for _ in range(300):
            if not self.call("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'migration_ext%%'"):
                break
            time.sleep(0.02)
        else:
            raise Wrong("a worker is left")
        wrong = []
        for what, sql in self.s.fill.checks(self.s.table, self.refused):
            rows = self.call(sql)
            if rows:
                wrong.append(f"{what}: {len(rows)} rows, as {rows[:3]}")
        definition = self.call(DEFINITION)[0][0]
        if self.s.kind == "not null":
            return wrong
        if definition != self.definition:
            before, after = set(self.definition.split("\n")), set(definition.split("\n"))
            wrong.append(f"the table is not as it was: gone {sorted(before - after)}, new {sorted(after - before)}")
        return wrong

    def run(self):
        s = self.s
        started = time.monotonic()
        self.prepare()
        writers = [Writer(self.place.connect, s.table, liberties(s.kind), seed, 1000000 * (n + 1), s.writers_patience, self.ended,
                          ["23502"] if s.kind == "not null" else [])
                   for n, seed in enumerate(s.writer_seeds)]
        keeper = Keeper(self.place.connect, s.table, s.keeping, self.ended)
        threads = writers + ([keeper] if s.keeping else [])
        prepared = time.monotonic()
        try:
            for thread in threads:
                thread.start()
            run = self.submit()
            if run is not None:
                self.follow(run)
        finally:
            self.ended.set()
            for thread in threads:
                thread.join(20)
        ran = time.monotonic()
        wrong = [thread.problem for thread in threads if thread.problem] + self.check()
        if wrong:
            raise Wrong("\n    ".join(wrong))
        note = f"{sum(w.done for w in writers)} transactions of writers, {sum(w.failed for w in writers)} failed"
        ranges = self.call("SELECT coalesce(max(ranges), 0) FROM migration_ext.job WHERE run_id = (SELECT max(run_id) FROM migration_ext.job)")
        self.ranges = ranges[0][0]
        note += f"; {self.ranges} ranges; {prepared - started:.2f} + {ran - prepared:.2f} + {time.monotonic() - ran:.2f} s"
        return note


def work(number, seeds, results, given):
    """One of the jobs: takes seeds until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    place = Place(f"property_{number}")
    place.used = 1 << 30
    while True:
        try:
            seed = seeds.get(timeout=1)
        except queue.Empty:
            return
        if seed is None:
            return
        scenario = Scenario(seed, given.kill, given.beyond)
        problem, note, trial = None, "", None
        try:
            if place.used > 60:
                place.fresh(given.kill)
            place.used += 1
            trial = Trial(place, scenario, given.kill, given.beyond)
            note = trial.run()
        except Wrong as error:
            problem = str(error)
        except Exception:  # the trial could not be carried out: that is a failure too, and the next seed has its chance
            problem = traceback.format_exc(limit=6)
        finally:
            if trial is not None:
                trial.call.close()
        if (problem and not given.keep) or (trial is not None and trial.refused):
            place.used = 1 << 30  # nothing of it may reach the next one
        results.put((seed, scenario.describe(), problem, note, trial.crashes if trial else 0, trial.ranges if trial else 0))


def set_up(given):
    """Settings of the server, and the role of those seeds that are not the superuser's."""
    admin = psycopg2.connect(dbname="postgres", user="postgres")
    admin.autocommit = True
    cursor = admin.cursor()
    settings = ["deadlock_timeout = '150ms'", "autovacuum_naptime = '1s'", "restart_after_crash = on", "log_min_messages = 'error'",
                "max_wal_size = '2GB'"]
    if given.kill:
        # A commit takes its time, so that many kills come between what is done and what is certain.
        settings += ["fsync = on", "commit_delay = 4000", "commit_siblings = 0", "recovery_init_sync_method = syncfs"]
    else:
        settings += ["fsync = off", "commit_delay = 0"]
    for line in settings:
        cursor.execute(f"ALTER SYSTEM SET {line}")
    cursor.execute("SELECT pg_reload_conf()")
    cursor.execute(f"SELECT FROM pg_roles WHERE rolname = '{OWNER}'")
    if cursor.rowcount == 0:
        cursor.execute(f"CREATE ROLE {OWNER} LOGIN")
    admin.close()


def main():
    parser = argparse.ArgumentParser(prog="test/property/run")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--beyond", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the database of a failed seed (property_0) as it is")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("seed", type=int, nargs="*")
    given = parser.parse_args()
    first = given.first if given.first is not None else random.randrange(1000000000)
    chosen = given.seed or list(range(first, first + given.seeds))
    flags = (" --kill" if given.kill else "") + (" --beyond" if given.beyond else "")
    print(f"seeds {chosen[0]} .. {chosen[-1]}{' with kills' if given.kill else ''}{' and patient writers' if given.beyond else ''}", flush=True)
    set_up(given)
    seeds, results = multiprocessing.Queue(), multiprocessing.Queue()
    jobs = min(given.jobs, len(chosen))
    for seed in chosen:
        seeds.put(seed)
    for _ in range(jobs):
        seeds.put(None)
    started = time.monotonic()
    processes = [multiprocessing.Process(target=work, args=(n, seeds, results, given), daemon=True) for n in range(jobs)]
    for process in processes:
        process.start()
    passed, failed, crashes, kinds, shared = 0, [], 0, {}, 0
    for _ in chosen:
        seed, description, problem, note, crashed, ranges = results.get(timeout=LIMIT * 3)
        shared += ranges > 1
        crashes += crashed
        kinds[description.split(";")[0].split(" with")[0].split(" in a")[0]] = kinds.get(description.split(";")[0].split(" with")[0].split(" in a")[0], 0) + 1
        if problem:
            failed.append(seed)
            print(f"FAILED seed {seed}: {description}\n    {problem}\n    again: test/property/run{flags} {seed}", flush=True)
        else:
            passed += 1
            if given.verbose:
                print(f"ok seed {seed}: {description}; {note}", flush=True)
    for process in processes:
        process.join(10)
    print(f"{len(chosen)} seeds in {time.monotonic() - started:.0f} s" + (f", {crashes} crashes" if given.kill else "")
          + f", {shared} shared among workers: " + ", ".join(f"{kinds[kind]} {kind}" for kind in sorted(kinds)))
    if failed:
        print("failed seeds: " + " ".join(map(str, failed)))
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
