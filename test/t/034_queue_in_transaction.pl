# F24: wait => false queues transactionally: the run starts at COMMIT, ROLLBACK takes it back.
#
# Also in a subtransaction that is rolled back, and under two-phase commit: the server refuses PREPARE after a NOTIFY; with
# migration_ext.notify off it is possible, and then nobody starts a worker at COMMIT PREPARED: the run stays queued, and
# status says how to start it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('queued');
$m->seed('seed');
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');
$m->copy_database('seed', 'work');

sub workers_started { return $m->sql('work', "SELECT count(*) FROM migration_log() WHERE event = 'started'"); }

my $s = $m->session('work');
$s->run('BEGIN');
my $r = $s->run('SELECT migration_upgrade(wait => false)');
like($r->{out}, qr/^\d+$/, 'the run has an id at once') or diag($r->{err});
is($m->sql('work', 'SELECT count(*) FROM migration_runs()'), '0', 'nobody else sees it yet');
is($m->sql('work', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'"), '0', 'and no worker has started');
$s->run('ROLLBACK');
is($m->sql('work', 'SELECT count(*) FROM migration_runs()'), '0', 'ROLLBACK takes it back');
is(workers_started(), '0', 'and nothing ran');

$s->run('BEGIN');
$s->run('SAVEPOINT a');
ok($s->run('SELECT migration_upgrade(wait => false)')->{ok}, 'queued in a subtransaction');
$s->run('ROLLBACK TO a');
ok($s->run('COMMIT')->{ok}, 'which is rolled back');
is($m->sql('work', 'SELECT count(*) FROM migration_runs()'), '0', 'no run');
is($m->state('work'), 'unstamped', 'and nothing to do about it');
$m->oracle('work', 'nothing has happened', probes => \%Migration::probes);

# A client that dies before COMMIT.
my $dying = $m->session('work');
$dying->run('BEGIN');
$dying->run('SELECT migration_upgrade(wait => false)');
$m->sql('work', 'SELECT pg_terminate_backend(' . $dying->pid . ')');
$dying->kill_client;
$m->until_sql('work', 'SELECT count(*) FROM pg_stat_activity WHERE pid = ' . $dying->pid, '0');
is($m->sql('work', 'SELECT count(*) FROM migration_runs()'), '0', 'a client that dies before COMMIT leaves no run');

$s->run('BEGIN');
$s->run('SELECT migration_upgrade(wait => false)');
is($s->run("PREPARE TRANSACTION 'queued'")->{state}, '0A000', 'PREPARE is refused by the server, because of NOTIFY');
is($m->sql('work', 'SELECT count(*) FROM migration_runs()'), '0', 'and no run is left');
$s->run('SET migration_ext.notify = off');
$s->run('BEGIN');
$s->run('SELECT migration_upgrade(wait => false)');
ok($s->run("PREPARE TRANSACTION 'queued'")->{ok}, 'queued in a prepared transaction');
$s->run("COMMIT PREPARED 'queued'");
is($m->state('work'), 'queued', 'stays queued');
like($m->sql('work', 'SELECT hint FROM migration_status()'), qr/migration_resume/, 'and status says how to start it');
is($m->resume('work')->{out}, 'succeeded', 'which works');
$m->oracle('work', 'all is well', like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
$s->close;

# And the usual case.
$m->copy_database('seed', 'usual');
$s = $m->session('usual');
$s->run('BEGIN');
$s->run('SELECT migration_upgrade(wait => false)');
ok($s->run('COMMIT')->{ok}, 'COMMIT');
ok($m->until_state('usual', 'up to date'), 'starts it');
$s->close;
$m->oracle('usual', 'all is well', like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
$m->node->stop;
done_testing();
