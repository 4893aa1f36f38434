"""asyncpg: the simple protocol of execute(), a transaction block, prepared statements, PgBouncer; errors as it shows them."""
import asyncio
import sys

from scenario import Suite, WAIT

suite = Suite("asyncpg")
try:
    import asyncpg
except ImportError:
    suite.skip("not installed")
    sys.exit(0)


async def opened(dsn, on_notice=None, **options):
    connection = await asyncpg.connect(**dsn, **options)
    if on_notice is not None:
        connection.add_log_listener(lambda _, message: on_notice(message.message))
    return connection


def calling(body, **options):
    """A call of `body(connection, target)` with a connection of its own."""
    def call(dsn, target, on_notice):
        async def run():
            connection = await opened(dsn, on_notice, **options)
            try:
                return await body(connection, target)
            finally:
                await connection.close(timeout=5)
        return asyncio.run(run())
    return call


async def simple(connection, target):
    return await connection.execute(f"SELECT migration_upgrade('{target}')")


async def block(connection, target):
    async with connection.transaction():
        await connection.fetchval("SELECT count(*) FROM setting")
        return await connection.fetchval("SELECT migration_upgrade($1)", target)


async def prepared(connection, target):
    statement = await connection.prepare("SELECT migration_upgrade($1)")
    return await statement.fetchval(target)


async def from_clause(connection, target):
    return await connection.fetchval("SELECT * FROM migration_upgrade($1) AS run", target)


def failing(body):
    def call(dsn):
        async def run():
            connection = await opened(dsn)
            try:
                await body(connection)
            except asyncpg.PostgresError as error:
                return error.sqlstate, error.hint
            finally:
                await connection.close(timeout=5)
        return asyncio.run(run())
    return call


async def repeatable_read(connection):
    async with connection.transaction(isolation="repeatable_read"):
        await connection.fetchval("SELECT migration_upgrade($1)", "head")


async def after_a_write(connection):
    async with connection.transaction():
        await connection.execute("UPDATE account SET seen = seen + 1 WHERE id = 1")
        await connection.fetchval("SELECT migration_upgrade($1)", "head")


async def after_reading_it(connection):
    async with connection.transaction():
        await connection.fetchval("SELECT count(*) FROM account")
        await connection.fetchval("SELECT migration_upgrade($1)", "head")


async def unknown(connection):
    await connection.fetchval("SELECT migration_upgrade($1)", "nonsense")


async def in_a_loop(connection):
    await connection.execute("DO $$ BEGIN PERFORM migration_upgrade('head'); END $$")


suite.waits("execute, autocommit, simple protocol", calling(simple), returns=False)
suite.waits("transaction block after a read", calling(block))
suite.waits("prepared statement, target as parameter", calling(prepared))
suite.waits("prepared, held by a reader's snapshot", calling(prepared), reader=True)
suite.waits("SELECT * FROM", calling(from_clause))
suite.waits("PgBouncer, transaction mode", calling(prepared, statement_cache_size=0), bouncer=True)
suite.waits("PgBouncer, transaction block", calling(block, statement_cache_size=0), bouncer=True)
suite.refuses("REPEATABLE READ", failing(repeatable_read), "25001", WAIT)
suite.refuses("after a write", failing(after_a_write), "25001", WAIT)
suite.refuses("from PL/pgSQL", failing(in_a_loop), "25001", WAIT)
suite.blocks_itself("after reading the table it must lock", failing(after_reading_it))
suite.refuses("unknown target", failing(unknown), "42704", "migration_")
