# F35, F36: a hot standby, and its promotion in the middle of a run.
#
# A standby refuses everything that writes, at once, with 25006: a worker that starts only after recovery would never
# come. Looking works there. After promotion the run is interrupted and goes on from its last committed batch.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('primary', streaming => 1);
$m->seed('seed', 3000);
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');
$m->node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($m->node, 'copy', has_streaming => 1);
$standby->start;
my $s = bless { node => $standby, dumps => {} }, 'Migration';
$m->node->wait_for_catchup($standby, 'replay', $m->node->lsn('insert'));

for my $call ("migration_register('z', 'm', NULL, 'SELECT 1')", "migration_unregister('b1')", 'migration_upgrade()',
	'migration_upgrade(wait => false)', 'migration_upgrade(online => false)', "migration_downgrade('base')",
	'migration_wait()', 'migration_resume()', 'migration_pause()', 'migration_cancel()', "migration_tune(NULL, '{}')", "migration_stamp('b1')",
	"migration_approve('b1')", "migration_backfill('item', 'n = 1', 'n = 0')", "migration_merge('m')")
{
	my $r = $s->attempt('seed', "SELECT $call", timeout => 30);
	is($r->{state}, '25006', "standby refuses $call") or diag($r->{err});
}
is($s->sql('seed', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'migration_ext%'"), '0', 'and starts no worker');
is($s->sql('seed', 'SELECT state || pending FROM migration_status()'), 'unstamped5', 'status works on a standby');
cmp_ok($s->sql('seed', 'SELECT count(*) FROM migration_history()'), '==', 5, 'history too');
is($s->sql('seed', 'SELECT count(*) FROM migration_current()'), '0', 'current too');

$m->sql('seed', "SELECT migration_upgrade('b1')");
# Hold the backfill at row 2500, after some batches.
$m->sql('postgres', 'ALTER DATABASE seed SET migration_ext.batch_target = 1');
my $other = $m->session('seed');
$other->run('BEGIN');
$other->run('SELECT FROM item WHERE id = 2500 FOR UPDATE');
my $client = $m->session('seed');
$client->send('SELECT migration_upgrade()');
$m->until_sql('seed', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'", 't');
$m->node->wait_for_catchup($standby, 'replay', $m->node->lsn('insert'));
is($s->state('seed'), 'running', 'the standby sees the run');
$m->node->stop('immediate');
$_->close for $other, $client;
$standby->promote;
$s->until_up;
is($s->state('seed'), 'interrupted', 'after promotion the run is interrupted');
my $done = $s->sql('seed', 'SELECT rows_done FROM migration_ext.job');
cmp_ok($done, '>', 0, 'some batches are done');
is($s->sql('seed', 'SELECT count(*) FROM item WHERE n = 1'), $done, 'as the ledger says');
is($s->resume('seed')->{out}, 'succeeded', 'the run resumes on the new primary');
$s->oracle('seed', 'all is well', like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
$standby->stop;
done_testing();
