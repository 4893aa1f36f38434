"""node-postgres, driven through client.js, which prints what the driver sees as lines of JSON."""
import json
import os
import subprocess
import sys

from scenario import Suite, WAIT

suite = Suite("node")
if not os.environ.get("REAL_NODE"):
    sys.exit(0)  # the reason is printed already


def started(dsn, mode):
    here = os.path.dirname(os.path.abspath(__file__))
    # require() looks beside the script first, so NODE_PATH names the place of the packages.
    environment = dict(os.environ, NODE_PATH=os.path.join(os.environ["REAL_NODE"], "node_modules"))
    return subprocess.Popen(["node", os.path.join(here, "client.js"), json.dumps(dsn), mode], text=True, env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def events(dsn, mode):
    with started(dsn, mode) as process:
        for line in process.stdout:
            try:
                yield json.loads(line)
            except ValueError:
                raise AssertionError(line + process.stdout.read()) from None


def calling(mode):
    def call(dsn, target, on_notice):
        for event in events(dsn, mode):
            if "notice" in event:
                on_notice(event["notice"])
            elif "error" in event:
                raise AssertionError(event)
            else:
                return event["run"]
        raise AssertionError("node ended without a result")
    return call


def failing(mode):
    def call(dsn):
        for event in events(dsn, mode):
            if "error" in event:
                return event["code"], event["hint"]
        return None
    return call


suite.waits("autocommit, simple protocol", calling("simple"))
suite.waits("transaction block", calling("block"))
suite.waits("named prepared statement, target as parameter", calling("prepared"))
suite.waits("PgBouncer, transaction mode, parameter", calling("parameter"), bouncer=True)
suite.refuses("REPEATABLE READ", failing("repeatable"), "25001", WAIT)
suite.refuses("after a write", failing("written"), "25001", WAIT)
suite.refuses("unknown target", failing("unknown"), "42704", "migration_")
