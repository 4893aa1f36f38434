"""What the benchmarks share: databases, clocks, memory readings and the table at the end.

Wall time is the best of several calls, because other programs only ever add to it; processor time of the server process
(from /proc) stands beside it, because it hardly changes when the machine is busy.
"""
import os
import subprocess
import sys
import time

import psycopg2




def fresh_database(name, extension=True):
    connection = psycopg2.connect(dbname="postgres")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    if extension:
        connection = psycopg2.connect(dbname=name)
        connection.autocommit = True
        connection.cursor().execute("CREATE EXTENSION migration_ext")
        connection.close()


def drop_database(name):
    connection = psycopg2.connect(dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    connection.close()


def psql(database, *arguments, stdin=None):
    """Runs psql; its time in milliseconds."""
    command = [os.path.join(os.environ.get("PG_BIN", ""), "psql"), "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", database]
    started = time.perf_counter()
    done = subprocess.run(command + list(arguments), input=stdin, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=dict(os.environ, PGOPTIONS="-c client_min_messages=error"))
    took = (time.perf_counter() - started) * 1000
    if done.returncode != 0:
        sys.exit(f"psql failed: {done.stdout[-2000:]}")
    return took


class Session:
    """A session whose calls are timed: best wall time and best processor time, milliseconds."""

    def __init__(self, database):
        self.connection = psycopg2.connect(dbname=database)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.cursor.execute("SET client_min_messages = error")
        self.cursor.execute("SELECT pg_backend_pid()")
        self.pid = self.cursor.fetchone()[0]

    def run(self, sql, parameters=None):
        self.cursor.execute(sql, parameters)
        return self.cursor.fetchall() if self.cursor.description else []

    def processor_ms(self):
        with open(f"/proc/{self.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e6

    def memory_kb(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1])
        return 0

    def best(self, sql, calls):
        wall = processor = float("inf")
        for _ in range(calls):
            before, started = self.processor_ms(), time.perf_counter()
            self.run(sql)
            wall = min(wall, (time.perf_counter() - started) * 1000)
            processor = min(processor, self.processor_ms() - before)
        return wall, processor

    def close(self):
        self.connection.close()


class Table:
    """Rows of text with aligned columns, and the targets that were met or missed."""

    def __init__(self, *columns):
        self.rows = [columns]
        self.missed = 0
        self.targets = []

    def add(self, *cells):
        self.rows.append(tuple(str(cell) for cell in cells))

    def target(self, text, met):
        self.targets.append(f"{'met   ' if met else 'MISSED'} {text}")
        self.missed += 0 if met else 1

    def show(self):
        widths = [max(len(row[i]) for row in self.rows) for i in range(len(self.rows[0]))]
        for n, row in enumerate(self.rows):
            cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            print("  ".join(cells).rstrip())
            if n == 0:
                print("  ".join("-" * width for width in widths))
        for line in self.targets:
            print(line)
        sys.stdout.flush()
        return 1 if self.missed else 0
