# Runs that start at a time, again and again, in an order, one after another: with the launcher, without it, with pg_cron.
#
# start_at, every, priority and after of migration_backfill are kept in the ledger. With preload nobody calls anything, also
# after a restart of the server. Without it nothing starts by itself, status names the statement, and migration_resume()
# without a number starts what is due, in its order, and never what somebody paused. Repetitions do not drift, skip what
# was missed, and are queued once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use PostgreSQL::Test::Utils;
use Test::More;

my $tables = join "\n", map { "CREATE TABLE t$_ (id int PRIMARY KEY, a int); INSERT INTO t$_ SELECT g FROM generate_series(1, 500) g;" } 1 .. 6;

# Queues a backfill; gives its run.
sub queue
{
	my ($m, $db, $table, $options, $condition) = @_;
	my $where = $condition // 'a IS NULL';
	return $m->sql($db, "SELECT migration_backfill('$table', 'a = coalesce(a, 0) + 1', '$where', '$options')");
}

sub seconds_ahead
{
	my ($m, $db, $seconds) = @_;
	return $m->sql($db, "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC' + interval '$seconds seconds', 'YYYY-MM-DD HH24:MI:SS') || '+00'");
}

sub state_of { my ($m, $db, $run) = @_; return $m->sql($db, "SELECT state FROM migration_runs() WHERE run_id = $run"); }

# ---- with the launcher ----

my $m = Migration->new('launcher', preload => 1);
my $db = $m->new_database('work');
$m->sql($db, $tables);

my $run = queue($m, $db, 't1', '{"start_at": "' . seconds_ahead($m, $db, 3) . '"}');
is(state_of($m, $db, $run), 'scheduled', 'start_at: not before its time');
like($m->sql($db, 'SELECT waiting_for FROM migration_status()'), qr/^run $run is due at /, 'status says when');
is($m->sql($db, 'SELECT state FROM migration_status()'), 'empty', 'and the database is not busy with it');
is($m->sql($db, 'SELECT migration_resume()'), 'nothing to resume', 'nothing is due');
ok($m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $run", 'succeeded', 60), 'it starts by itself');
is($m->sql($db, "SELECT started_at >= start_at AND started_at < start_at + interval '5 seconds' FROM migration_ext.run WHERE run_id = $run"),
	't', 'at its time');
is($m->sql($db, 'SELECT count(*) FROM t1 WHERE a = 1'), '500', 'and does its work');

# Held by hand, so that a queue forms behind it.
my $first = $m->sql($db, q{
BEGIN;
SELECT migration_backfill('t2', 'a = 1', 'a IS NULL');
DO $$ BEGIN PERFORM migration_tune(NULL, '{"throttle": "on"}'); END $$;
COMMIT;});
$m->until_sql($db, q{SELECT count(*) FROM migration_progress() WHERE throttled_by IS NOT NULL}, '1');
my $low = queue($m, $db, 't3', '{"priority": -5}');
my $plain = queue($m, $db, 't4', '{}');
my $high = queue($m, $db, 't5', '{"priority": 5}');
my $late = queue($m, $db, 't6', qq({"priority": 100, "after": [$low, $high]}));
like($m->sql($db, "SELECT string_agg(state, ',' ORDER BY run_id) FROM migration_runs() WHERE run_id > $run"),
	qr/^running,queued,queued,queued,scheduled$/, 'several are queued behind one that runs');
$m->sql($db, qq{DO \$\$ BEGIN PERFORM migration_tune($first, '{"throttle": "off"}'); END \$\$});
ok($m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $late", 'succeeded', 60), 'all come to their turn');
is($m->sql($db, "SELECT string_agg(run_id::text, ',' ORDER BY started_at) FROM migration_runs() WHERE run_id > $run"),
	"$first,$high,$plain,$low,$late", 'by priority, then age; after: when those have succeeded');

# A prerequisite that failed holds it, and says so.
$m->sql($db, 'ALTER TABLE t3 ADD CONSTRAINT small CHECK (a < 2)');
my $bad = queue($m, $db, 't3', '{}', 'a < 5');
my $behind = queue($m, $db, 't4', qq({"after": [$bad]}), 'a < 2');
ok($m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $bad", 'paused', 60), 'a row makes a run stop');
is(state_of($m, $db, $behind), 'scheduled', 'what comes after it waits');
$m->sql($db, 'ALTER TABLE t3 DROP CONSTRAINT small');
$m->sql($db, "SELECT migration_resume($bad)");
ok($m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $behind", 'succeeded', 60), 'until that has succeeded');

# every: the ledger's times are moved back instead of waiting for minutes.
my $every = queue($m, $db, 't1', '{"every": "1h", "priority": 3}', 'a < 3');
ok($m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $every", 'succeeded', 60), 'every: the first at once');
my $next = $m->sql($db, "SELECT max(run_id) FROM migration_runs()");
is($m->sql($db, "SELECT n.state || ' ' || (n.start_at - f.start_at) || ' ' || n.every || ' ' || n.priority || ' ' || coalesce(f.every::text, 'handed on')
	FROM migration_runs() n, migration_runs() f WHERE n.run_id = $next AND f.run_id = $every"),
	'scheduled 01:00:00 01:00:00 3 handed on', 'the next is queued, an hour after the first was due');
my $missed = $m->sql($db, "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC' - interval '150 minutes', 'YYYY-MM-DD HH24:MI:SS') || '+00'");
$m->sql($db, qq{DO \$\$ BEGIN PERFORM migration_tune($next, '{"start_at": "$missed"}'); END \$\$});
ok($m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $next", 'succeeded', 60), 'tuned to be due, it starts');
is($m->sql($db, "SELECT n.start_at - p.start_at FROM migration_runs() n, migration_runs() p WHERE p.run_id = $next AND n.run_id = (SELECT max(run_id) FROM migration_runs())"),
	'03:00:00', 'no drift: whole hours from the time it was due, missed ones skipped');
my $series = $m->sql($db, 'SELECT max(run_id) FROM migration_runs()');
is($m->sql($db, 'SELECT count(*) FROM t1 WHERE a = 3'), '500', 'both have worked, once each');
$m->sql($db, "SELECT migration_cancel($series)");
is($m->sql($db, "SELECT count(*) FROM migration_runs() WHERE state IN ('queued', 'scheduled')"), '0', 'cancel ends the series');

# Due while the server is down, and over a crash.
my $down = queue($m, $db, 't5', '{"start_at": "' . seconds_ahead($m, $db, 4) . '"}', 'a < 2');
$m->node->stop('fast');
sleep 4;
$m->node->start;
ok($m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $down", 'succeeded', 60), 'missed while the server was down: starts with it');
my $over = queue($m, $db, 't6', '{"start_at": "' . seconds_ahead($m, $db, 6) . '"}', 'a < 2');
$m->node->stop('immediate');
$m->node->start;
ok($m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $over", 'succeeded', 60), 'a crash forgets no time');

# A pause is not undone by the clock, and resume before the time goes back to waiting.
my $paused = queue($m, $db, 't2', '{"start_at": "' . seconds_ahead($m, $db, 3600) . '"}', 'a < 2');
is($m->sql($db, "SELECT migration_pause($paused)"), 'paused', 'a scheduled run can be paused');
is($m->sql($db, 'SELECT migration_resume()'), 'nothing to resume', 'whoever asks for what is due does not undo that');
is($m->sql($db, "SELECT migration_resume($paused)"), 'scheduled', 'resumed before its time it waits again');
is($m->sql($db, "SELECT migration_resume($paused)"), 'resuming', 'once more: it starts now');
is($m->sql($db, "SELECT migration_wait($paused)"), 'succeeded', 'and does not wait for its time');

my $tuned = queue($m, $db, 't2', '{}', 'a < 3');
$m->sql($db, "SELECT migration_wait($tuned)");
$tuned = queue($m, $db, 't2', '{"every": "1h", "start_at": "' . seconds_ahead($m, $db, 7200) . '"}', 'a < 4');
$m->sql($db, qq{DO \$\$ BEGIN PERFORM migration_tune($tuned, jsonb_build_object('start_at', now() + interval '3 hours')); END \$\$});
is($m->sql($db, "SELECT migration_resume($tuned)"), 'resuming', 'tuned to a later time and started by hand');
is($m->sql($db, "SELECT migration_wait($tuned)"), 'succeeded', 'it does not wait for that time either');
is($m->sql($db, "SELECT count(*) FROM migration_runs() WHERE state = 'scheduled' AND start_at > now() + interval '3 hours'"), '1', 'its repetition counts from it');
$m->sql($db, 'SELECT migration_cancel()');

# Started by hand, it stays so when its process finds somebody else at work; and paused on the way, it goes on at once.
my $hand = queue($m, $db, 't2', '{"start_at": "' . seconds_ahead($m, $db, 7200) . '", "throttle": "on"}', 'a < 5');
my ($first_one, $other) = ($m->session($db), $m->session($db));
$first_one->run("BEGIN; SELECT migration_resume($hand)");
$other->run(q{BEGIN; SELECT migration_register('held', 'holds the run lock', NULL, 'CREATE TABLE held ()'); SELECT migration_upgrade('held')});
$first_one->run('COMMIT');
for my $expected (1, 0)
{
	$m->until_true("executors: $expected", sub { $first_one->run(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'})->{out} eq $expected });
}
is(state_of($m, $db, $hand), 'queued', 'it is due, though nobody could take it');
$other->run('COMMIT');
$m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $hand", 'running', 60);
is($m->sql($db, "SELECT migration_pause($hand)"), 'pausing', 'it is started, and paused on its way');
$m->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $hand", 'paused', 60);
$m->sql($db, qq(DO \$\$ BEGIN PERFORM migration_tune($hand, '{"throttle": "off"}'); END \$\$));
is($m->sql($db, "SELECT migration_resume($hand)"), 'resuming', 'no time holds it then either');
is($m->sql($db, "SELECT migration_wait($hand)"), 'succeeded', 'and it ends');

# What cannot be meant.
for my $case (['{"start_at": "soon"}', 'start_at'], ['{"every": "1s"}', 'every'], ['{"priority": "high"}', 'priority'],
	['{"after": [4711]}', 'after'], [qq({"after": [$series]}), 'after'])
{
	my $r = $m->attempt($db, "SELECT migration_backfill('t1', 'a = 1', 'a IS NULL', '$case->[0]')");
	ok($r->{state} eq '22023' && $r->{message} =~ /"$case->[1]"/, "$case->[0] is refused") or diag($r->{err});
}

# Progress stays within its bounds when the table doubles under the job, between the rows it has to do and behind them.
for my $case (['ctid', 'a IS NULL'], ['keyset', 'true'])
{
	my ($cursor, $where) = @$case;
	$m->sql($db, q{DROP TABLE IF EXISTS grows; CREATE TABLE grows (id int PRIMARY KEY, a int, f text);
		INSERT INTO grows SELECT g * 10, NULL, repeat('x', 200) FROM generate_series(1, 20000) g; ANALYZE grows;});
	my $grow = $m->sql($db, qq{SELECT migration_backfill('grows', 'a = coalesce(a, 0) + 1', '$where', '{"batch_target": "2ms", "max_batch_rows": 200, "max_wal_rate": "1MB"}')});
	my ($worst, $seen, $added) = ('ok', 0, 0);
	$m->until_true('it has ended', sub {
		$m->sql($db, "INSERT INTO grows SELECT g * 10 + 5, NULL, repeat('y', 200) FROM generate_series($added + 1, $added + 500) g"), $added += 500 if $added < 20000;
		my $look = $m->sql($db, q{SELECT coalesce(bool_and(coalesce(percent BETWEEN 0 AND 100, true) AND coalesce(eta >= '0', true) AND coalesce(rate >= 0, true)), true)
			|| ' ' || count(*) || ' ' || coalesce(max(phase), '') FROM migration_progress()});
		$seen++ if $look =~ / 1 .*\($cursor\)/;
		$worst = $look if $look !~ /^true/;
		return $m->sql($db, "SELECT state FROM migration_ext.run WHERE run_id = $grow") eq 'succeeded'; });
	is($worst, 'ok', "$cursor: percent within 0 and 100, eta not negative while the table doubles");
	cmp_ok($seen, q{>}, 3, "$cursor: in several looks") or diag($seen);
	is($m->sql($db, 'SELECT wal_bytes > 0 FROM migration_ext.job ORDER BY job_id DESC LIMIT 1'), 't', "$cursor: WAL is counted");
}
is($m->sql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'}), '0', 'nobody waits inside the database');
$m->node->stop;

# ---- without it, and with pg_cron ----

my $cron = -e `pg_config --pkglibdir` =~ s/\s+$//r . '/pg_cron.so';
my $n = Migration->new('called', conf => $cron ? "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'work'\ncron.host = ''\ncron.use_background_workers = on" : '');
$n->new_database('work');
$n->sql($db, $tables);
$run = queue($n, $db, 't1', '{"start_at": "' . seconds_ahead($n, $db, 3) . '"}');
my $second = queue($n, $db, 't2', '{"start_at": "' . seconds_ahead($n, $db, 2) . '", "priority": 7}');
like($n->sql($db, 'SELECT waiting_for FROM migration_status()'), qr/is due at .*; then: SELECT migration_resume\(\);/, 'without preload: status says when, and what to call');
$n->until_sql($db, "SELECT bool_and(start_at <= clock_timestamp()) FROM migration_ext.run", 't');
is(state_of($n, $db, $run), 'queued', 'due, and nobody starts it');
is($n->sql($db, 'SELECT state FROM migration_status()'), 'queued', 'status says that it is due');
like($n->sql($db, 'SELECT hint FROM migration_status()'), qr/^SELECT migration_resume\(\d+\);  -- it does not start by itself/, 'and how to start it');
is($n->sql($db, 'SELECT migration_resume()'), 'resuming', 'migration_resume() starts what is due');
ok($n->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $run", 'succeeded', 60), 'and the run that ends starts the next one');
is($n->sql($db, "SELECT string_agg(run_id::text, ',' ORDER BY started_at) FROM migration_runs()"), "$second,$run", 'in their order');
is($n->sql($db, 'SELECT migration_resume()'), 'nothing to resume', 'then nothing is due');
# Whoever waits for a run whose time has not come is told so.
my $far = $n->attempt($db, q(SELECT migration_backfill('t3', 'a = 1', 'a IS NULL', '{"start_at": "2040-01-01 UTC"}')));
like($far->{err}, qr/It is due at 2040-01-01 \S+ and does not start by itself.*HINT: *SELECT migration_resume\($far->{out}\);/s, 'queued: what to call when it is due');
my $waited = $n->attempt($db, "SELECT migration_wait($far->{out}, interval '0.2 seconds')");
is("$waited->{state} $waited->{message}", "57014 run $far->{out} has not started", 'a wait for it ends at its timeout');
like($waited->{err}, qr/NOTICE:.*run $far->{out} has not started.*It is due at 2040.*ERROR/s, 'and says at once what it waits for');
$n->sql($db, 'SELECT migration_cancel()');

SKIP:
{
	skip 'pg_cron is not installed (postgresql-MAJOR-cron)', 3 if !$cron;
	$n->sql($db, 'CREATE EXTENSION pg_cron');
	$run = queue($n, $db, 't3', '{"start_at": "' . seconds_ahead($n, $db, 1) . '", "every": "1h"}');
	$n->sql($db, q{SELECT cron.schedule('* * * * *', 'SELECT migration_resume()')});
	ok($n->until_sql($db, "SELECT state FROM migration_runs() WHERE run_id = $run", 'succeeded', 150), 'pg_cron starts what is due');
	is($n->sql($db, 'SELECT count(*) FROM t3 WHERE a = 1'), '500', 'and its work is done');
	is($n->sql($db, q{SELECT count(*) FROM migration_runs() WHERE state = 'scheduled' AND start_at > now()}), '1', 'the next one is queued');
}
$n->node->stop;
done_testing();
