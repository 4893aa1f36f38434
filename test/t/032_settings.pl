# F17, F18, F19, F20, F38: settings of role and database that would stop a migration do not reach the worker.
#
# statement_timeout, lock_timeout, idle timeouts, transaction_timeout (17+), default isolation SERIALIZABLE and
# default_transaction_read_only are for the application. The session that waits has its own: there statement_timeout ends
# the wait, and the run goes on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('settings');
$m->seed('seed');
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');

my @hostile = ([ statement_timeout => '200ms' ], [ lock_timeout => '1ms' ], [ idle_in_transaction_session_timeout => '1ms' ],
	[ idle_session_timeout => '100ms' ], [ default_transaction_isolation => 'serializable' ],
	[ default_transaction_read_only => 'on' ], [ default_transaction_deferrable => 'on' ],
	[ search_path => 'nowhere' ], [ session_replication_role => 'replica' ]);
push @hostile, [ transaction_timeout => '200ms' ] if $ENV{PG_MAJOR} && $ENV{PG_MAJOR} >= 17;
my $mild = join ' ', map { "-c $_" } 'statement_timeout=0', 'lock_timeout=0', 'idle_in_transaction_session_timeout=0',
	'idle_session_timeout=0', 'default_transaction_isolation=read\\ committed', 'default_transaction_read_only=off', 'search_path=public',
	'session_replication_role=origin', ($ENV{PG_MAJOR} && $ENV{PG_MAJOR} >= 17 ? 'transaction_timeout=0' : ());

for my $where ('database', 'role')
{
	$m->copy_database('seed', 'work');
	my $target = $where eq 'database' ? 'DATABASE work' : 'ROLE postgres IN DATABASE work';
	# Something for the statement to wait for, longer than the timeouts.
	my $other = $m->session('work');
	$m->sql('postgres', "ALTER $target SET $_->[0] = '$_->[1]'") for @hostile;
	$other->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$other->run('SELECT count(*) FROM pg_class');
	my $client = $m->session('work', options => $mild);
	$client->send('SELECT migration_upgrade()');
	ok($m->until_true('the index has waited for two seconds', sub {
		my $r = $m->attempt('work', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND clock_timestamp() - query_start > interval '2 seconds' AND wait_event = 'virtualxid'", options => $mild);
		return $r->{out} eq 't'; }, 20), "$where: no timeout ends the index");
	$other->run('ROLLBACK');
	my $r = $client->result;
	ok($r->{ok}, "$where: the run ends well") or diag($r->{err});
	$_->close for $other, $client;
	$m->sql('postgres', "ALTER $target RESET ALL");
	$m->oracle('work', "$where: all is well", like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
	$m->drop_database('work');
}

# The waiting session's own statement_timeout and idle_in_transaction_session_timeout.
$m->copy_database('seed', 'work');
my $other = $m->session('work');
$other->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
$other->run('SELECT count(*) FROM pg_class');
my $client = $m->session('work');
$client->run("SET statement_timeout = '1500ms'");
my $r = $client->run('SELECT migration_upgrade()');
is($r->{state}, '57014', 'statement_timeout ends the wait of its session');
is($m->state('work'), 'running', 'but not the run');
$client->run('RESET statement_timeout');
$r = $client->run("SELECT migration_wait(timeout => '200 ms')");
is($r->{state}, '57014', 'so does the timeout of migration_wait');
like($r->{hint}, qr/migration_wait/, 'which says how to go on waiting');
$other->run('ROLLBACK');
$r = $client->run('SELECT migration_wait()');
is($r->{out}, 'succeeded', 'the run ends well') or diag($r->{err});
$_->close for $other, $client;
$m->oracle('work', 'all is well', like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
$m->node->stop;
done_testing();
