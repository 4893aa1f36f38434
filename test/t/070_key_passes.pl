# Passes of a backfill by key: new versions find the room of old ones, and each row is changed exactly once all the same.
#
# n = n + 1 on full pages in the order of the key must leave table and indexes nearly as they were, which one statement per
# range cannot. A key without order, a set column that is indexed, a type without hash function take one pass. Then a row
# that fails in the middle of a window, a pause in it, another process that goes on with it, and somebody with a snapshot.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('key_passes', conf => "max_wal_size = '2GB'");
my $db = $m->new_database('keys');
my $rows = 60000;

sub table
{
	my ($name, $key, $order) = @_;
	$m->sql($db, <<"S");
CREATE TABLE $name AS SELECT $key AS id, (g * 7919) % 100003 AS r, g % 7 AS base, g % 7 AS n, repeat('x', 60) AS filler FROM generate_series(1, $rows) g ORDER BY $order;
ALTER TABLE $name ADD PRIMARY KEY (id);
CREATE INDEX ON $name (r);
VACUUM ANALYZE $name;
CREATE TABLE size_of_$name AS SELECT pg_relation_size('$name') AS heap, pg_indexes_size('$name') AS indexes;
S
	return;
}

sub backfill
{
	my ($name, $options, $change) = @_;
	my $run = $m->sql($db, "SET migration_ext.batch_target = '50ms'; SELECT migration_backfill('$name', '" . ($change // 'n = n + 1') . "', NULL, '$options')");
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$name: ends");
	is($m->sql($db, "SELECT count(*) FROM $name WHERE n - base <> 1"), '0', "$name: each row once");
	my ($heap, $indexes, $hot) = split /\|/, $m->sql($db, "SELECT round(100 * (pg_relation_size('$name')::numeric / heap - 1)), round(100 * (pg_indexes_size('$name')::numeric / indexes - 1)),"
		. " (SELECT round(100 * rows_hot::numeric / rows_done) FROM migration_ext.job ORDER BY job_id DESC LIMIT 1) FROM size_of_$name");
	note "$name: heap +$heap %, indexes +$indexes %, HOT $hot %";
	is($m->sql($db, 'SELECT rows_done, window_part, window_key IS NULL FROM migration_ext.job ORDER BY job_id DESC LIMIT 1'), "$rows|0|t", "$name: no window is left open");
	return ($heap, $indexes, $hot);
}

# ---- in the order of the key: whole numbers, steps, negative ones, texts, several columns ----
for my $case (['plain', 'g::bigint', 'g'], ['steps', '(g * 64)::int', 'g'], ['below_zero', '(g - 30000)::int', 'g'], ['texts', "lpad(g::text, 8, '0')", 'g'])
{
	my ($name, $key, $order) = @$case;
	table($name, $key, $order);
	my ($heap, $indexes, $hot) = backfill($name, '{}');
	cmp_ok($heap, '<', 30, "$name: the table grows little (one statement: 100 %)");
	cmp_ok($hot, '>', 65, "$name: most rows stay on their pages");
	cmp_ok($indexes, '<', 60, "$name: the indexes do not double");
}

# ---- where passes do not pay ----
table('random_key', 'md5(g::text)::uuid', 'g');
backfill('random_key', '{}');
is($m->sql($db, 'SELECT batches < 60 FROM migration_ext.job ORDER BY job_id DESC LIMIT 1'), 't', 'random_key: one pass');
table('no_hash', 'g::bit(32)', 'g');
backfill('no_hash', '{}');
table('indexed', 'g::bigint', 'g');
$m->sql($db, 'CREATE INDEX ON indexed (n)');
backfill('indexed', '{}');
table('switched_off', 'g::bigint', 'g');
my ($heap) = backfill('switched_off', '{"passes": "off"}');
cmp_ok($heap, '>', 90, 'switched_off: without passes the table doubles');

# ---- a window in the middle: pause, another process, a row that fails ----
table('middle', 'g::bigint', 'g');
$m->sql($db, 'CREATE FUNCTION slow(x bigint) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF x % 50 = 0 THEN PERFORM pg_sleep(0.001); END IF; RETURN 0; END $$;'
	. 'ALTER TABLE middle ADD CONSTRAINT odd CHECK (id NOT IN (20007, 40011) OR n = base)');
my $run = $m->sql($db, q{SET migration_ext.batch_target = '20ms'; SELECT migration_backfill('middle', 'n = n + 1 + slow(id)', NULL, '{"max_errors": 5}')});
my $pauses = 0;
for (1 .. 6)
{
	$m->until_sql($db, 'SELECT window_part > 0 FROM migration_ext.job ORDER BY job_id DESC LIMIT 1', 't', 20) or last;
	$m->attempt($db, "SELECT migration_pause($run)");
	$m->until_true('it is paused or has ended', sub { $m->sql($db, "SELECT state FROM migration_runs() WHERE run_id = $run") =~ /paused|succeeded/ });
	last if $m->sql($db, "SELECT state FROM migration_runs() WHERE run_id = $run") ne 'paused';
	$pauses++ if $m->sql($db, 'SELECT window_part > 0 FROM migration_ext.job ORDER BY job_id DESC LIMIT 1') eq 't';
	is($m->sql($db, 'SELECT count(*) FROM middle WHERE n - base NOT IN (0, 1)'), '0', 'paused: no row twice');
	$m->sql($db, "SELECT migration_resume($run)");
}
cmp_ok($pauses, '>', 0, 'paused in the middle of a window');
is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', 'middle: ends');
is($m->sql($db, 'SELECT count(*) FROM middle WHERE n - base <> CASE WHEN id IN (20007, 40011) THEN 0 ELSE 1 END'), '0', 'middle: each row once, but those that fail');
is($m->sql($db, q{SELECT string_agg(key[1], ',' ORDER BY key[1]) FROM migration_ext.quarantine}), '20007,40011', 'middle: these are set aside');

# ---- somebody has a snapshot: it goes on, and says who that is ----
table('held', 'g::bigint', 'g');
my $holder = $m->session($db);
$holder->run('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM held');
my $waiting = $m->session($db);
$waiting->run(q{SELECT migration_register('held1', 'held', NULL, 'UPDATE held SET n = n + 1', 'irreversible')});
my $r = $waiting->run('SELECT migration_upgrade()');
like($r->{err}, qr/old row versions cannot be pruned.*\n.*Held back by process \d+ of/s, 'held: who holds the horizon is said');
like($m->sql($db, q{SELECT concat_ws(' ', message, detail) FROM migration_log() WHERE event = 'note' ORDER BY event_id DESC LIMIT 1}),
	qr/old row versions cannot be pruned.*Held back by process \d+ of/, 'held: and kept in the log');
is($m->sql($db, 'SELECT count(*) FROM held WHERE n - base <> 1'), '0', 'held: each row once');
$holder->run('COMMIT');
$_->close for $holder, $waiting;
unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process died');
$m->node->stop;
done_testing();
