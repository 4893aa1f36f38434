# F21: no worker slot: max_worker_processes = 0, or all of them taken.
#
# A caller that would wait gets 53000 at once and a way out that works; a queued run stays queued with a WARNING and can
# be resumed when there is a slot.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('slots', conf => "max_worker_processes = 1\nmax_logical_replication_workers = 0");
$m->seed('seed');
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');
# The plain forms leave other names behind (indexes of partitions), so they have an undisturbed run of their own.
$m->copy_database('seed', 'offline');
$m->sql('offline', 'SELECT migration_upgrade(online => false)');

# The only slot works in another database, held up by a snapshot.
$m->copy_database('seed', 'busy');
$m->copy_database('seed', 'work');
my $other = $m->session('busy');
$other->run('BEGIN ISOLATION LEVEL REPEATABLE READ');
$other->run('SELECT count(*) FROM pg_class');
my $busy = $m->session('busy');
$busy->send('SELECT migration_upgrade()');
$m->worker_pid('busy');

my $r = $m->attempt('work', 'SELECT migration_upgrade()');
is($r->{state}, '53000', 'all taken: 53000') or diag($r->{err});
like($r->{hint}, qr/max_worker_processes/, 'with the setting in the hint');
is($m->sql('work', 'SELECT count(*) FROM migration_runs()'), '0', 'no run is left behind');
$m->oracle('work', 'nothing has happened', probes => \%Migration::probes);
$r = $m->attempt('work', 'SELECT migration_upgrade(wait => false)');
ok($r->{ok}, 'a run can be queued');
like($r->{err}, qr/WARNING:  53000: .*stays queued/, 'with a warning that it stays queued') or diag($r->{err});
is($m->state('work'), 'queued', 'it is queued');
$r = $m->attempt('work', 'SELECT migration_resume()');
like($r->{err}, qr/WARNING:  53000/, 'still no slot');
$other->run('ROLLBACK');
ok($busy->result->{ok}, 'the other run ends');
$m->until_sql('busy', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'", '0');
$r = $m->resume('work');
is($r->{out}, 'succeeded', 'then the queued run can be resumed') or diag($r->{err});
$m->oracle('work', 'all is well', like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
$_->close for $other, $busy;

# No workers at all.
$m->drop_database('work');
$m->copy_database('seed', 'work');
$m->sql('postgres', 'ALTER SYSTEM SET max_worker_processes = 0');
$m->node->restart;
for my $call ('migration_upgrade()', 'migration_upgrade(wait => false)')
{
	$r = $m->attempt('work', "SELECT $call");
	is($r->{state}, '53000', "switched off: $call gives 53000") or diag($r->{err});
	like($r->{hint}, qr/online => false/, 'and offers to run in the session');
}
my ($hint) = $r->{hint} =~ /(SELECT [^;]*;)/;
$r = $m->attempt('work', $hint // 'no hint');
ok($r->{ok}, 'which works') or diag($r->{err});
is($m->applied('work'), 'b1,b2,b3,b4,b5', 'all applied');
$m->oracle('work', 'all is well', like => 'offline', probes => \%Migration::probes, rows => $Migration::rows);
$m->node->stop;
done_testing();
