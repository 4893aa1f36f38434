# F11: the disk of the write-ahead log becomes full in the middle of a backfill.
#
# A backfill makes the files of its log before it needs them, so that its own hunger ends it with an error while the server
# goes on. What others write can still fill the disk: then the server itself gives up (PANIC), and cannot come back before
# there is room. What was committed stays; the run is paused or, as after any crash, interrupted, and goes on when somebody
# says so. Both cursors, as in 056.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use OwnDisk '48m';
use Migration;
use Test::More;

my $disk = $OwnDisk::disk;
my $m = Migration->new('wal', initdb => [ "--waldir=$disk/wal", '--wal-segsize=1' ],
	conf => "min_wal_size = '2MB'\nmax_wal_size = '1GB'\nwal_recycle = off\ncheckpoint_timeout = '1h'\nfsync = on\nrecovery_init_sync_method = syncfs");

my %jobs = (
	count => { call => q{migration_backfill('work', 'n = n + 1')}, done => 'n <> base',
		wrong => 'SELECT count(*) FROM work WHERE n <> base + 1', never => 'n NOT IN (base, base + 1)' },
	fill => { call => q{migration_backfill('work', 'c = ''f'' || id', 'c IS NULL')}, done => 'c IS NOT NULL',
		wrong => q{SELECT count(*) FROM work WHERE c IS DISTINCT FROM 'f' || id OR n <> base}, never => q{c <> 'f' || id} });

for my $case (map { ([ $_, 'its own' ], [ $_, 'that of others' ]) } sort keys %jobs)
{
	my ($job, $whose) = @$case;
	$m->drop_database('work');
	$m->new_database('work');
	$m->sql('work', <<"S");
CREATE TABLE work (id int PRIMARY KEY, base int NOT NULL, n int NOT NULL, c text, filler text NOT NULL);
INSERT INTO work SELECT i, i % 7, i % 7, NULL, repeat('x', 150) FROM generate_series(1, 40000) i;
CREATE INDEX ON work (n, c);
CHECKPOINT;
S
	my $log = $m->node->logfile;
	my $ballast;
	if ($whose eq 'its own')
	{
		my $born = $m->sql('work', 'SELECT pg_postmaster_start_time()');
		# Every page changed for the first time goes into the log in full: more than is left.
		$ballast = OwnDisk::fill_disk($disk, 4_000_000);
		$m->attempt('work', "SET migration_ext.batch_target = '5ms'; SELECT $jobs{$job}{call}");
		my $state = '';
		ok($m->until_true('the run ends', sub { $state = $m->state('work'); return $state !~ /^(queued|running)$/; }, 90), "$job: without room for its log, the run comes to an end");
		is($state, 'paused', "$job: it is paused");
		is($m->sql('work', 'SELECT sqlstate FROM migration_runs() ORDER BY run_id DESC LIMIT 1'), '53100', "$job: and says why");
		is($m->sql('work', 'SELECT pg_postmaster_start_time()'), $born, "$job: the server goes on");
		unlike(PostgreSQL::Test::Utils::slurp_file($log), qr/PANIC|terminated by signal/, "$job: no session was ended");
		unlink $ballast or die $!;
	}
	else
	{
		# Until it is under way; then somebody else takes what is left. It does not get further than a row that is held.
		my $holder = $m->session('work');
		$holder->run('BEGIN; SELECT FROM work WHERE id = 20000 FOR UPDATE');
		$m->attempt('work', "SET migration_ext.batch_target = '5ms'; SELECT $jobs{$job}{call}");
		$m->until_true('some batches are done', sub { return $m->sql('work', 'SELECT coalesce(max(rows_done), 0) FROM migration_ext.job') > 2000; }, 90);
		$m->attempt('work', 'SELECT migration_pause((SELECT max(run_id) FROM migration_runs()))');
		$m->until_true('the run rests', sub { return $m->state('work') eq 'paused'; }, 90);
		$ballast = OwnDisk::fill_disk($disk, 1_500_000);
		$m->attempt('work', 'SELECT migration_resume((SELECT max(run_id) FROM migration_runs()))');
		$m->attempt('work', q{SELECT pg_logical_emit_message(false, 'full', repeat('x', 1000000)) FROM generate_series(1, 60)});
		ok($m->until_true('the server gives up', sub { return PostgreSQL::Test::Utils::slurp_file($log) =~ /PANIC:.*No space left on device/; }, 90),
			"$job: without room for anybody's log, the server gives up");
		$holder->kill_client;
		unlink $ballast or die $!;
		# It comes back by itself when the room came in time; when it gave up while it recovered, an administrator starts it.
		# (Never stopped while it recovers: it would not end.)
		my $data = $m->node->data_dir;
		ok($m->until_true('the server is up', sub {
			return 1 if $m->attempt('postgres', 'SELECT 1')->{ok};
			return 0 if -e "$data/postmaster.pid";
			$m->node->stop('immediate', fail_ok => 1);
			return $m->node->start(fail_ok => 1); }, 90), "$job: with room, it comes back");
		$m->until_up;
		like($m->state('work'), qr/^(interrupted|paused|queued)$/, "$job: the run is interrupted");
	}
	my $done = $m->sql('work', "SELECT count(*) FROM work WHERE $jobs{$job}{done}");
	cmp_ok($done, '>', 0, "$job: some batches were done");
	cmp_ok($done, '<', 40000, "$job: and most not");
	is($done, $m->sql('work', 'SELECT rows_done FROM migration_ext.job'), "$job: as the ledger says");
	is($m->sql('work', "SELECT count(*) FROM work WHERE $jobs{$job}{never}"), '0', "$job: none of them twice");
	my $end = $m->resume('work');
	is($end->{out}, 'succeeded', "$job: it goes on to its end") or diag($end->{err});
	$m->oracle('work', "$job: each row exactly once, nothing left behind", rows => $jobs{$job}{wrong});
	# For the next: a log that says nothing yet.
	$m->node->rotate_logfile;
	$m->node->restart;
}
$m->node->stop;
done_testing();
