# F45, F46 and "never in the way": a backfill that would harm others waits, says why, and goes on by itself.
#
# A real standby that stops replaying, and one that goes away; a slot, an archive, sessions, snapshots, a lock queue; the
# user's own expression; windows in a time zone; a hand. Whatever holds it: pause, cancel and tune act within a second, by
# the ledger's own clock. What may not be read holds, with the privilege that is missing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use PostgreSQL::Test::Cluster;
use Test::More;

my $m = Migration->new('primary', streaming => 1,
	conf => "archive_mode = on\narchive_command = 'true'\nautovacuum_naptime = 1s\nmax_wal_size = 4GB\n");
$m->node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($m->node, 'base', has_streaming => 1);
$standby->start;
my $db = $m->new_database('work');
$m->sql($db, q{
CREATE ROLE app LOGIN;
CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, f text NOT NULL);
INSERT INTO item SELECT g, 0, repeat('x', 100) FROM generate_series(1, 60000) g;
ALTER TABLE item OWNER TO app;
-- Rows that take their time: a job must outlast some looks at the server, which come once a second.
CREATE FUNCTION slowly(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM sum(g) FROM generate_series(1, 200) g; RETURN i; END $$;
CREATE TABLE gate (open boolean NOT NULL);
INSERT INTO gate VALUES (false);
GRANT ALL ON gate TO app;
SELECT migration_grant('app', 'operator');
});

my $value = 0;

# Queues a backfill of all of `item` with these settings; gives the run.
sub start
{
	my ($settings, %o) = @_;
	$value++;
	my $run = $m->sql($db, qq{
BEGIN;
SELECT migration_backfill('item', 'n = slowly($value)', 'n <> $value', '{"cursor": "keyset"}');
DO \$\$ BEGIN PERFORM migration_tune(NULL, '{"batch_target": "10ms"}'); PERFORM migration_tune(NULL, '$settings'); END \$\$;
COMMIT;}, %o);
	return $run;
}

sub tune { my ($settings, %o) = @_; $m->sql($db, "DO \$\$ BEGIN PERFORM migration_tune(NULL, '$settings'); END \$\$", %o); return; }

sub reason { return $m->attempt($db, q{SELECT coalesce((SELECT throttled_by FROM migration_progress()), 'nothing')})->{out}; }

sub held_by
{
	my ($pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $last = '';
	my $found = $m->until_true("it is held by $pattern", sub { $last = reason(); return $last =~ $pattern; }, 60);
	ok($found, $name) or diag("last: $last\n" . $m->sql($db, 'SELECT event, message FROM migration_log() ORDER BY event_id DESC LIMIT 5'));
	return;
}

sub finishes
{
	my ($run, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $r = $m->attempt($db, "SELECT migration_wait($run)");
	my $left = $m->sql($db, "SELECT count(*) FROM item WHERE n <> $value");
	is("$r->{out} $left", 'succeeded 0', $name) or diag($r->{err} . reason());
	return;
}

# Milliseconds between the last event of one kind and the first of another after it.
sub between
{
	my ($from, $to) = @_;
	return $m->sql($db, qq{SELECT round(extract(epoch FROM b.at - a.at) * 1000) FROM migration_ext.log a JOIN migration_ext.log b
ON b.event_id > a.event_id AND b.event = '$to' WHERE a.event = '$from' ORDER BY a.event_id DESC, b.event_id LIMIT 1});
}

# ---- a standby that stops replaying ----
$m->until_sql('postgres', 'SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()', '1') or BAIL_OUT('no standby');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
my $run = start('{"max_lag": "1MB"}');
held_by(qr/^max_lag: standby "standby" has [\d.]+ MB to replay \(limit 1MB\)/, 'a standby that does not replay holds the backfill');
is($m->sql($db, 'SELECT state, waiting_for LIKE $$max_lag: %$$ FROM migration_status()'), 'running|t', 'status says why');
my $done = $m->sql($db, 'SELECT rows_done FROM migration_progress()');
cmp_ok($done, '<', 60000, 'it has stopped on the way');
is($m->sql($db, "SELECT rows_done FROM migration_progress()"), $done, 'and stands');
is($m->sql($db, "SELECT backend_xmin IS NULL AND backend_xid IS NULL AND state = 'idle' FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'"), 't', 'it holds nothing while it waits');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
finishes($run, 'it goes on when the standby has caught up');
is($m->sql($db, "SELECT string_agg(DISTINCT event, ',' ORDER BY event) FROM migration_log($run) WHERE event LIKE '%throttled'"), 'throttled,unthrottled', 'both are in the log');
cmp_ok($m->sql($db, "SELECT count(*) FROM migration_log($run) WHERE event = 'throttled'"), '<', 40, 'one event per change');
is($m->sql($db, "SELECT throttled > '0' AND throttled_by IS NULL FROM migration_ext.job WHERE run_id = $run"), 't', 'time held back is counted');

$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
$run = start('{"max_lag": "off", "max_lag_time": "1s", "max_wal_rate": "1MB"}');
held_by(qr/^max_lag_time: standby "standby" is \d+ s behind \(limit 1s\)/, 'by time too, though the server measures none');
tune('{"max_wal_rate": "off"}');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
finishes($run, 'until it has caught up');

# ---- a standby that goes away ----
$run = start('{"throttle": true}');
held_by(qr/^throttle: /, 'a hand holds it');
$standby->stop('fast');
held_by(qr/^max_lag: standby "standby" is gone.*also: throttle/, 'a standby that was there at the start is missed');
tune('{"throttle": "off"}');
held_by(qr/^max_lag: standby "standby" is gone(?!.*also:)/, 'also when nothing else holds it');
tune('{"max_lag": "off"}');
finishes($run, 'who does not need it says so');

# ---- somebody who takes the WAL and replays nothing: nobody to wait for, whatever they are called ----
my $taker = IPC::Run::start([ 'pg_receivewal', '--no-loop', '-D', PostgreSQL::Test::Utils::tempdir(), '-d', $m->node->connstr('postgres') . ' application_name=taker' ],
	'<', \undef, '>', '/dev/null', '2>', '/dev/null');
$m->until_sql('postgres', q{SELECT count(*) FROM pg_stat_replication WHERE application_name = 'taker' AND state = 'streaming'}, '1');
$run = start('{"throttle": true}');
held_by(qr/^throttle: /, 'a hand holds it');
$taker->kill_kill;
$m->until_sql('postgres', q{SELECT count(*) FROM pg_stat_replication WHERE application_name = 'taker'}, '0');
tune('{"throttle": "off"}');
finishes($run, 'who only took the WAL is not missed');

# ---- slots and the archive (F46) ----
$m->sql('postgres', q{SELECT pg_create_physical_replication_slot('lazy', true)});
$run = start('{"max_slot_retention": "1MB"}');
held_by(qr/^max_slot_retention: inactive slot "lazy" holds [\d.]+ MB of WAL/, 'a slot that is not read holds it');
$m->sql('postgres', q{SELECT pg_drop_replication_slot('lazy')});
finishes($run, 'it goes on when the slot is gone');
$m->sql('postgres', "ALTER SYSTEM SET archive_command = 'false'");
$m->sql('postgres', 'SELECT pg_reload_conf()');
for (1 .. 3) { $m->sql('postgres', 'CREATE TABLE moved (i int)'); $m->sql('postgres', 'SELECT pg_switch_wal()'); $m->sql('postgres', 'DROP TABLE moved'); }
$m->until_sql('postgres', 'SELECT failed_count > 0 FROM pg_stat_archiver', 't');
$run = start('{"max_archive_backlog": 1}');
held_by(qr/^max_archive_backlog: \d+ WAL files wait for the archive \(limit 1\), whose command fails/, 'an archive that fails holds it');
$m->sql('postgres', "ALTER SYSTEM SET archive_command = 'true'");
$m->sql('postgres', 'SELECT pg_reload_conf()');
finishes($run, 'it goes on when the archive has caught up');

# ---- the user's expression, as the run's role ----
my @app = (user => 'app');
$run = start(q{{"check": "(SELECT open FROM gate) AND current_user = $r$app$r$"}}, @app);
held_by(qr/^check: it is false/, 'the expression holds it');
tune(q{{"check": "1 / (SELECT 0 FROM gate) = 1"}}, @app);
held_by(qr/^check: error: division by zero/, 'an error holds it');
tune(q{{"check": "EXISTS (SELECT FROM migration_ext.run)"}}, @app);
held_by(qr/^check: error: permission denied for schema migration_ext/, 'it has the rights of the role, no more');
tune(q{{"check": "nextval($q$s$q$) > 0"}}, @app);
held_by(qr/^check: error: relation "s" does not exist/, 'an unknown name holds it');
$m->sql($db, 'CREATE SEQUENCE s; GRANT ALL ON s TO app');
held_by(qr/^check: error: cannot execute nextval\(\) in a read-only transaction/, 'it can only read');
tune(q{{"check": "pg_sleep(30) IS NOT NULL"}}, @app);
held_by(qr/^check: no answer within 1000 ms/, 'it has a second to answer');
tune(q{{"check": "NULL::boolean"}}, @app);
held_by(qr/^check: it is null/, 'not knowing is not true');
tune(q{{"check": "(SELECT open FROM gate) AND current_user = $r$app$r$"}}, @app);
held_by(qr/^check: it is false/, 'back to the first');
$m->sql($db, 'UPDATE gate SET open = true');
finishes($run, 'it goes on when the expression is true');

# ---- windows, by zone ----
my $hours = $m->sql($db, q{SELECT to_char(now() AT TIME ZONE 'Asia/Tokyo' - interval '1 hour', 'HH24:MI') || '-' || to_char(now() AT TIME ZONE 'Asia/Tokyo' + interval '1 hour', 'HH24:MI')});
$run = start(qq{{"window": "$hours UTC"}});
held_by(qr/^window: closed; open are \Q$hours\E UTC/, 'outside its window it waits');
tune(qq{{"window": "$hours Asia/Tokyo"}});
finishes($run, 'the same hours in their zone are open');

my $later = $m->sql($db, q{SELECT now() + interval '1 hour'});
$run = start(qq{{"start_at": "$later", "max_size": "1MB"}});
held_by(qr/^max_size: the table has \d+ MB \(limit 1MB\); also: start_at/, 'size and start');
tune('{"max_size": null}');
held_by(qr/^start_at: starts in 59 min/, 'before its start it waits');
tune('{"start_at": null}');
finishes($run, 'unless told otherwise');

# ---- a hand; pause, cancel and tune while it is held ----
$run = start('{"throttle": "on"}');
held_by(qr/^throttle: /, 'held by hand');
my $r = $m->attempt($db, 'SELECT migration_pause()');
$m->until_state($db, 'paused') or fail('paused');
cmp_ok(between('pausing', 'paused'), '<', 1000, 'pause acts within a second while it is held');
$m->sql($db, 'SELECT migration_resume()');
held_by(qr/^throttle: /, 'what was tuned holds after a resume');
tune('{"throttle": "off"}');
$m->until_sql($db, "SELECT count(*) > 0 FROM migration_log($run) WHERE event = 'unthrottled'", 't');
cmp_ok(between('tuned', 'unthrottled'), '<', 1000, 'tune acts within a second');
finishes($run, 'and it goes on');
$run = start('{"throttle": "on"}');
held_by(qr/^throttle: /, 'held by hand');
$m->sql($db, 'SELECT migration_cancel()');
$m->until_sql($db, "SELECT state FROM migration_ext.run WHERE run_id = $run", 'cancelled');
cmp_ok(between('cancelling', 'cancelled'), '<', 1000, 'cancel acts within a second while it is held');

# What runs as one statement has no batches to hold back, but does not begin before its time.
$m->sql($db, 'CREATE TABLE keyless AS SELECT g AS i, 0 AS n FROM generate_series(1, 100) g');
my $closed = $m->sql($db, q{SELECT to_char(now() AT TIME ZONE 'UTC' + interval '2 hours', 'HH24:MI') || '-' || to_char(now() AT TIME ZONE 'UTC' + interval '3 hours', 'HH24:MI')});
$run = $m->sql($db, qq{SELECT migration_backfill('keyless', 'n = n + 1', NULL, '{"window": "$closed UTC"}')});
ok($m->until_sql($db, "SELECT waiting_for ~ '^window: closed' FROM migration_runs() WHERE run_id = $run", 't'), 'one statement: it waits for its window');
is($m->sql($db, 'SELECT sum(n) FROM keyless'), '0', 'one statement: nothing is done');
tune('{"window": "off", "throttle": "on"}');
ok($m->until_sql($db, "SELECT waiting_for ~ '^throttle: ' FROM migration_runs() WHERE run_id = $run", 't'), 'one statement: it is held by hand');
$m->sql($db, 'SELECT migration_pause()');
$m->until_state($db, 'paused') or fail('paused');
$m->sql($db, "SELECT migration_resume($run)");
ok($m->until_sql($db, "SELECT waiting_for ~ '^throttle: ' FROM migration_runs() WHERE run_id = $run", 't'), 'one statement: it is held after a pause, too');
tune('{"throttle": "off"}');
is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', 'one statement: it goes on');
is($m->sql($db, 'SELECT sum(n) FROM keyless'), '100', 'one statement: each row once');

# ---- sessions, snapshots, a lock queue, WAL ----
my $other = $m->session($db);
$other->send('SELECT pg_sleep(600)');
$m->until_sql($db, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(600)%'", '1');
$run = start('{"max_active": 0, "max_waiters": "off"}');
held_by(qr/^max_active: \d+ sessions are active \(limit 0\)/, 'busy sessions hold it');
$m->sql($db, 'SELECT pg_cancel_backend(' . $other->pid . ')');
$other->result;
finishes($run, 'until they are done');
$other->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
$other->run('SELECT count(*) FROM gate');
my $pid = $other->pid;
$m->until_sql($db, "SELECT clock_timestamp() - xact_start > '1100 ms' FROM pg_stat_activity WHERE pid = $pid", 't');
$run = start('{"max_xmin_age": "1s"}');
held_by(qr/^max_xmin_age: a snapshot of process $pid /, 'an old snapshot holds it, and is named');
$other->run('COMMIT');
finishes($run, 'until it ends');
$run = start('{"throttle": "on"}');
held_by(qr/^throttle: /, 'held by hand');
$other->run('BEGIN');
$other->run('SELECT count(*) FROM item WHERE id = 1');
my $ddl = $m->session($db);
$ddl->send('ALTER TABLE item ADD COLUMN extra int');
held_by(qr/^max_waiters: 1 sessions wait for a lock on the table \(limit 0\), first process \d+ \(AccessExclusiveLock\); also: throttle/, 'who queues for the table goes first');
$other->run('COMMIT');
ok($ddl->result->{ok}, 'and gets it');
tune('{"throttle": "off"}');
finishes($run, 'then it goes on');
# Less than the slowest server writes.
$run = start('{"max_wal_rate": "256kB"}');
$m->until_sql($db, "SELECT throttled_by || ' ' || (bar LIKE '%left with throttling') FROM migration_progress()", 'max_wal_rate: rests between batches, for at most 256kB per second true');
my $rate = $m->sql($db, q{CREATE TEMP TABLE a AS SELECT clock_timestamp() AS at, pg_current_wal_lsn() AS lsn; SELECT pg_sleep(4); SELECT round((pg_current_wal_lsn() - lsn) / extract(epoch FROM clock_timestamp() - at) / 1048576.0, 1) FROM a});
$rate =~ s/\s//g;
cmp_ok($rate, '<', 1.5, 'WAL stays near its limit');
tune('{"max_wal_rate": "off"}');
finishes($run, 'without the limit it does not rest');

# ---- autovacuum ----
$m->sql($db, 'ALTER TABLE item SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)');
$m->sql('postgres', 'ALTER SYSTEM SET autovacuum = on');
$m->sql('postgres', 'SELECT pg_reload_conf()');
my $vacuumed = "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'item'::regclass";
$m->until_sql($db, $vacuumed, '1');
$run = start('{"autovacuum": "yield"}');
held_by(qr/^autovacuum: the table is being vacuumed/, 'autovacuum is given way when asked for');
tune('{"autovacuum": "ignore"}');
finishes($run, 'and ignored otherwise');
$m->sql('postgres', 'ALTER SYSTEM SET autovacuum = off');
$m->sql('postgres', 'SELECT pg_reload_conf()');
$m->sql($db, "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_vacuum");
$m->until_sql($db, $vacuumed, '0');
$m->sql($db, 'ALTER TABLE item SET (autovacuum_freeze_max_age = 100000)');
$m->sql($db, 'DO $$ BEGIN FOR i IN 1..110000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
$m->sql('postgres', 'ALTER SYSTEM SET autovacuum = on');
$m->sql('postgres', 'SELECT pg_reload_conf()');
$m->until_sql($db, "SELECT count(*) FROM pg_stat_progress_vacuum p JOIN pg_stat_activity USING (pid) WHERE relid = 'item'::regclass AND query LIKE '%wraparound%'", '1');
$run = start('{"autovacuum": "ignore"}');
held_by(qr/^autovacuum: the table is vacuumed to prevent transaction id wraparound/, 'a vacuum against wraparound always goes first');
$m->sql('postgres', 'ALTER SYSTEM SET autovacuum = off');
$m->sql('postgres', 'SELECT pg_reload_conf()');
# Not on its own, and no other begins any more: this kind does not give way to ALTER TABLE.
$m->until_true('no vacuum is left', sub { return $m->sql($db, 'SELECT count(pg_terminate_backend(pid)) FROM pg_stat_progress_vacuum') eq '0'; });
finishes($run, 'then it goes on');

$_->close for $other, $ddl;
$m->node->stop;
done_testing();
