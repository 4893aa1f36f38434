# F36: a standby becomes the primary in the middle of backfills that nobody holds up.
#
# The old primary goes down at once while three backfills are at work: by key, by blocks, and by key with two workers. What
# the standby has of them is rows and cursor of the same batches. Nothing starts there by itself; resumed, each changes
# every row exactly once.
# (022 has a promotion in the middle of a migration, stopped at a known row.)
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;
use Time::HiRes qw(usleep);

my $m = Migration->new('primary', streaming => 1);
my %jobs = (
	count => { call => q{migration_backfill('work', 'n = n + 1 + 0 * braked(id)')}, done => 'n <> base', wrong => 'n <> base + 1', never => 'n NOT IN (base, base + 1)' },
	fill => { call => q{migration_backfill('work', 'c = ''f'' || braked(id)', 'c IS NULL')}, done => 'c IS NOT NULL',
		wrong => q{c IS DISTINCT FROM 'f' || id}, never => q{c <> 'f' || id} });
$jobs{shared} = { %{ $jobs{count} }, call => q{migration_backfill('work', 'n = n + 1 + 0 * braked(id)', NULL, '{"workers": 2}')} };
my $ledger = q{SELECT rows_done + coalesce((SELECT sum(r.rows_done) FROM migration_ext.range r WHERE r.job_id = j.job_id), 0) FROM migration_ext.job j};
for my $db (sort keys %jobs)
{
	$m->new_database($db);
	# Slow enough to be caught at work, whatever the machine, for as long as there is a row in brake.
	$m->sql($db, <<'S');
CREATE TABLE brake AS SELECT 1;
CREATE FUNCTION braked(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN IF EXISTS (SELECT FROM brake) THEN PERFORM pg_sleep(0.001); END IF; RETURN x; END';
CREATE TABLE work (id int PRIMARY KEY, base int NOT NULL, n int NOT NULL, c text, filler text NOT NULL);
INSERT INTO work SELECT i, i % 7, i % 7, NULL, repeat('x', 150) FROM generate_series(1, 30000) i;
S
}
$m->node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($m->node, 'copy', has_streaming => 1);
$standby->start;
my $s = bless { node => $standby, dumps => {} }, 'Migration';
$m->node->wait_for_catchup($standby, 'replay', $m->node->lsn('insert'));

$m->sql($_, qq{SET migration_ext.batch_target = '20ms'; SELECT $jobs{$_}{call}}) for sort keys %jobs;
for my $db (sort keys %jobs)
{
	ok($s->until_true("$db gets on", sub { return $s->sql($db, 'SELECT (SELECT coalesce(sum(batches), 0) FROM migration_ext.job) + (SELECT coalesce(sum(batches), 0) FROM migration_ext.range) > 5') eq 't' }, 60),
		"$db: the standby has some batches");
}
usleep(int(rand(300_000)));
$m->node->stop('immediate');
$standby->promote;
$s->until_up;
for my $db (sort keys %jobs)
{
	is($s->state($db), 'interrupted', "$db: interrupted on the new primary");
	is($s->sql($db, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'migration_ext%'}), '0', "$db: nothing starts by itself");
	my $done = $s->sql($db, "SELECT count(*) FROM work WHERE $jobs{$db}{done}");
	cmp_ok($done, '<', 30000, "$db: it was in the middle");
	is($done, $s->sql($db, $ledger), "$db: rows and ledger agree");
	is($s->sql($db, "SELECT count(*) FROM work WHERE $jobs{$db}{never}"), '0', "$db: none of them twice");
	$s->sql($db, 'TRUNCATE brake');
	is($s->resume($db)->{out}, 'succeeded', "$db: resumed, it goes on to its end");
	$s->oracle($db, "$db: each row exactly once, nothing left behind", rows => "SELECT count(*) FROM work WHERE $jobs{$db}{wrong}");
}
$standby->stop;
done_testing();
