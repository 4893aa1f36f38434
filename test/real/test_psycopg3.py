"""psycopg 3: autocommit, its default implicit transaction, server-side prepared statements, PgBouncer; diagnostics."""
import sys

from scenario import Suite, WAIT

suite = Suite("psycopg3")
try:
    import psycopg
except ImportError:
    suite.skip("not installed")
    sys.exit(0)


def opened(dsn, **options):
    return psycopg.connect(host=dsn["host"], port=dsn["port"], user=dsn["user"], dbname=dsn["database"], **options)


def calling(statement, parameters=None, prepare=None, read_first=False, **options):
    def call(dsn, target, on_notice):
        with opened(dsn, **options) as connection:
            connection.add_notice_handler(lambda diagnostic: on_notice(diagnostic.message_primary))
            if read_first:
                connection.execute("SELECT count(*) FROM setting")
            values = [target] if parameters else None
            return connection.execute(statement, values, prepare=prepare).fetchone()[0]
    return call


def failing(*statements, isolation=None):
    def call(dsn):
        connection = opened(dsn)
        try:
            connection.isolation_level = isolation
            for statement in statements:
                connection.execute(statement)
        except psycopg.Error as error:
            return error.diag.sqlstate, error.diag.message_hint
        finally:
            connection.close()
        return None
    return call


HEAD = "SELECT migration_upgrade('head')"
TARGET = "SELECT migration_upgrade(%s)"
suite.waits("autocommit, no parameters", calling(HEAD, autocommit=True))
suite.waits("implicit transaction after a read", calling(TARGET, True, read_first=True))
suite.waits("prepared, target as parameter", calling(TARGET, True, prepare=True, autocommit=True))
suite.waits("PgBouncer, transaction mode", calling(TARGET, True, autocommit=True, prepare_threshold=None), bouncer=True)
suite.waits("PgBouncer, implicit transaction", calling(TARGET, True, prepare_threshold=None), bouncer=True)
suite.refuses("REPEATABLE READ", failing(HEAD, isolation=psycopg.IsolationLevel.REPEATABLE_READ), "25001", WAIT)
suite.refuses("SERIALIZABLE", failing(HEAD, isolation=psycopg.IsolationLevel.SERIALIZABLE), "25001", WAIT)
suite.refuses("after a write", failing("UPDATE account SET seen = 1 WHERE id = 1", HEAD), "25001", WAIT)
suite.refuses("open cursor with a snapshot",
              failing("DECLARE c CURSOR FOR SELECT * FROM account", "FETCH 1 FROM c", HEAD), "25001", WAIT)
suite.refuses("unknown target", failing("SELECT migration_upgrade('nonsense')"), "42704", "migration_")
