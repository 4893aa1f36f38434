# F39: a dump taken in the middle of a run, restored elsewhere.
#
# The ledger goes with the data: history is kept, the unfinished run is 'orphaned' and never starts by itself, also not
# with the launcher; a person decides. Of a schema-only dump nothing is known: 'unstamped'. A clone of the database in the
# same cluster (CREATE DATABASE TEMPLATE) is another database too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;
use PostgreSQL::Test::Utils;

my $m = Migration->new('origin');
$m->seed('seed', 3000);
$m->copy_database('seed', 'undisturbed');
$m->sql('undisturbed', 'SELECT migration_upgrade()');
$m->copy_database('seed', 'work');
$m->sql('work', "SELECT migration_upgrade('b1')");
$m->sql('postgres', 'ALTER DATABASE work SET migration_ext.batch_target = 1');
my $other = $m->session('work');
$other->run('BEGIN');
$other->run('SELECT FROM item WHERE id = 2500 FOR UPDATE');
$m->sql('work', 'SELECT migration_upgrade(wait => false)');
$m->until_sql('work', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'", 't');

my $dir = PostgreSQL::Test::Utils::tempdir();
$m->node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/all", '-d', $m->conninfo('work') ], 'dump in the middle of a run');
$m->node->command_ok([ 'pg_dump', '-s', '-f', "$dir/schema", '-d', $m->conninfo('work') ], 'schema-only dump');
my $run = $m->sql('work', 'SELECT run_id FROM migration_status()');
$other->run('ROLLBACK');
$m->until_state('work', 'up to date');
$other->close;

my $new = Migration->new('elsewhere', preload => 1, bare => 1);
$new->sql('postgres', 'CREATE DATABASE seen');
$new->sql('postgres', 'CREATE DATABASE bare');
$new->node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->conninfo('seen'), "$dir/all" ], 'restore');
$new->node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $new->conninfo('bare'), '-f', "$dir/schema" ], 'restore of the schema');

is($new->state('bare'), 'unstamped', 'schema only: unstamped');
is($new->sql('bare', 'SELECT count(*) FROM migration_runs()'), '0', 'schema only: no run');
is($new->state('seen'), 'orphaned', 'whole dump: the run is orphaned');
is($new->applied('seen'), 'b1', 'whole dump: history is kept');
is($new->sql('seen', 'SELECT count(*) FROM item WHERE n = 1'), $new->sql('seen', 'SELECT rows_done FROM migration_ext.job'), 'whole dump: cursor and rows belong together');

# Neither a restart with the launcher nor a resume without its number starts it.
my $epoch = $new->sql('seen', 'SELECT max(owner_epoch) FROM migration_ext.run');
$new->node->restart;
# Idle: it has started a look into every database; then those looks have ended.
ok($new->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext launcher' AND state = 'idle'", '1'), 'launcher: has looked');
$new->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'", '0');
is($new->state('seen'), 'orphaned', 'launcher: still orphaned');
my $r = $new->attempt('seen', 'SELECT migration_resume()');
ok(!$r->{ok}, 'resume without a number is refused');
like($r->{hint}, qr/migration_resume\($run\)/, 'and says how') or diag($r->{err});
is($new->sql('seen', "SELECT owner_epoch FROM migration_ext.run WHERE run_id = $run"), $epoch, 'nobody has taken it') or diag($r->{err});
# By its number it goes on, from the batch it had come to.
$r = $new->attempt('seen', "SELECT migration_resume($run); SELECT migration_wait($run)");
ok($r->{ok}, 'by its number it goes on') or diag($r->{err});
is($new->state('seen'), 'up to date', 'to the end');
$new->{dumps}{undisturbed} = $m->fingerprint('undisturbed');
$new->oracle('seen', 'all is well', like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);

$new->node->stop;

# A clone in the same cluster.
$m->copy_database('seed', 'paused');
$m->sql('paused', "BEGIN; SELECT migration_upgrade(wait => false); SELECT migration_pause(); COMMIT");
$m->until_sql('paused', "SELECT state FROM migration_runs() LIMIT 1", 'paused');
$m->until_sql('paused', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'paused' AND backend_type LIKE 'migration_ext%'", '0');
$m->copy_database('paused', 'clone');
is($m->state('clone'), 'orphaned', 'clone in the same cluster: orphaned');
is($m->state('paused'), 'paused', 'the original is not');
$m->node->stop;
done_testing();
