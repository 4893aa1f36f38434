# Several workers on one table: ranges that never overlap, each row once, whatever becomes of one of them.
#
# The table is slow to change, so that there is something to look at. What is looked at: processes, ranges, rows. Then each
# way in which one of several can end: tuned away, paused, terminated, cancelled, failed by a row, cut off by a rewrite.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('workers', conf => "max_worker_processes = 8\nautovacuum = off");
my $rows = 4000;
my $at_work = q{SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = };
my $helpers = "$at_work 'migration_ext backfill worker'";
my $anybody = "$at_work 'migration_ext executor' OR datname = current_database() AND backend_type = 'migration_ext backfill worker'";
my $overlaps = q{SELECT count(*) FROM migration_ext.range a JOIN migration_ext.range b USING (job_id) WHERE a.range < b.range AND (a.leaf > 0 AND
 a.leaf = b.leaf AND a.next_block < b.end_block AND b.next_block < a.end_block OR a.leaf = 0 AND coalesce(a.next_key[1]::int, 0) < b.end_key[1]::int AND
 coalesce(b.next_key[1]::int, 0) < a.end_key[1]::int)};

sub make_table
{
	my ($db) = @_;
	$m->new_database($db);
	$m->sql($db, <<"S");
CREATE FUNCTION slow(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN IF x % 4 = 0 THEN PERFORM pg_sleep(0.004); END IF; RETURN x; END';
CREATE TABLE work (id int PRIMARY KEY, base int NOT NULL, n int NOT NULL, c int, filler text NOT NULL);
INSERT INTO work SELECT i, i % 7, i % 7, NULL, repeat('x', 300) FROM generate_series(1, $rows) i;
ANALYZE work;
S
	return;
}

my %fill = (
	blocks => { call => q{'c = slow(id)', 'c IS NULL'}, wrong => 'SELECT count(*) FROM work WHERE c IS DISTINCT FROM id' },
	keys   => { call => q{'n = n + 1 + 0 * slow(id)', NULL}, wrong => 'SELECT count(*) FROM work WHERE n - base <> 1' });

sub start
{
	my ($db, $kind, $options) = @_;
	return $m->sql($db, "SET migration_ext.batch_target = '10ms'; SELECT migration_backfill('work', $fill{$kind}{call}, '$options')");
}

sub exact { my ($db, $kind, $what) = @_; return is($m->sql($db, $fill{$kind}{wrong}), '0', $what); }

for my $kind (qw(blocks keys))
{
	# ---- three at work ----
	my $db = "three_$kind";
	make_table($db);
	my $run = start($db, $kind, '{"workers": 3}');
	ok($m->until_sql($db, $helpers, '2'), "$kind: two help the one that has the run");
	ok($m->until_sql($db, 'SELECT workers FROM migration_progress()', '3'), "$kind: progress says how many there are");
	my ($seen, $overlap, $most) = (0, 0, 0);
	$m->until_true('the run ends', sub {
		$overlap += $m->sql($db, $overlaps);
		my $open = $m->sql($db, 'SELECT count(*) FROM migration_ext.range WHERE worker IS NOT NULL');
		$most = $open if $open > $most;
		$seen++;
		return $m->sql($db, "SELECT state FROM migration_runs() WHERE run_id = $run") ne 'running';
	});
	is($m->sql($db, "SELECT state FROM migration_runs() WHERE run_id = $run"), 'succeeded', "$kind: ends");
	is($overlap, 0, "$kind: no two ranges overlapped, in $seen looks");
	cmp_ok($most, q{>=}, 3, "$kind: three ranges were in work at once, or two for each worker") or diag("$seen looks");
	exact($db, $kind, "$kind: each row once");
	is($m->sql($db, "SELECT rows_done, blocks_done = blocks_total OR cursor_kind = 'keyset' FROM migration_ext.job"), "$rows|t", "$kind: counts of all workers add up");
	is($m->sql($db, 'SELECT count(*) FROM migration_ext.range'), '0', "$kind: no range is left");
	is($m->sql($db, $helpers), '0', "$kind: nobody is left");

	# ---- more, fewer, while it runs ----
	$db = "tuned_$kind";
	make_table($db);
	$run = start($db, $kind, '{}');
	ok($m->until_sql($db, 'SELECT batches > 2 FROM migration_ext.job'), "$kind: one is at work");
	is($m->sql($db, $helpers), '0', "$kind: alone");
	$m->sql($db, "SELECT migration_tune($run, '{\"workers\": 4}')");
	ok($m->until_sql($db, $helpers, '3'), "$kind: tuned to four");
	$m->sql($db, "SELECT migration_tune($run, '{\"workers\": 2}')");
	ok($m->until_sql($db, $helpers, '1'), "$kind: tuned to two: two leave");

	# ---- pause: when it says so, nobody is at work ----
	$m->sql($db, "SELECT migration_pause($run)");
	ok($m->until_sql($db, 'SELECT state FROM migration_status()', 'paused'), "$kind: pauses");
	is($m->sql($db, $helpers), '0', "$kind: paused means that nobody is at work");
	my $done = $m->sql($db, 'SELECT (SELECT rows_done FROM migration_ext.job) + (SELECT coalesce(sum(rows_done), 0) FROM migration_ext.range)');
	is($m->sql($db, $kind eq 'keys' ? 'SELECT count(*) FROM work WHERE n <> base' : 'SELECT count(c) FROM work'), $done, "$kind: rows and ledger agree")
	  if $kind eq 'keys';
	$m->sql($db, "SELECT migration_resume($run)");
	ok($m->until_sql($db, $helpers, '1'), "$kind: resumed with two");

	# ---- one of them is terminated: the others take over, another comes ----
	my $victim = $m->sql($db, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'migration_ext backfill worker' LIMIT 1");
	$m->sql($db, "SELECT pg_terminate_backend($victim)");
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$kind: goes on without one that was terminated");
	exact($db, $kind, "$kind: each row once, after all that");

	# ---- the leader is terminated: the others do not go on without it ----
	$db = "leaderless_$kind";
	make_table($db);
	$run = start($db, $kind, '{"workers": 3}');
	ok($m->until_sql($db, $helpers, '2'), "$kind: three at work");
	$m->sql($db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'migration_ext executor'");
	ok($m->until_sql($db, $anybody, '0'), "$kind: without the leader all leave");
	is($m->sql($db, 'SELECT state FROM migration_status()'), 'interrupted', "$kind: interrupted");
	$m->sql($db, "SELECT migration_resume($run)");
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$kind: resumed");
	exact($db, $kind, "$kind: each row once");

	# ---- a cancelled statement of one of them pauses the run, as one of the leader does ----
	$db = "cancelled_$kind";
	make_table($db);
	$run = start($db, $kind, '{"workers": 2}');
	ok($m->until_sql($db, $helpers, '1'), "$kind: two at work");
	$m->until_true('its statement is cancelled', sub {
		$m->sql($db, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'migration_ext backfill worker'");
		return $m->sql($db, 'SELECT state FROM migration_status()') eq 'paused';
	});
	is($m->sql($db, 'SELECT state, sqlstate FROM migration_runs()'), 'paused|57014', "$kind: a cancel of one pauses the run");
	is($m->sql($db, $helpers), '0', "$kind: and nobody is at work");
	$m->sql($db, "SELECT migration_resume($run)");
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$kind: resumed");
	exact($db, $kind, "$kind: each row once");

	# ---- rows that fail, wherever they are ----
	$db = "bad_$kind";
	make_table($db);
	$m->sql($db, 'ALTER TABLE work ADD CONSTRAINT odd CHECK (id % 500 <> 7 OR c IS NULL AND n = base)');
	$run = start($db, $kind, '{"workers": 3}');
	ok($m->until_sql($db, 'SELECT state FROM migration_status()', 'paused'), "$kind: a row that fails pauses the run, whoever met it");
	like($m->sql($db, 'SELECT sqlstate || message FROM migration_runs()'), qr/^23514.*row (with key|at ctid)/s, "$kind: and is named");
	is($m->sql($db, $helpers), '0', "$kind: nobody is at work");
	$m->sql($db, "SELECT migration_tune($run, '{\"max_errors\": 7}'), migration_resume($run)");
	ok($m->until_sql($db, 'SELECT state FROM migration_status()', 'paused'), "$kind: of eight bad rows one is too many");
	is($m->sql($db, 'SELECT count(*) <= 7, count(*) = (SELECT quarantined FROM migration_ext.job) FROM migration_ext.quarantine'), 't|t',
		"$kind: no more were set aside than allowed, all workers together");
	$m->sql($db, "SELECT migration_tune($run, '{\"max_errors\": 8}'), migration_resume($run)");
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "$kind: eight are not");
	is($m->sql($db, 'SELECT count(*) FROM migration_quarantine()'), '8', "$kind: all eight are on the list");
	is($m->sql($db, $kind eq 'keys' ? 'SELECT count(*) FROM work WHERE n - base <> CASE WHEN id % 500 = 7 THEN 0 ELSE 1 END' :
		'SELECT count(*) FROM work WHERE c IS DISTINCT FROM CASE WHEN id % 500 <> 7 THEN id END'), '0', "$kind: the others are changed once");
}

# ---- a rewrite under several workers: the leaf is done again ----
make_table('rewritten');
my $run = start('rewritten', 'blocks', '{"workers": 3}');
ok($m->until_sql('rewritten', $helpers, '2'), 'rewrite: three at work');
ok($m->until_sql('rewritten', 'SELECT sum(blocks_done) > 20 FROM (SELECT blocks_done FROM migration_ext.job UNION ALL SELECT blocks_done FROM migration_ext.range) x'), 'rewrite: some is done');
$m->sql('rewritten', 'VACUUM FULL work');
is($m->sql('rewritten', "SELECT migration_wait($run)"), 'succeeded', 'rewrite: ends');
exact('rewritten', 'blocks', 'rewrite: no row is left out');
is($m->sql('rewritten', 'SELECT blocks_done <= blocks_total + 8, (SELECT count(*) FROM migration_ext.range) FROM migration_ext.job'), 't|0', 'rewrite: what was done before does not count twice');

# ---- partitions, empty ones among them ----
$m->new_database('parts');
$m->sql('parts', <<"S");
CREATE FUNCTION slow(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN IF x % 4 = 0 THEN PERFORM pg_sleep(0.002); END IF; RETURN x; END';
CREATE TABLE work (id int NOT NULL, base int NOT NULL, n int NOT NULL, c int, filler text NOT NULL) PARTITION BY LIST (base);
SELECT format('CREATE TABLE work_%s PARTITION OF work FOR VALUES IN (%s)', i, i) FROM generate_series(0, 9) i \\gexec
INSERT INTO work SELECT i, CASE WHEN i % 7 = 3 THEN 9 ELSE i % 7 END, i % 7, NULL, repeat('x', 300) FROM generate_series(1, $rows) i;
ANALYZE work;
S
$run = start('parts', 'blocks', '{"workers": 3}');
ok($m->until_sql('parts', $helpers, '2'), 'partitions: three at work');
$m->sql('parts', 'DROP TABLE work_5');
is($m->sql('parts', "SELECT migration_wait($run)"), 'succeeded', 'partitions: end, one having been dropped');
exact('parts', 'blocks', 'partitions: no row is left out');

# ---- a fill that looks as if it extinguished itself: all go on by key ----
make_table('again');
$run = $m->sql('again', q{SET migration_ext.batch_target = '10ms'; SELECT migration_backfill('work',
 'n = n + 1, c = CASE WHEN id < 2000 OR id % 50 <> 0 THEN slow(id) END', 'c IS NOT DISTINCT FROM NULL', '{"workers": 3}')});
is($m->sql('again', "SELECT migration_wait($run)"), 'succeeded', 'met again: ends');
is($m->sql('again', 'SELECT cursor_kind FROM migration_ext.job'), 'keyset', 'met again: by key in the end');
is($m->sql('again', 'SELECT count(*) FROM work WHERE n - base <> 1'), '0', 'met again: each row once');

# ---- no slot is free: it goes on with those that there are, and says so ----
make_table('slots');
$run = start('slots', 'blocks', '{"workers": 20}');
ok($m->until_sql('slots', q{SELECT count(*) FROM migration_log() WHERE event = 'workers' AND sqlstate = '53000' AND hint ~ 'max_worker_processes'}, '1'), 'slots: that there are too few is said once');
is($m->sql('slots', "SELECT migration_wait($run)"), 'succeeded', 'slots: ends all the same');
exact('slots', 'blocks', 'slots: each row once');

# ---- the job is dumped in the middle of it: a copy goes on where it was ----
make_table('source');
$run = start('source', 'keys', '{"workers": 3}');
ok($m->until_sql('source', 'SELECT count(*) >= 2 FROM migration_ext.range WHERE batches > 0'), 'copy: ranges are in work');
$m->sql('source', "SELECT migration_pause($run)");
ok($m->until_sql('source', 'SELECT state FROM migration_status()', 'paused'), 'copy: paused');
$m->copy_database('source', 'copied');
$m->sql('copied', "SELECT migration_resume($run)");
is($m->sql('copied', "SELECT migration_wait($run)"), 'succeeded', 'copy: goes on');
exact('copied', 'keys', 'copy: each row once');

# ---- the last look is shared, too: each process of a parallel scan counts as one ----
for my $workers (1, 2)
{
	my $db = "look_$workers";
	$m->new_database($db);
	$m->sql($db, q{CREATE TABLE work AS SELECT i AS id, NULL::int AS c, repeat('x', 100) AS filler FROM generate_series(1, 80000) i});
	$m->sql($db, 'VACUUM ANALYZE work');
	my $before = $m->sql($db, q{SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'work'});
	my $run = $m->sql($db, "SELECT migration_backfill('work', 'c = id', 'c IS NULL', '{\"workers\": $workers}')");
	is($m->sql($db, "SELECT migration_wait($run)"), 'succeeded', "look with $workers: ends");
	ok($m->until_sql($db, qq{SELECT seq_scan - $before FROM pg_stat_user_tables WHERE relname = 'work'}, $workers), "look with $workers: as many processes");
	is($m->sql($db, 'SELECT count(*) FROM work WHERE c IS DISTINCT FROM id'), '0', "look with $workers: all rows are right");
}

unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process died');
$m->node->stop;
done_testing();
