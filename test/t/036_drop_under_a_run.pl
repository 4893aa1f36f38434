# F28, F32, F34: DROP TABLE, DROP EXTENSION and DROP DATABASE under a run.
#
# The table: the run fails with 42P01, no retry. The extension: the command waits for the batch
# or statement in hand, then takes the ledger with it, and the worker ends; the schema stays. The database: plain DROP is refused while the run works, WITH (FORCE) ends
# the worker. Never a crash of the server.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('drops');
$m->seed('seed', 3000);
my $started = $m->sql('postgres', 'SELECT pg_postmaster_start_time()');

sub in_batch
{
	my ($db) = @_;
	$m->copy_database('seed', $db);
	$m->sql($db, "SELECT migration_upgrade('b1')");
	$m->sql('postgres', "ALTER DATABASE $db SET migration_ext.batch_target = 1");
	my $other = $m->session($db);
	$other->run('BEGIN');
	$other->run('SELECT FROM item WHERE id = 2500 FOR UPDATE');
	$m->sql($db, 'SELECT migration_upgrade(wait => false)');
	$m->until_sql($db, "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND wait_event_type = 'Lock'", 't');
	return $other;
}

# F28: dropped by the session that holds the row, so that the next batch does not find it.
my $other = in_batch('t');
ok($other->run('DROP TABLE item')->{ok}, 'the table is dropped') or diag('?');
$other->run('COMMIT');
ok($m->until_state('t', 'failed'), 'table: the run fails');
is($m->sql('t', 'SELECT sqlstate FROM migration_runs() WHERE background LIMIT 1'), '42P01', 'table: with 42P01');
is($m->sql('t', "SELECT count(*) FROM migration_log() WHERE event = 'retry' AND sqlstate = '42P01'"), '0', 'table: without retries');
like($m->sql('t', 'SELECT hint FROM migration_status()'), qr/migration_/, 'table: status says what to do');
ok($m->attempt('t', 'SELECT migration_cancel()')->{ok}, 'table: the run can be cancelled');
$other->close;
$m->oracle('t', 'table: nothing left behind');

# F32.
$other = in_batch('e');
my $drop = $m->session('e');
$drop->send('DROP EXTENSION migration_ext');
ok($m->until_true('it waits or has ended', sub {
	return 1 if $drop->done;
	return $m->sql('e', 'SELECT wait_event_type FROM pg_stat_activity WHERE pid = ' . $drop->pid) eq 'Lock'; }), 'extension: DROP does not take the ledger from under the run');
ok(!$drop->done, 'extension: it waits for the batch') or diag($drop->result->{err});
$other->run('ROLLBACK');
ok($drop->result->{ok}, 'extension: and is done after it');
# Between two batches nothing is held: the run may have ended there, but no row is changed by half or twice.
is($m->sql('e', 'SELECT count(*) FILTER (WHERE n NOT IN (0, 1)), count(*) FILTER (WHERE n = 1) > 0 FROM item'), '0|t', 'extension: what was done is whole');
is($m->invalid_indexes('e'), '', 'extension: no INVALID index');
$_->close for $other, $drop;
$m->until_sql('e', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'e' AND backend_type LIKE 'migration_ext%'", '0');
is($m->leaks('e'), '', 'extension: nothing left behind');

# F34.
$other = in_batch('d');
$other->close;
$other = in_batch('d2');
my $r = $m->attempt('postgres', 'DROP DATABASE d2');
is($r->{state}, '55006', 'database: plain DROP is refused');
$r = $m->attempt('postgres', 'DROP DATABASE d2 WITH (FORCE)');
ok($r->{ok}, 'database: FORCE works') or diag($r->{err});
is($m->sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migration_ext executor' AND datname IS DISTINCT FROM 'd'"), '0', 'database: its worker is gone');
$other->close;
ok($m->until_state('d', 'up to date'), 'database: a run in another database goes on');
is($m->sql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server was never restarted');
unlike(slurp_log($m), qr/was terminated by signal|PANIC|TRAP/, 'and no process crashed');
$m->node->stop;
done_testing();

sub slurp_log { return PostgreSQL::Test::Utils::slurp_file($_[0]->node->logfile); }
