# F2, F5, F6, F7, F8: the server goes down (immediate stop, fast stop, SIGKILL of the postmaster) in the middle of a
# backfill batch and in the wait phase of CREATE INDEX CONCURRENTLY.
#
# Where it is when it goes down is made sure of by a lock that another session holds: on a row of the batch, or a snapshot
# older than the index. Rows and cursor commit together, so no row may be changed twice or never.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('stops');
$m->seed('seed', 5000);
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');

my %stop = (
	immediate => sub { $m->node->stop('immediate'); $m->node->start; },
	fast => sub { $m->node->stop('fast'); $m->node->start; },
	'kill -9 postmaster' => sub { $m->node->kill9; $m->start_after_kill; });

for my $how (sort keys %stop)
{
	for my $where ('batch', 'index')
	{
		$m->copy_database('seed', 'work');
		$m->sql('work', "SELECT migration_upgrade('b1')");
		# Small batches, so that some are done when the blocked row is reached.
		$m->sql('postgres', 'ALTER DATABASE work SET migration_ext.batch_target = 1');
		my $other = $m->session('work');
		if ($where eq 'batch')
		{
			$other->run('BEGIN');
			$other->run('SELECT FROM item WHERE id = 4500 FOR UPDATE');
		}
		else
		{
			$other->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
			$other->run('SELECT count(*) FROM pg_class');
		}
		my $client = $m->session('work');
		$client->send('SELECT migration_upgrade()');
		if ($where eq 'batch')
		{
			ok($m->until_sql('work', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'", 't'), "$how, $where: the worker is in the batch");
			my $done = $m->sql('work', 'SELECT rows_done FROM migration_progress()');
			cmp_ok($done, '>', 0, "$how, $where: batches before it are done");
		}
		else
		{
			ok($m->until_sql('work', "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'", 't'), "$how, $where: the index waits");
		}
		$stop{$how}->();
		$_->close for $other, $client;
		is($m->state('work'), 'interrupted', "$how, $where: interrupted");
		if ($where eq 'batch')
		{
			is($m->sql('work', 'SELECT count(*) FROM item WHERE n = 1'), $m->sql('work', 'SELECT rows_done FROM migration_ext.job'),
				"$how, $where: the ledger counts the rows that are changed");
		}
		else
		{
			like($m->invalid_indexes('work'), qr/item_n invalid/, "$how, $where: it leaves an INVALID index");
			is($m->sql('work', "SELECT count(*) FROM migration_check() WHERE object ~ 'item_n'"), '1', "$how, $where: migration_check names it");
		}
		my $r = $m->resume('work');
		is($r->{out}, 'succeeded', "$how, $where: resumed") or diag($r->{err});
		$m->oracle('work', "$how, $where: all is well", like => 'undisturbed', probes => \%Migration::probes,
			rows => 'SELECT (SELECT count(*) FROM item WHERE n <> 1) + (SELECT count(*) FROM part WHERE v <> 1)');
		$m->drop_database('work');
	}
}
$m->node->stop;
done_testing();
