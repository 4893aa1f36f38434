# F43, F44: an idle transaction, or a prepared one, that CREATE INDEX CONCURRENTLY has to wait for.
#
# It is waited for without end (killing sessions is not our business), so status must name who it is, and cancel must work
# and leave no INVALID index that nobody names.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;

my $m = Migration->new('blockers');
my $script = 'CREATE INDEX CONCURRENTLY item_n ON item (n);';
my %block = (
	snapshot => sub { my ($db, $s) = @_; $s->run('BEGIN ISOLATION LEVEL REPEATABLE READ'); $s->run('SELECT count(*) FROM pg_class'); },
	writer => sub { my ($db, $s) = @_; $s->run('BEGIN'); $s->run('UPDATE item SET n = 5 WHERE id = 5'); },
	prepared => sub { my ($db, $s) = @_; $s->run('BEGIN'); $s->run('UPDATE item SET n = 5 WHERE id = 5'); $s->run("PREPARE TRANSACTION 'forgotten'"); });
my %free = (prepared => sub { $_[1]->run("ROLLBACK PREPARED 'forgotten'"); });

for my $who (sort keys %block)
{
	my $db = $m->new_database("by_$who");
	$m->sql($db, 'CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO item SELECT generate_series(1, 100)');
	$m->register($db, 'i1', undef, $script);
	my $other = $m->session($db);
	$other->run("SET application_name = 'forgotten tab'");
	$block{$who}->($db, $other);
	my $client = $m->session($db);
	$client->send('SELECT migration_upgrade()');
	$m->until_sql($db, "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE phase ~ '^waiting'", 't');
	my $named = $who eq 'prepared' ? qr/prepared/ : qr/pid ${\$other->pid} .*forgotten tab/;
	my $said = '';
	$m->until_true('status names the blocker', sub { $said = $m->sql($db, 'SELECT waiting_for FROM migration_status()'); return $said =~ $named; }, 10);
	like($said, $named, "$who: status names the blocker");
	ok(!$client->done, "$who: the run waits");
	is($m->sql($db, 'SELECT migration_cancel()'), 'cancelling', "$who: cancel");
	ok($m->until_true('cancelled', sub { return $client->done; }, 5), "$who: cancel works while it waits");
	$m->sql($db, 'SELECT pg_cancel_backend(' . $m->worker_pid($db) . ')') unless $client->done;
	my $r = $client->result(30);
	is($r->{state}, 'MX011', "$who: the caller is told") or diag($r->{err});
	is($m->sql($db, 'SELECT state FROM migration_runs() LIMIT 1'), 'cancelled', "$who: cancelled");
	# Who still works on the table also holds up the removal of the index, which is then left to the next attempt.
	my $left = $m->invalid_indexes($db);
	if ($who eq 'snapshot') { is($left, '', "$who: no INVALID index is left"); }
	else { is($m->sql($db, "SELECT count(*) FROM migration_check() WHERE object ~ 'item_n'"), $left eq '' ? '0' : '1', "$who: no INVALID index is left unnamed"); }
	($free{$who} || sub { $_[1]->run('ROLLBACK'); })->($db, $other);
	$r = $client->run('SELECT migration_upgrade()');
	ok($r->{ok}, "$who: later it works") or diag($r->{err});
	$_->close for $other, $client;
	$m->oracle($db, "$who: all is well", probes => { i1 => "EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('item_n') AND indisvalid)" });
}
$m->node->stop;
done_testing();
