# F15: a long reader, a step that needs a strong lock, and application statements that queue behind it.
#
# The promise: an application statement never waits longer behind a step than lock_timeout (plus its own time). A step
# gives up, holding nothing, pauses and tries again; status names who is in the way; when the reader is gone it is done.
# Measured with a stream of short statements on the table, each with its time.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Migration;
use Test::More;
use Time::HiRes qw(time);

my $m = Migration->new('queue');
my $lock_timeout = 0.4;
# What a statement may take on a busy machine without any lock.
my $slack = 0.6;

for my $case ([ 'worker', 'ALTER TABLE item ADD COLUMN a int; CREATE INDEX CONCURRENTLY item_n ON item (n);' ],
	[ 'caller', 'ALTER TABLE item ADD COLUMN a int;' ])
{
	my ($who, $script) = @$case;
	my $db = $m->new_database("queue_$who");
	$m->sql($db, 'CREATE TABLE item (id int PRIMARY KEY, n int NOT NULL DEFAULT 0); INSERT INTO item SELECT generate_series(1, 100)');
	$m->register($db, 'q1', undef, $script);
	my $reader = $m->session($db);
	$reader->run("SET application_name = 'long reader'");
	$reader->run('BEGIN');
	$reader->run('SELECT count(*) FROM item');

	my $client = $m->session($db);
	$client->run("SET migration_ext.lock_timeout = '${\($lock_timeout * 1000)}ms'");
	$client->send('SELECT migration_upgrade()');

	my $app = $m->session($db);
	my ($most, $statements, $queued) = (0, 0, 0);
	my $end = time + 6;
	my $named = '';
	while (time < $end)
	{
		for my $sql ('SELECT n FROM item WHERE id = 7', 'UPDATE item SET n = n WHERE id = 7')
		{
			my $r = $app->run($sql);
			die $r->{err} unless $r->{ok};
			$statements++;
			$queued++ if $r->{took} > 0.1;
			$most = $r->{took} if $r->{took} > $most;
		}
		$named ||= $m->sql($db, "SELECT waiting_for FROM migration_status() WHERE waiting_for ~ 'long reader'") if $who eq 'worker';
	}
	note(sprintf '%s: %d statements, %d queued, longest wait %.3f s', $who, $statements, $queued, $most);
	cmp_ok($queued, '>', 0, "$who: statements did meet the queue");
	cmp_ok($most, '<', $lock_timeout + $slack, "$who: none waited longer than lock_timeout");
	ok(!$client->done, "$who: the step keeps trying") or diag($client->result->{err});
	like($named, qr/long reader/, "$who: status names the reader") if $who eq 'worker';
	$reader->run('COMMIT');
	my $r = $client->result;
	ok($r->{ok}, "$who: done when the reader is gone") or diag($r->{err});
	like($r->{err}, qr/long reader/, "$who: the caller was told who is in the way");
	is($m->state($db), 'up to date', "$who: state");
	$m->oracle($db, "$who: nothing left behind", probes => { q1 => "EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'item'::regclass AND attname = 'a')" });

	# Tries spent: 55P03, nothing changed, resumable.
	$m->register($db, 'q2', 'q1', $script =~ s/ADD COLUMN a/ADD COLUMN b/r =~ s/item_n/item_n2/r);
	$reader->run('BEGIN');
	$reader->run('SELECT count(*) FROM item');
	$client->run('SET migration_ext.lock_retries = 1');
	$r = $client->run('SELECT migration_upgrade()');
	is($r->{state}, '55P03', "$who: tries spent give 55P03") or diag($r->{err});
	like($r->{detail} . $r->{message}, qr/long reader/, "$who: with the reader named");
	is($m->applied($db), 'q1', "$who: nothing is applied");
	$reader->run('COMMIT');
	$r = $who eq 'worker' ? $m->resume($db) : $m->attempt($db, 'SELECT migration_upgrade()');
	ok($r->{ok}, "$who: and then it works") or diag($r->{err});
	is($m->applied($db), 'q1,q2', "$who: applied");
	$_->close for $reader, $client, $app;
}
$m->node->stop;
done_testing();
