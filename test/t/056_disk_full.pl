# F10: the disk of a table becomes full in the middle of a backfill.
#
# The batch that finds no room is rolled back with its cursor, the run pauses and says what is missing and what to type
# when there is room again; a call before that pauses anew, as often as one likes, and loses nothing. Two places for the
# ledger: on another disk, and on the full one, where it may be impossible to write down that the run has paused. Both
# cursors, with one worker and with two: n = n + 1 by key, where a batch lost or repeated shows, and a fill by blocks.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use OwnDisk '64m';
use Migration;
use Test::More;

my $disk = $OwnDisk::disk;
my $m = Migration->new('disk');
mkdir "$disk/space" or die $!;
$m->sql('postgres', "CREATE TABLESPACE small LOCATION '$disk/space'");

my %jobs = (
	count => { call => q{migration_backfill('work', 'n = n + 1')}, done => 'n <> base',
		wrong => 'SELECT count(*) FROM work WHERE n <> base + 1', never => 'n NOT IN (base, base + 1)' },
	fill => { call => q{migration_backfill('work', 'c = ''f'' || id', 'c IS NULL')}, done => 'c IS NOT NULL',
		wrong => q{SELECT count(*) FROM work WHERE c IS DISTINCT FROM 'f' || id OR n <> base}, never => q{c <> 'f' || id} });
for my $job (sort keys %jobs)
{
	my $call = $jobs{$job}{call} =~ s/\)$/($job eq 'count' ? ', NULL' : '') . q{, '{"workers": 2}')}/er;
	$jobs{"$job, two workers"} = { %{ $jobs{$job} }, call => $call };
}
# What the ledger says is done: of the job, and of the ranges that its workers have in hand.
my $ledger = q{SELECT rows_done + coalesce((SELECT sum(r.rows_done) FROM migration_ext.range r WHERE r.job_id = j.job_id), 0) FROM migration_ext.job j};

for my $place ('other disk', 'full disk')
{
	for my $job (sort keys %jobs)
	{
		my ($name, $db) = ("ledger on $place, $job", 'work');
		$m->drop_database($db);
		$m->sql('postgres', "CREATE DATABASE $db" . ($place eq 'full disk' ? ' TABLESPACE small' : ''));
		# The columns that are set have an index, so that no old place can be used again: the table has to grow.
		$m->sql($db, <<"S");
CREATE EXTENSION migration_ext;
CREATE TABLE work (id int PRIMARY KEY, base int NOT NULL, n int NOT NULL, c text, filler text NOT NULL) TABLESPACE small;
INSERT INTO work SELECT i, i % 7, i % 7, NULL, repeat('x', 150) FROM generate_series(1, 20000) i;
CREATE INDEX ON work (n, c) TABLESPACE small;
CHECKPOINT;
S
		my $ballast = OwnDisk::fill_disk($disk, 600_000);
		$m->sql($db, "SET migration_ext.batch_target = '5ms'; SELECT $jobs{$job}{call}");
		# Where the ledger has no room either, the process ends with the run as it was at its last commit.
		my $stopped = $place eq 'full disk' ? qr/^(paused 53100|interrupted )$/ : qr/^paused 53100$/;
		my $how = q{SELECT CASE WHEN r.state IN ('queued', 'running') THEN s.state ELSE r.state END || ' ' || coalesce(r.sqlstate, '')
FROM migration_runs() r, migration_status() s};
		my $state = '';
		my $stops = sub {
			$m->until_true('the run stops', sub {
				$state = $m->sql($db, $how);
				return $state !~ /^(queued|running)/ && $m->sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND backend_type LIKE 'migration_ext%'") eq '0'; }, 60);
			return $state; };
		like($stops->(), $stopped, "$name: the run stops");
		my $said = $m->sql($db, 'SELECT message FROM migration_runs()');
		if ($state =~ /^paused/)
		{
			like($said, qr/out of disk space: .*No space left on device/, "$name: and says why");
			is($m->sql($db, 'SELECT hint FROM migration_status()'), 'SELECT migration_resume(1);', "$name: and what to type");
			like($m->sql($db, q{SELECT detail FROM migration_log() WHERE event = 'paused'}), qr/Make room on that disk first/, "$name: the log has what to do first");
		}
		cmp_ok($m->sql($db, 'SELECT count(*) FROM migration_ext.range'), '>', 0, "$name: it was shared") if $job =~ /two workers/;
		my $done = $m->sql($db, "SELECT count(*) FROM work WHERE $jobs{$job}{done}");
		cmp_ok($done, '>', 0, "$name: some batches were done");
		cmp_ok($done, '<', 20000, "$name: and most not");
		is($done, $m->sql($db, $ledger), "$name: as the ledger says");
		is($m->sql($db, "SELECT count(*) FROM work WHERE $jobs{$job}{never}"), '0', "$name: none of them twice");
		is($m->leaks($db), '', "$name: nothing is held");

		# Not yet.
		for my $again (1 .. 3)
		{
			my $r = $m->attempt($db, 'SELECT migration_resume()');
			like($stops->(), $stopped, "$name: resumed too early, it stops again, time $again");
		}
		cmp_ok($m->sql($db, "SELECT count(*) FROM work WHERE $jobs{$job}{done}"), '>=', $done, "$name: nothing is lost by that");

		unlink $ballast or die $!;
		my $end = $m->resume($db);
		is($end->{out}, 'succeeded', "$name: with room, it goes on to its end") or diag($end->{err});
		$m->oracle($db, "$name: each row exactly once, nothing left behind", rows => $jobs{$job}{wrong});
	}
}
unlike(PostgreSQL::Test::Utils::slurp_file($m->node->logfile), qr/PANIC|TRAP|terminated by signal/, 'no process crashed');
$m->node->stop;
done_testing();
