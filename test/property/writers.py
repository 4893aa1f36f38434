"""Writers: sessions that insert, change, move and delete rows while the fill is at work, each from its own seed.

A writer keeps a journal in the same transaction as its changes (property.journal: 'new', 'gone', 'w' per changed row), so
that what is committed is known whatever becomes of the writer or of the server. It bears what an application bears:
deadlocks, unique violations, timeouts, lost connections; it then goes on.
"""
import random
import threading
import time

import psycopg2

from tables import quoted

EXPECTED = ("40P01", "40001", "23505", "55P03", "57P01", "57P02", "57P03", "57014", "08006", "08003", "08001", "XX000")


class Writer(threading.Thread):
    def __init__(self, connect, table, liberties, seed, rid_from, patience, ended, also=()):
        super().__init__(daemon=True)
        self.expected = EXPECTED + tuple(also)
        self.connect, self.table, self.rng, self.ended = connect, table, random.Random(seed), ended
        self.next_rid = rid_from
        self.patience = patience
        _, self.keys_change, self.parts_change, self.own_values, _ = liberties
        self.done = self.failed = 0
        self.problem = None
        self.known = list(range(1, table.rows + 1))

    def run(self):
        connection = None
        while not self.ended.is_set():
            try:
                if connection is None or connection.closed:
                    connection = self.connect()
                    connection.autocommit = False
                    with connection.cursor() as cursor:
                        cursor.execute(f"SET lock_timeout = '3s'; SET deadlock_timeout = '{self.patience}'; SET synchronous_commit = off")
                    connection.commit()
                self.transaction(connection)
                self.done += 1
            except psycopg2.Error as error:
                self.failed += 1
                if error.pgcode and error.pgcode not in self.expected:
                    self.problem = f"a writer got {error.pgcode}: {error}"
                    return
                if error.pgcode == "XX000" and "concurrently updated" not in str(error):
                    self.problem = f"a writer got {error.pgcode}: {error}"
                    return
                try:
                    connection.rollback()
                except (psycopg2.Error, AttributeError):
                    connection = None
                    time.sleep(0.05)
            time.sleep(self.rng.choice([0, 0.001, 0.003, 0.01]))
        if connection is not None and not connection.closed:
            connection.close()

    def transaction(self, connection):
        rng = self.rng
        with connection.cursor() as cursor:
            for _ in range(rng.choice([1, 1, 1, 2, 3])):
                if rng.random() < 0.1:
                    cursor.execute("SAVEPOINT s")
                    self.change(cursor)
                    cursor.execute("ROLLBACK TO SAVEPOINT s")
                self.change(cursor)
            if rng.random() < 0.25:
                time.sleep(rng.choice([0.002, 0.01, 0.04]))
        if rng.random() < 0.12:
            connection.rollback()
        else:
            connection.commit()

    def some_rows(self):
        """A condition that picks a few rows: spread or side by side."""
        rng = self.rng
        many = rng.choice([1, 1, 3, 10, 40])
        if rng.random() < 0.5:
            return f"rid = ANY (ARRAY[{', '.join(str(rng.choice(self.known)) for _ in range(many))}])"
        low = rng.choice(self.known)
        return f"rid BETWEEN {low} AND {low + many}"

    def update(self, cursor, assignments, where=None):
        # Journalled is what was found.
        cursor.execute(f"WITH changed AS (UPDATE {self.table.relation} SET w = w + 1, {assignments} WHERE {where or self.some_rows()} "
                       f"RETURNING rid) INSERT INTO property.journal SELECT rid, 'w' FROM changed")

    def change(self, cursor):
        t, rng = self.table.relation, self.rng
        kind = rng.choices(["grow", "bump", "insert", "delete", "lock", "own", "key", "part", "scan", "replace"],
                           [24, 18, 16, 7, 5, 10 * self.own_values, 10 * (self.keys_change and bool(self.table.key)),
                            6 * (self.parts_change and self.table.partitioned), 2, 3])[0]
        if kind == "grow":
            size = rng.choice([0, 10, self.table.width, self.table.width * 2 + 20, 900])
            self.update(cursor, f"filler = repeat('{rng.choice('abcz')}', {size}) || rid || random()")
        elif kind == "bump":
            self.update(cursor, "n = n + 10, bumps = bumps + 1")
        elif kind == "own":
            self.update(cursor, f"c = {self.table.own()}, own = true")
        elif kind == "key":
            i = self.odd()
            self.update(cursor, ", ".join(f"{quoted(k)} = {v}" for k, v in zip(self.table.key_columns(), self.table.key_values(i))),
                        f"rid = {rng.choice(self.known)}")
        elif kind == "part":
            self.update(cursor, f"part = {rng.randrange(5)}")
        elif kind == "insert":
            self.insert(cursor, rng.choice([1, 1, 2, 8]))
        elif kind == "delete":
            cursor.execute(f"WITH gone AS (DELETE FROM {t} WHERE rid = {rng.choice(self.known)} RETURNING rid) "
                           "INSERT INTO property.journal SELECT rid, 'gone' FROM gone")
        elif kind == "replace":
            cursor.execute(f"WITH gone AS (DELETE FROM {t} WHERE rid = {rng.choice(self.known)} RETURNING rid) "
                           "INSERT INTO property.journal SELECT rid, 'gone' FROM gone")
            self.insert(cursor, 1)
        elif kind == "lock":
            cursor.execute(f"SELECT FROM {t} WHERE {self.some_rows()} ORDER BY rid FOR {rng.choice(['UPDATE', 'SHARE', 'NO KEY UPDATE', 'KEY SHARE'])}")
        else:
            cursor.execute(f"SELECT count(*), sum(n) FROM {t}")

    def odd(self):
        return 2 * self.rng.randrange(self.table.rows * 2 + 50) + 1

    def insert(self, cursor, many):
        for _ in range(many):
            self.next_rid += 1
            rid, base = self.next_rid, self.rng.randrange(1000)
            purge = "true" if self.rng.random() < 0.3 else "false"
            values = [str(rid), str(base), "true", str(self.rng.randrange(5)), purge, str(base),
                      f"repeat('n', {self.rng.choice([0, self.table.width])}) || {rid}"] + self.table.key_values(self.odd())
            cursor.execute(f"INSERT INTO {self.table.relation} ({self.table.inserted_columns()}) VALUES ({', '.join(values)})")
            cursor.execute(f"INSERT INTO property.journal VALUES ({rid}, 'new', {base}, {purge})")
            self.known.append(rid)


class Keeper(threading.Thread):
    """VACUUM and its like, a few times during the run."""

    def __init__(self, connect, table, plan, ended):
        super().__init__(daemon=True)
        self.connect, self.table, self.plan, self.ended = connect, table, plan, ended
        self.problem = None

    def run(self):
        for delay, command in self.plan:
            if self.ended.wait(delay):
                return
            try:
                connection = self.connect()
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("SET lock_timeout = '1s'")
                    cursor.execute(command.format(table=self.table.relation))
                connection.close()
            except psycopg2.Error as error:
                if error.pgcode and error.pgcode not in EXPECTED:
                    self.problem = f"{command}: {error.pgcode} {error}"
                    return
