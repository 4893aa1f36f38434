"""The JDBC driver, driven through Client.java, which prints what the driver sees line by line."""
import os
import subprocess
import sys

from scenario import Suite, WAIT

suite = Suite("jdbc")
if not os.environ.get("REAL_JDBC"):
    sys.exit(0)  # the reason is printed already


def events(dsn, mode):
    arguments = [dsn["host"], str(dsn["port"]), dsn["user"], dsn["database"], mode]
    with subprocess.Popen(["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", os.environ["REAL_JDBC"], "Client", *arguments],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            fields = line.rstrip("\n").split("\t")
            if fields[0] not in ("notice", "run", "error"):
                raise AssertionError(line + process.stdout.read())
            yield fields


def calling(mode):
    def call(dsn, target, on_notice):
        for event in events(dsn, mode):
            if event[0] == "notice":
                on_notice(event[1])
            elif event[0] == "error":
                raise AssertionError(event)
            else:
                return event[1]
        raise AssertionError("java ended without a result")
    return call


def failing(mode):
    def call(dsn):
        for event in events(dsn, mode):
            if event[0] == "error":
                return event[1], event[2]
        return None
    return call


suite.waits("autocommit, simple protocol", calling("simple"))
suite.waits("autocommit, extended protocol", calling("text"))
suite.waits("autocommit, target as parameter", calling("parameter"))
suite.waits("prepareThreshold=1: named statement", calling("prepared"))
suite.waits("transaction, first statement", calling("first"))
suite.waits("transaction after a read", calling("block"))
suite.waits("transaction after a read, prepareThreshold=1", calling("prepared_block"))
suite.waits("PgBouncer, transaction mode, prepareThreshold=0", calling("unnamed"), bouncer=True)
suite.refuses("REPEATABLE READ", failing("repeatable"), "25001", WAIT)
suite.refuses("after a write", failing("written"), "25001", WAIT)
suite.refuses("unknown target", failing("unknown"), "42704", "migration_")
