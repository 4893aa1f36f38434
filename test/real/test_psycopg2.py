"""psycopg2: autocommit, its default implicit transaction, SQL-level PREPARE, PgBouncer. It has no notice callback: notices
are a list that fills when the call returns."""
import sys

from scenario import Suite, WAIT, check

suite = Suite("psycopg2")
try:
    import psycopg2
except ImportError:
    suite.skip("not installed")
    sys.exit(0)


def opened(dsn, autocommit=False):
    connection = psycopg2.connect(host=dsn["host"], port=dsn["port"], user=dsn["user"], dbname=dsn["database"])
    connection.autocommit = autocommit
    return connection


def calling(autocommit, read_first=False):
    def call(dsn, target, on_notice):
        connection = opened(dsn, autocommit)
        try:
            cursor = connection.cursor()
            if read_first:
                cursor.execute("SELECT count(*) FROM setting")
            cursor.execute("SELECT migration_upgrade(%s)", (target,))
            run = cursor.fetchone()[0]
            connection.commit()
            check(connection.notices, "notices are there afterwards")
            return run
        finally:
            connection.close()
    return call


def failing(*statements, isolation=None):
    def call(dsn):
        connection = opened(dsn)
        try:
            connection.set_session(isolation_level=isolation)
            for statement in statements:
                connection.cursor().execute(statement)
        except psycopg2.Error as error:
            return error.pgcode, error.diag.message_hint
        finally:
            connection.close()
        return None
    return call


HEAD = "SELECT migration_upgrade('head')"
suite.waits("autocommit", calling(True), live=False)
suite.waits("implicit transaction after a read", calling(False, read_first=True), live=False)
suite.waits("PgBouncer, transaction mode", calling(True), bouncer=True, live=False)
suite.waits("PgBouncer, implicit transaction", calling(False, read_first=True), bouncer=True, live=False)
suite.refuses("REPEATABLE READ", failing(HEAD, isolation="REPEATABLE READ"), "25001", WAIT)
suite.refuses("after a write", failing("UPDATE account SET seen = 1 WHERE id = 1", HEAD), "25001", WAIT)
suite.refuses("SQL-level EXECUTE", failing("PREPARE p (text) AS SELECT migration_upgrade($1)", "EXECUTE p('head')"),
              "25001", WAIT)
suite.refuses("unknown target", failing("SELECT migration_upgrade('nonsense')"), "42704", "migration_")
