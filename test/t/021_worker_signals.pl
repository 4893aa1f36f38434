# F3, F4, F23: pg_terminate_backend and pg_cancel_backend of the worker, and the client killed while it waits.
#
# Terminated: interrupted, resumable. Cancelled by a person: paused, never retried by itself, the INVALID index gone at
# once. A client that is gone changes nothing: the run goes on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('signals');
$m->seed('seed', 3000);
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');

# Blocks the run in the backfill batch or in the index's wait; gives the blocking and the waiting session.
sub blocked_run
{
	my ($where) = @_;
	$m->copy_database('seed', 'work');
	$m->sql('work', "SELECT migration_upgrade('b1')");
	my $other = $m->session('work');
	$other->run($where eq 'batch' ? 'BEGIN' : 'BEGIN ISOLATION LEVEL REPEATABLE READ');
	$other->run($where eq 'batch' ? 'SELECT FROM item WHERE id = 2500 FOR UPDATE' : 'SELECT count(*) FROM pg_class');
	my $client = $m->session('work');
	$client->send('SELECT migration_upgrade()');
	$m->until_sql('work', $where eq 'batch'
		? "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'"
		: "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'", 't');
	return ($other, $client, $m->worker_pid('work'));
}

for my $where ('batch', 'index')
{
	my ($other, $client, $pid) = blocked_run($where);
	$m->sql('work', "SELECT pg_terminate_backend($pid)");
	my $r = $client->result(30);
	is($r->{state}, 'MX011', "$where, terminated: the waiting client is told") or diag($r->{err});
	like($r->{hint}, qr/migration_resume/, "$where, terminated: and what to do");
	is($m->state('work'), 'interrupted', "$where, terminated: interrupted");
	$other->run('ROLLBACK');
	is($m->resume('work')->{out}, 'succeeded', "$where, terminated: resumed");
	$_->close for $other, $client;
	$m->oracle('work', "$where, terminated: all is well", like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
	$m->drop_database('work');

	($other, $client, $pid) = blocked_run($where);
	$m->sql('work', "SELECT pg_cancel_backend($pid)");
	# Dropping what is left of the index waits for nobody but its table's users.
	$r = $client->result(30);
	is($r->{state}, 'MX011', "$where, cancelled: the waiting client is told") or diag($r->{err});
	is($m->state('work'), 'paused', "$where, cancelled: paused");
	is($m->sql('work', 'SELECT sqlstate FROM migration_runs() LIMIT 1'), '57014', "$where, cancelled: as a cancel");
	is($m->invalid_indexes('work'), '', "$where, cancelled: no INVALID index is left");
	$other->run('ROLLBACK');
	is($m->resume('work')->{out}, 'succeeded', "$where, cancelled: resumed");
	$_->close for $other, $client;
	$m->oracle('work', "$where, cancelled: all is well", like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
	$m->drop_database('work');

	($other, $client, $pid) = blocked_run($where);
	my $backend = $client->pid;
	$client->kill_client;
	$m->sql('work', "SELECT pg_terminate_backend($backend)");
	is($m->state('work'), 'running', "$where, client killed: the run goes on");
	is($m->worker_pid('work'), $pid, "$where, client killed: in the same worker");
	$other->run('ROLLBACK');
	$other->close;
	ok($m->until_state('work', 'up to date'), "$where, client killed: and ends");
	$m->oracle('work', "$where, client killed: all is well", like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
	$m->drop_database('work');
}
$m->node->stop;
done_testing();
