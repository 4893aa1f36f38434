"""Where the property test runs: a database for one seed after the other, and sessions that survive the server's restarts."""
import time

import psycopg2

OWNER = "property_owner"


class Place:
    """A database where one seed after the other is run."""

    def __init__(self, name):
        self.name = name
        self.used = 0

    def connect(self, user="postgres", database=None, patience=40):
        end = time.monotonic() + patience
        while True:
            try:
                connection = psycopg2.connect(dbname=database or self.name, user=user)
                connection.autocommit = True
                return connection
            except psycopg2.OperationalError:
                # Down after a kill, or about to be.
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def fresh(self, kill):
        for attempt in range(30):
            try:
                self.make()
                return
            except psycopg2.Error as error:
                if not kill or attempt == 29 or error.pgcode not in (None, "57P01", "57P02", "57P03"):
                    raise
                time.sleep(0.1)

    def make(self):
        admin = self.connect(database="postgres")
        with admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {self.name}")
        admin.close()
        connection = self.connect()
        with connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION migration_ext")
            cursor.execute(f"SELECT migration_grant('{OWNER}', 'operator'), migration_grant('{OWNER}', 'author')")
        connection.close()
        self.used = 0


class Call:
    """A session that survives the server's restarts, for statements that may be repeated; with attempts=1 it does not."""

    def __init__(self, place, user="postgres", attempts=60):
        self.place, self.user, self.attempts, self.connection = place, user, attempts, None

    def __call__(self, sql, *parameters):
        for attempt in range(self.attempts):
            try:
                if self.connection is None or self.connection.closed:
                    self.connection = self.place.connect(self.user)
                with self.connection.cursor() as cursor:
                    cursor.execute(sql, parameters or None)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.Error as error:
                lost = error.pgcode is None or error.pgcode.startswith(("57P", "08"))
                if not lost:
                    raise
                self.close()
                if attempt == self.attempts - 1:
                    raise
                time.sleep(0.05)
        return []

    def close(self):
        try:
            if self.connection is not None:
                self.connection.close()
        except psycopg2.Error:
            pass
        self.connection = None
