# F41: a copy by pg_basebackup, taken in the middle of a run and started beside the original.
#
# It has the identity of its origin, so nothing in it can tell that it is a copy. migration_ext.enabled = off in its
# configuration keeps it still: the launcher resumes nothing there, every way to start a run is refused with the way out,
# looking works. Switched on again it goes on like the original after a crash; the original never notices.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('original', streaming => 1, preload => 1);
$m->seed('work', 3000);
$m->copy_database('work', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');
$m->sql('work', "SELECT migration_upgrade('b1')");
$m->sql('postgres', 'ALTER DATABASE work SET migration_ext.batch_target = 1');
my $other = $m->session('work');
$other->run('BEGIN');
$other->run('SELECT FROM item WHERE id = 2500 FOR UPDATE');
$m->sql('work', 'SELECT migration_upgrade(wait => false)');
$m->until_sql('work', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'", 't');
$m->node->backup('copy');
my $run = $m->sql('work', 'SELECT max(run_id) FROM migration_runs()');

my $node = PostgreSQL::Test::Cluster->new('beside');
$node->init_from_backup($m->node, 'copy');
$node->append_conf('postgresql.conf', "migration_ext.enabled = off\n");
$node->start;
my $copy = bless { node => $node, preload => 1, dumps => {} }, 'Migration';
my $identity = 'SELECT system_identifier FROM pg_control_system()';
is($copy->sql('work', $identity), $m->sql('work', $identity), 'the copy has the identity of its origin');
ok($copy->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext launcher' AND state = 'idle'", '1'), 'off: the launcher has looked');
is($copy->sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'"), '0', 'off: nothing has started');
is($copy->state('work'), 'interrupted', 'off: the run is interrupted');
for my $call ('migration_upgrade()', 'migration_upgrade(wait => false)', 'migration_upgrade(online => false)',
	"migration_downgrade('base')", 'migration_resume()', "migration_resume($run)")
{
	my $r = $copy->attempt('work', "SELECT $call");
	is($r->{state}, '55000', "off: $call is refused") or diag($r->{err});
	is($r->{hint}, 'ALTER SYSTEM SET migration_ext.enabled = on;', 'with the way out');
}
is($copy->sql('work', "SELECT state FROM migration_runs() WHERE run_id = $run"), 'interrupted', 'off: nobody has touched the run');

# The original goes on.
is($m->state('work'), 'running', 'the original still runs');
$other->close;
ok($m->until_state('work', 'up to date'), 'and gets to its end');
$m->oracle('work', 'original: all is well', like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);

# Switched on by the hint.
$copy->sql('work', 'ALTER SYSTEM SET migration_ext.enabled = on');
$copy->sql('work', 'SELECT pg_reload_conf()');
$copy->until_sql('work', 'SHOW migration_ext.enabled', 'on');
is($copy->resume('work')->{out}, 'succeeded', 'on: it goes on from where it was copied');
$copy->oracle('work', 'copy: all is well', like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
$node->stop;
$m->node->stop;
done_testing();
