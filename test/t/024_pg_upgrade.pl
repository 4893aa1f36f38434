# F40: pg_upgrade --link from an older major, with a queued and an interrupted run.
#
# The extension loads on the new major, ledger and history are what they were, and the runs are 'orphaned': the upgraded
# cluster has another identity, and nothing starts by itself there, also not with the launcher; the status says what to
# type. One run is cancelled and done anew, the other goes on where it was.
# Needs an older server with the extension in it: test/major.sh 17 brings the machine's own.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;
use PostgreSQL::Test::Utils;

plan skip_all => 'no older server here (make test-17 has one)' unless $ENV{MIGRATION_OLDER};
# Libraries of the older server that this system does not have; no program of this system wants them.
$ENV{LD_LIBRARY_PATH} = "$ENV{MIGRATION_OLDER}/older_lib";

# One slot for workers: while a run waits for a row, another one stays queued.
my $old = Migration->new('older', install_path => $ENV{MIGRATION_OLDER},
	conf => "max_worker_processes = 1\nmax_logical_replication_workers = 0");
my $version = $old->sql('postgres', 'SHOW server_version_num');
$old->seed('seed', 3000);
for my $db ('interrupted', 'queued', 'undisturbed')
{
	$old->copy_database('seed', $db);
}
$old->sql('undisturbed', 'SELECT migration_upgrade()');
$old->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'", '0');
$old->sql($_, "SELECT migration_upgrade('b1')") for 'interrupted', 'queued';
$old->sql('postgres', 'ALTER DATABASE interrupted SET migration_ext.batch_target = 1');
my $other = $old->session('interrupted');
$other->run('BEGIN');
$other->run('SELECT FROM item WHERE id = 2500 FOR UPDATE');
$old->sql('interrupted', 'SELECT migration_upgrade(wait => false)');
$old->until_sql('interrupted', "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'", 't');
$old->attempt('queued', 'SELECT migration_upgrade(wait => false)');
$old->node->stop('immediate');
$other->close;
$old->node->start;
is($old->state('interrupted'), 'interrupted', 'before: one run is interrupted');
is($old->state('queued'), 'queued', 'before: one run is queued');

# What must be the same afterwards: everything in the ledger, and what is shown of it (but for states of runs, and for
# estimates, which need statistics that pg_upgrade leaves behind).
my %ledger = (
	history => 'SELECT * FROM migration_history()', current => 'SELECT * FROM migration_current()',
	log => 'SELECT * FROM migration_log()', plan => 'SELECT step, revision, kind, statement, relation, lock_mode, transaction, note FROM migration_plan()',
	map { $_ => "SELECT * FROM migration_ext.$_ t ORDER BY t::text" } split /\n/,
	$old->sql('seed', q{SELECT relname FROM pg_class WHERE relnamespace = 'migration_ext'::regnamespace AND relkind = 'r' ORDER BY 1}));
my %before;
for my $db ('interrupted', 'queued', 'undisturbed')
{
	$before{"$db $_"} = $old->sql($db, $ledger{$_}) for keys %ledger;
}
cmp_ok(length $before{'interrupted history'}, '>', 100, 'before: there is a history');
my %run = map { $_ => $old->sql($_, 'SELECT max(run_id) FROM migration_runs()') } 'interrupted', 'queued';
$old->node->stop;

my $new = Migration->new('newer', preload => 1, bare => 1);
$new->node->stop;
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $newer_bin = $new->node->config_data('--bindir');
chdir $dir or die;
$new->node->command_ok([ 'pg_upgrade', '--link', '-d', $old->node->data_dir, '-D', $new->node->data_dir,
	'-b', "$ENV{MIGRATION_OLDER}/bin", '-B', $newer_bin, '-s', $dir, '-p', $old->node->port, '-P', $new->node->port ],
	'pg_upgrade --link') or system('grep -rhiE -A3 "error:|fatal:" ' . $new->node->data_dir . '/pg_upgrade_output.d >&2');
$new->node->start;
cmp_ok($new->sql('postgres', 'SHOW server_version_num') / 10000, '>', $version / 10000 + 1, "from $version to a later major");

# The launcher has looked into every database.
ok($new->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext launcher' AND state = 'idle'", '1'), 'launcher: has looked');
$new->until_sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor'", '0');
for my $db ('interrupted', 'queued', 'undisturbed')
{
	is($new->sql($db, $ledger{$_}), $before{"$db $_"}, "$db: $_ as before") for sort keys %ledger;
}
for my $db ('interrupted', 'queued')
{
	my ($state, $for, $hint) = split /\|/, $new->sql($db, 'SELECT state, waiting_for, hint FROM migration_status()');
	is($state, 'orphaned', "$db: the run is orphaned");
	like($for, qr/another cluster/, "$db: and why");
	like($hint, qr/migration_cancel\($run{$db}\).*migration_resume\($run{$db}\)/, "$db: and what to type");
	ok(!$new->attempt($db, 'SELECT migration_resume()')->{ok}, "$db: a resume without its number is refused");
}
is($new->state('undisturbed'), 'up to date', 'undisturbed: up to date');

# Decided one way, and the other.
my $r = $new->attempt('interrupted', "SELECT migration_resume($run{interrupted}); SELECT migration_wait($run{interrupted})");
ok($r->{ok}, 'interrupted: resumed by its number') or diag($r->{err});
$r = $new->attempt('queued', "SELECT migration_cancel($run{queued})");
ok($r->{ok}, 'queued: cancelled') or diag($r->{err});
$r = $new->attempt('queued', 'SELECT migration_upgrade()');
ok($r->{ok}, 'queued: a new run') or diag($r->{err});
for my $db ('interrupted', 'queued')
{
	is($new->state($db), 'up to date', "$db: to the end");
	$new->oracle($db, "$db: all is well", like => 'undisturbed', probes => \%Migration::probes, rows => $Migration::rows);
}
$new->node->stop;
done_testing();
