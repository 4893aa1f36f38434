"""SQLAlchemy, as Alembic's users have it: connections that begin by themselves, AUTOCOMMIT, and asyncio over asyncpg."""
import asyncio
import sys

from scenario import Suite, WAIT

suite = Suite("sqlalchemy")
try:
    import sqlalchemy
    import psycopg2
except ImportError:
    suite.skip("not installed, or no psycopg2")
    sys.exit(0)
try:
    import asyncpg
    from sqlalchemy.ext.asyncio import create_async_engine
except ImportError:
    asyncpg = None

TARGET = "SELECT migration_upgrade(:target)"


def opened(dsn, **options):
    def connect():
        return psycopg2.connect(host=dsn["host"], port=dsn["port"], user=dsn["user"], dbname=dsn["database"])
    return sqlalchemy.create_engine("postgresql+psycopg2://", creator=connect, poolclass=sqlalchemy.pool.NullPool, **options)


def calling(read_first=False, **options):
    def call(dsn, target, on_notice):
        with opened(dsn, **options).connect() as connection, connection.begin():
            if read_first:
                connection.execute(sqlalchemy.text("SELECT count(*) FROM setting"))
            return connection.execute(sqlalchemy.text(TARGET), {"target": target}).scalar()
    return call


def asynchronous(dsn, target, on_notice):
    async def run():
        # asyncpg's own callback, because SQLAlchemy has none for notices. 1.4 and 2.0 reach the driver differently.
        url = sqlalchemy.engine.URL.create("postgresql+asyncpg", username=dsn["user"], database=dsn["database"],
                                           query={"host": dsn["host"], "port": str(dsn["port"])})
        engine = create_async_engine(url, poolclass=sqlalchemy.pool.NullPool)
        async with engine.begin() as connection:
            raw = await connection.get_raw_connection()
            raw.connection._connection.add_log_listener(lambda _, message: on_notice(message.message))
            found = await connection.execute(sqlalchemy.text(TARGET), {"target": target})
            return found.scalar()
    return asyncio.run(run())


def failing(*statements, **options):
    def call(dsn):
        try:
            with opened(dsn, **options).connect() as connection, connection.begin():
                for statement in statements:
                    connection.execute(sqlalchemy.text(statement))
        except sqlalchemy.exc.DBAPIError as error:
            return error.orig.pgcode, error.orig.diag.message_hint
        return None
    return call


HEAD = "SELECT migration_upgrade('head')"
suite.waits("connection that begins by itself, after a read", calling(read_first=True), live=False)
suite.waits("AUTOCOMMIT", calling(isolation_level="AUTOCOMMIT"), live=False)
suite.waits("PgBouncer, transaction mode", calling(read_first=True), bouncer=True, live=False)
if asyncpg is None:
    suite.skip("asyncio: no asyncpg")
else:
    suite.waits("asyncio over asyncpg, implicit transaction", asynchronous)
suite.refuses("REPEATABLE READ", failing(HEAD, isolation_level="REPEATABLE READ"), "25001", WAIT)
suite.refuses("after a write", failing("UPDATE account SET seen = 1 WHERE id = 1", HEAD), "25001", WAIT)
